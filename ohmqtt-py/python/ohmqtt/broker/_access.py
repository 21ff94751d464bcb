"""What a broker asks of who may do what, and the answers that functions give."""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from ohmqtt._native import Ask, Asks
from ohmqtt.codec import ConnAckReasonCode, QoS

_logger = logging.getLogger("ohmqtt.broker")


@dataclass(frozen=True, kw_only=True)
class Login:
    """What is known of a client that asks to connect.

    - `client_id`: its Client Identifier; empty when it asks for one.
    - `username`: the user name in its CONNECT: its word alone.
    - `password`: the password in its CONNECT. It may stand without a user name.
    - `address`: where it comes from, as `127.0.0.1:54321`; `local` over a Unix socket.
    - `certificate_names`: the names in the certificate it has shown and that was verified, its common name first;
      empty without one.
    - `path`: the path a WebSocket client asked for.
    - `listener`: the URL of the listener it came to, as in `Broker.urls`.
    """

    client_id: str
    username: str | None
    password: bytes | None = field(repr=False)
    address: str
    certificate_names: tuple[str, ...]
    path: str | None
    listener: str


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who wants to do what.

    What the actions are, and what comes of one that is refused:

    - `"connect"`: CONNACK says Not authorized (0x87).
    - `"publish"`: the message is dropped; PUBACK or PUBREC say Not authorized (0x87).
    - `"will"`, to have a will published, asked at its CONNECT and again when it is time: CONNACK says Not authorized,
      or nothing is published.
    - `"subscribe"`: SUBACK says Not authorized (0x87) for this filter.
    - `"deliver"`, to get a message that a subscription of its matches: it does not get it.
    - `"retained"`, to be the one whose retained message is delivered to somebody now: it is not delivered.

    Its attributes:

    - `client_id`: the Client Identifier, never empty. It may hold any character, also `+`, `#` and `/`.
    - `user`: the name of the user, as the authenticator or a file has it; `None`: nobody in particular.
    - `action`: what it wants to do, of the above.
    - `topic`: the topic, or for `"subscribe"` the filter as the client wrote it; `None` for `"connect"`.
    - `qos`: the QoS it asks for, to publish, to subscribe, or of a will.
    - `retain`: whether the message is, or is to be, retained.
    """

    client_id: str
    user: str | None
    action: Literal["connect", "publish", "will", "subscribe", "deliver", "retained"]
    topic: str | None
    qos: QoS | None
    retain: bool


Authenticator: TypeAlias = Callable[[Login], str | bool | ConnAckReasonCode | None]
"""Says who a client is.

A string is the name of its user; `True` takes the user name of its CONNECT for that. `False` and `None` refuse it
with Bad user name or password (0x86), a `ConnAckReasonCode` that is an error with that one.
"""

Authorizer: TypeAlias = Callable[[Access], bool]
"""Says whether a client may do something: `True` or `False`."""


def ask_who(authenticator: Authenticator) -> Callable[[Asks], None]:
    """Make what has an authenticator asked, each time on a thread of its own, so that a slow answer delays no other."""
    _check(authenticator, "authenticator")

    def ask(
        client_id: str,
        username: str | None,
        password: bytes | None,
        address: str,
        certificate_names: tuple[str, ...],
        path: str | None,
        listener: str,
    ) -> str | int | None:
        try:
            login = Login(
                client_id=client_id,
                username=username,
                password=password,
                address=address,
                certificate_names=certificate_names,
                path=path,
                listener=listener,
            )
            answer = authenticator(login)
            if answer is True:
                return username
            if answer is False or answer is None:
                return int(ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD)
            if isinstance(answer, str):
                # A subclass may be anything.
                return str.__str__(answer)
            if isinstance(answer, ConnAckReasonCode) and answer is not ConnAckReasonCode.SUCCESS:
                return int(answer)
            raise TypeError(_NOT_WHO.format(answer))
        except BaseException:
            _logger.exception("authenticator failed: client %r is refused", client_id)
            return int(ConnAckReasonCode.SERVER_UNAVAILABLE)

    def answer_all(asks: Asks) -> None:
        while (question := asks.next()) is not None:
            _start("ohmqtt-authenticator", _answer, question, ask)

    return lambda asks: _start("ohmqtt-authenticators", answer_all, asks)


def ask_whether(authorizer: Authorizer) -> Callable[[Asks], None]:
    """Make what has an authorizer asked, on one thread: whatever it does, the answer is yes or no."""
    _check(authorizer, "authorizer")

    def ask(client_id: str, user: str | None, action: Any, topic: str | None, qos: int | None, retain: bool) -> bool:
        try:
            access = Access(
                client_id=client_id,
                user=user,
                action=action,
                topic=topic,
                qos=None if qos is None else QoS(qos),
                retain=retain,
            )
            answer = authorizer(access)
            if isinstance(answer, bool):
                return answer
            raise TypeError(f"an authorizer returns True or False, not {answer!r}")
        except BaseException:
            _logger.exception("authorizer failed: %s of client %r is refused", action, client_id)
            return False

    def answer_all(asks: Asks) -> None:
        while (question := asks.next()) is not None:
            _answer(question, ask)

    def serve(asks: Asks) -> None:
        _start("ohmqtt-authorizer", answer_all, asks)
        _start("ohmqtt-authorizer-log", _log_all, asks)

    return serve


def _log_all(asks: Asks) -> None:
    while (complaint := asks.complaint()) is not None:
        _logger.error("%s", complaint)


def _start(name: str, target: Callable[..., None], *args: object) -> None:
    # A daemon: no function keeps an interpreter from its end.
    threading.Thread(name=name, target=target, args=args, daemon=True).start()


def _answer(question: Ask, ask: Callable[..., str | int | None]) -> None:
    question.answer(ask(*question.arguments()))


_NOT_WHO = "an authenticator returns the name of a user, True, False or a ConnAckReasonCode that is an error, not {!r}"


def _check(function: Any, name: str) -> None:
    if not callable(function):
        raise TypeError(f"{name}: give a function, not {type(function).__name__!r}")
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"{name}: give a plain function, not an async one: the broker calls it on a thread of its own")
