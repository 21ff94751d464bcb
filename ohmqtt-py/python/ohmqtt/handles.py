"""What `publish`, `subscribe` and `unsubscribe` return: a handle to wait on the server's answer.

A handle costs nothing once it is dropped, and dropping it cancels nothing: the message goes on.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

from ohmqtt.error import MQTTError
from ohmqtt.mqtt_spec import MQTTReasonCode
from ohmqtt.packet import (
    MQTTPubAckPacket,
    MQTTPubCompPacket,
    MQTTPubRecPacket,
    MQTTSubAckPacket,
    MQTTUnsubAckPacket,
)

__all__ = ["Handle", "PublishHandle", "SubscribeHandle", "UnsubscribeHandle"]

T = TypeVar("T")


class Ticket(Protocol):
    """What the engine knows of one request."""

    def answer(self) -> Any:
        """Give the packet that answered it, or an exception, or None while there is neither."""

    def wait(self, timeout: float | None) -> Any:
        """Wait for that, at most `timeout` seconds, and give it if it has come, or None."""


class Handle(Generic[T]):
    """The server's answer to one request, once it has come.

    Made by the client; one made by hand, as a `Persistence` does, gets its answer by setting `ack` or `exc` and
    notifying the condition, which it holds weakly.
    """

    __slots__ = ("__weakref__", "_ack", "_cond", "_exc")

    def __init__(self, cond: threading.Condition) -> None:
        """Wait on `cond`, which is notified when `ack` or `exc` were set."""
        self._cond = weakref.ref(cond)
        self._ack: T | None = None
        self._exc: Exception | None = None

    @property
    def ack(self) -> T | None:
        """The packet that acknowledged the request, or None while there is none."""
        self._look()
        return self._ack

    @ack.setter
    def ack(self, packet: T | None) -> None:
        self._ack = packet

    @property
    def exc(self) -> Exception | None:
        """Why the request failed, or None. With an error code of the server's there is the packet in `ack` as well."""
        self._look()
        return self._exc

    @exc.setter
    def exc(self, error: Exception | None) -> None:
        self._exc = error

    def is_acked(self) -> bool:
        """Whether the server has answered, be it with an error."""
        return self.ack is not None

    def wait_for_ack(self, timeout: float | None = None) -> T:
        """Wait for the server's answer, at most `timeout` seconds, and return the packet.

        At QoS 1 that is the PUBACK, at QoS 2 the PUBCOMP, of a subscription the SUBACK, whose reason codes are the
        caller's to read. It may be called in a callback.

        Raises what is in `exc`: MQTTError for an error code of the server's, LostMessageError if there will be no
        answer. Raises TimeoutError if there was none in time; the request goes on. Raises RuntimeError if the client
        is gone.
        """
        if not self._wait(timeout):
            raise TimeoutError("no acknowledgement within the timeout; it may still come")
        if self._exc is not None:
            raise self._exc
        if self._ack is None:
            raise RuntimeError("the client is gone: nothing will be heard of the request")
        return self._ack

    def _look(self) -> None:
        """Take over what has come."""

    def _wait(self, timeout: float | None) -> bool:
        cond = self._cond()
        if cond is None:
            return True
        with cond:
            return cond.wait_for(lambda: self._ack is not None or self._exc is not None, timeout)


class _Unanswered(Handle[Any]):
    """The handle of a QoS 0 message, which nobody acknowledges."""

    __slots__ = ()

    def __init__(self) -> None:
        self._ack = None
        self._exc = None

    @property
    def exc(self) -> Exception | None:
        return ValueError("QoS 0 messages will not be acknowledged")

    @exc.setter
    def exc(self, error: Exception | None) -> None:
        """Nothing else is heard of it."""

    def wait_for_ack(self, timeout: float | None = None) -> Any:  # noqa: ARG002
        """Raise ValueError: nobody acknowledges a QoS 0 message."""
        raise ValueError("QoS 0 messages will not be acknowledged")


UNANSWERED: Final = _Unanswered()
"""The handle of every QoS 0 message."""


class Answered(Handle[T]):
    """A handle whose answer comes from the engine."""

    __slots__ = ("_ticket",)

    def __init__(self, ticket: Ticket) -> None:
        """Wait on `ticket`."""
        self._ack = None
        self._exc = None
        self._ticket = ticket

    def _look(self) -> None:
        if self._ack is None and self._exc is None:
            self._take(self._ticket.answer())

    def _wait(self, timeout: float | None) -> bool:
        if self._ack is None and self._exc is None:
            self._take(self._ticket.wait(timeout))
        return self._ack is not None or self._exc is not None

    def _take(self, answer: Any) -> None:
        if isinstance(answer, Exception):
            self._exc = answer
        elif answer is not None:
            # Those of a subscription are its reader's to judge.
            reason = getattr(answer, "reason_code", MQTTReasonCode.Success)
            if reason.is_error():
                self._exc = MQTTError("the server refused the message", reason)
            self._ack = answer


class SubscribeHandle(Answered[MQTTSubAckPacket]):
    """The handle of a subscription."""

    __slots__ = ("_leave",)

    def __init__(self, ticket: Ticket, leave: Callable[[], UnsubscribeHandle | None]) -> None:
        """Wait on `ticket`; `leave` ends the subscription."""
        super().__init__(ticket)
        self._leave = leave

    def unsubscribe(self) -> UnsubscribeHandle | None:
        """End this subscription; None if it has ended already, or another one has taken its place."""
        return self._leave()


PublishHandle: TypeAlias = Handle[MQTTPubAckPacket | MQTTPubRecPacket | MQTTPubCompPacket]
UnsubscribeHandle: TypeAlias = Handle[MQTTUnsubAckPacket]
