"""The broker itself."""

from __future__ import annotations

import atexit
import errno
import os
import sys
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ohmqtt._native import Faults, RunningBroker
from ohmqtt.broker._access import Authenticator, Authorizer, ask_whether, ask_who
from ohmqtt.broker._limits import Limits
from ohmqtt.broker._listener import Identity, Listener, StrPath
from ohmqtt.broker._metrics import Metrics

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

# For so many seconds a broker that starts again waits for an address that was its own: QUIC holds it a moment longer.
_ADDRESS_PATIENCE = 10.0


@dataclass(frozen=True, kw_only=True)
class _Settings:
    """What the native half reads, by name."""

    listeners: tuple[Listener, ...]
    limits: Limits
    store: StrPath | None
    store_kind: str | None
    fast: bool
    passwords: StrPath | None
    acl: StrPath | None
    scram: tuple[tuple[str, str], ...]
    certificate_users: bool
    insecure_allow_anonymous: bool
    authenticator: object
    authorizer: object
    authorizer_timeout: float
    response_information: str | None


class Broker:
    """An MQTT 5.0 broker in this process.

    `with Broker() as broker:` starts it and stops it; `start()` and `stop()` do the same by hand. It listens at the
    URLs and `Listener`s it is given, or at `mqtt://127.0.0.1:0`: port 0 takes a free one, which `url` and `urls`
    tell. One thread starts and stops it; all else may be called by any. Whatever waits leaves the GIL to others and
    heeds Ctrl-C.

    A broker that is forgotten stops by itself, and all do when the interpreter exits. In a process that was forked
    from one that uses this package every call is a RuntimeError.

    - `identity`: two files of PEM, a certificate and its key, for the listeners that speak TLS and have none of their
      own.
    - `limits`: how much it holds and waits for.
    - `store`: a file that keeps what must survive a crash: sessions that outlive their connections, their
      subscriptions and queued messages, and retained messages. The next broker with that file goes on where this one
      ended. What kind of store it is, its name tells (`.redb`; `.sqlite`, `.sqlite3`, `.db`), or `store_kind`. With
      `fast` a power cut may take the last moments of it.
    - `passwords`: a file of users and hashed passwords, as `mosquitto_passwd` writes it. Clients are to be one of them.
    - `acl`: a file that says who may read and write which topics, in Mosquitto's syntax. What no line of it allows is
      not allowed.
    - `scram`: passwords by user name, for clients that use the method SCRAM-SHA-256.
    - `certificate_users`: the first name in a client's certificate is its user.
    - `insecure_allow_anonymous`: anybody may connect without saying who it is, from other machines too.
    - `authenticator`: a function that says who a client is, in the place of `passwords`: see `Authenticator`. It is
      called on threads of its own, for up to 16 clients at once, and may take its time: a client that is not let in
      within `Limits.connect_timeout` is refused.
    - `authorizer`: a function that says what clients may do, in the place of `acl`: see `Authorizer`. It is called on
      a thread of its own, for each message and each of its receivers, and the broker waits for its answer: it must be
      quick, and must not use the broker or a client of it. What is not answered within `authorizer_timeout` seconds,
      60 at most, is refused, and so is all else until the call returns.
    - `response_information`: what clients that ask for it are told to begin their response topics with.

    What a function raises refuses the client or what it wanted, and is logged by the logger `ohmqtt.broker`.
    """

    def __init__(
        self,
        *listeners: str | Listener,
        identity: Identity | None = None,
        limits: Limits | None = None,
        store: StrPath | None = None,
        store_kind: Literal["redb", "sqlite"] | None = None,
        fast: bool = False,
        passwords: StrPath | None = None,
        acl: StrPath | None = None,
        scram: Mapping[str, str] | None = None,
        certificate_users: bool = False,
        insecure_allow_anonymous: bool = False,
        authenticator: Authenticator | None = None,
        authorizer: Authorizer | None = None,
        authorizer_timeout: float = 5.0,
        response_information: str | None = None,
    ) -> None:
        """Say how it is to be. Nothing is opened and nothing listens yet."""
        if passwords is not None and authenticator is not None:
            raise TypeError("give passwords= or an authenticator=, not both")
        if acl is not None and authorizer is not None:
            raise TypeError("give acl= or an authorizer=, not both")
        self._settings = _Settings(
            listeners=tuple(_listener(place, identity) for place in listeners or ("mqtt://127.0.0.1:0",)),
            limits=Limits() if limits is None else limits,
            store=store,
            store_kind=store_kind,
            fast=fast,
            passwords=passwords,
            acl=acl,
            scram=tuple((scram or {}).items()),
            certificate_users=certificate_users,
            insecure_allow_anonymous=insecure_allow_anonymous,
            authenticator=None if authenticator is None else ask_who(authenticator),
            authorizer=None if authorizer is None else ask_whether(authorizer),
            authorizer_timeout=authorizer_timeout,
            response_information=response_information,
        )
        self._running: RunningBroker | None = None
        self._urls: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Where clients connect to: the first of `urls`."""
        return self.urls[0]

    @property
    def urls(self) -> tuple[str, ...]:
        """One URL for each place it listens at, in the order they were given, with the ports that were chosen.

        They stay when the broker has stopped. RuntimeError before it was started.
        """
        if not self._urls:
            raise RuntimeError("the broker has not been started: use `with Broker() as broker:`, or start()")
        return self._urls

    def start(self) -> Self:
        """Start it; when this returns, it takes connections.

        One that was stopped listens where it did before. OSError when it cannot listen there, or cannot use a file:
        its `errno` is EADDRINUSE when somebody else listens, and a file that is missing is a FileNotFoundError.
        ValueError for a URL that is none, or another setting that cannot be used. RuntimeError when it runs already.
        """
        if self._running is not None:
            raise RuntimeError("the broker runs already")
        self._running = self._start_again() if self._urls else RunningBroker(self._settings)
        self._urls = tuple(self._running.urls)
        _started.add(self)
        return self

    def _start_again(self) -> RunningBroker:
        """Start it where it was."""
        places = zip(self._settings.listeners, self._urls, strict=True)
        settings = replace(self._settings, listeners=tuple(replace(place, url=url) for place, url in places))
        until = time.monotonic() + _ADDRESS_PATIENCE
        while True:
            try:
                return RunningBroker(settings)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or time.monotonic() > until:
                    raise
            time.sleep(0.02)

    def stop(self, timeout: float = 5.0) -> None:
        """Stop it: clients are told, and those that are still there after `timeout` seconds are cut off.

        Returns when the broker is gone and what it had to store is stored. Again, or before a start, it does nothing;
        while another call is at it, it waits for that, but no longer than its own `timeout`.
        """
        running = self._running
        if running is not None:
            running.stop(timeout)
            self._running = None

    def restart(self, timeout: float = 5.0) -> None:
        """Stop it as `stop` does, and start it where it was: what only its memory held is gone."""
        self.stop(timeout)
        self.start()

    def __enter__(self) -> Self:
        """Start the broker, if it does not run yet."""
        return self if self._running is not None else self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the broker."""
        self.stop()

    def faults(self) -> Faults:
        """Give switches that break things, for tests, and records of what clients send.

        Ask for them before clients connect: connections from before the first call are beyond their reach, and cost
        nothing. Those of a broker that has started again are new ones. RuntimeError when it does not run.
        """
        return self._live.faults()

    def metrics(self) -> Metrics:
        """Tell what it holds and has done since it was started; looks at each session for that."""
        return Metrics(**self._live.metrics())

    def disconnect(self, client_id: str) -> bool:
        """End the connection of a client with Administrative action (0x98). False when no such client is connected."""
        return self._live.disconnect(client_id)

    def redirect(self, server: str) -> None:
        """Send clients to another server from now on, commonly `"host:port"`; an empty text takes it back.

        Who asks to connect is refused with Use another server (0x9C), and so are all who are connected when it stops.
        """
        self._live.redirect(server)

    def reload_access(self) -> None:
        """Read the files of passwords and of the ACL again.

        Clients that are connected stay, with the rights that the files give now.

        With an authorizer this is how to tell the broker that it allows less than before. OSError and ValueError for
        a file that cannot be used: then all holds that held before, of the other file too.
        """
        self._live.reload_access()

    @property
    def _live(self) -> RunningBroker:
        if self._running is None:
            raise RuntimeError("the broker does not run: use `with Broker() as broker:`, or start()")
        return self._running

    def __repr__(self) -> str:
        """Where it listens, or that it does not."""
        return f"<Broker {', '.join(self._urls)}>" if self._running is not None else "<Broker, stopped>"


def _listener(place: str | Listener, identity: Identity | None) -> Listener:
    if isinstance(place, str):
        place = Listener(url=place)
    elif not isinstance(place, Listener):
        raise TypeError(f"a broker listens at URLs and Listeners, not at {place!r}")
    return place if place.identity is not None else replace(place, identity=identity)


_started: weakref.WeakSet[Broker] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """Stop what still runs, so that what is stored is whole and no socket file stays."""
    for broker in list(_started):
        broker.stop(1.0)


if sys.platform != "win32":
    # A child has no part of its parent's brokers.
    os.register_at_fork(after_in_child=_started.clear)
