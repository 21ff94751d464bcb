"""What happens to a client, and how it fares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ohmqtt.aio._stream import Stream

if TYPE_CHECKING:
    from ohmqtt._native import AioEvents
    from ohmqtt.aio._port import Port
    from ohmqtt.codec import ConnAckPacket, QoS, SubAckReasonCode


@dataclass(frozen=True)
class Event:
    """Something that happened to a client. `str()` tells it in a sentence."""

    text: str

    def __str__(self) -> str:
        """Tell it in a sentence."""
        return self.text


@dataclass(frozen=True)
class Connected(Event):
    """The server has accepted a connection."""

    address: str
    """Which server, without secrets."""
    session_present: bool
    """Whether it went on with an old session."""
    connack: ConnAckPacket
    """What it said: its limits, and what else it had to tell."""


@dataclass(frozen=True)
class SessionLost(Event):
    """The server does not have the session any more that the client goes on with. Comes behind `Connected`."""

    messages: int
    """Messages that were accepted and not acknowledged by then."""
    size: int
    """Their size in bytes."""
    sent: int
    """Of these messages, those that may have been sent: they may have arrived or not."""


@dataclass(frozen=True)
class Disconnected(Event):
    """A connection that stood has ended."""

    error: Exception
    """Why."""
    retry_in: float | None
    """Seconds until the next attempt; None: there will be none."""


@dataclass(frozen=True)
class ConnectFailed(Event):
    """An attempt to connect has failed."""

    error: Exception
    """Why."""
    retry_in: float | None
    """Seconds until the next attempt; None: there will be none."""


@dataclass(frozen=True)
class Reauthenticated(Event):
    """A re-authentication has ended, and the connection stands."""

    error: Exception | None
    """None: it succeeded."""


@dataclass(frozen=True)
class SubscriptionRefused(Event):
    """The server refused a filter, at first or when it was asked again after it had lost the session."""

    filter: str
    reason_code: SubAckReasonCode


@dataclass(frozen=True)
class NotAcknowledged(Event):
    """A message that the application was to acknowledge was dropped: it comes again on the next connection."""

    topic: str
    qos: QoS


@dataclass(frozen=True)
class UnclaimedDropped(Event):
    """A message that no subscription claims found no room, and was acknowledged and dropped."""

    topic: str


@dataclass(frozen=True)
class Closed(Event):
    """The client has closed and tries no more. It is the last event."""

    error: Exception
    """Why."""


@dataclass(frozen=True)
class Missed(Event):
    """The listener was too slow, and has missed events."""

    events: int
    """How many."""


_KINDS: dict[str, Callable[..., Event]] = {
    kind.__name__: kind
    for kind in (
        Event,
        Connected,
        SessionLost,
        Disconnected,
        ConnectFailed,
        Reauthenticated,
        SubscriptionRefused,
        NotAcknowledged,
        UnclaimedDropped,
        Closed,
        Missed,
    )
}


class _Source:
    """The native events, as objects."""

    def __init__(self, native: AioEvents) -> None:
        self._native = native
        self.listen = native.listen
        self.leave = native.leave

    def take(self) -> Event | None:
        told = self._native.take()
        if told is None:
            return None
        name, text, values = told
        return _KINDS[name](text, *values)


class Events(Stream[Event]):
    """The events of a client, as an async iterator that ends with the client.

    More than 1,024 do not wait for a slow reader: it is told by `Missed` how many are gone.
    """

    def __init__(self, port: Port, native: AioEvents) -> None:
        """Made by a client."""
        super().__init__(port, _Source(native))


class ConnectionState(NamedTuple):
    """How a connection stands."""

    name: Literal["connecting", "connected", "closed"]
    """`connecting` also while the next attempt is waited for; `closed` when there will be none."""
    attempt: int
    """Attempts since the last connection, this one included, while connecting."""
    session_present: bool
    """Whether the server went on with an old session, when connected."""
    error: Exception | None
    """Why the last attempt or connection ended, when not connected."""


class Undelivered(NamedTuple):
    """What was left when a client had closed."""

    messages: int
    """Messages that were accepted and not acknowledged; at QoS 0, not sent."""
    size: int
    """Their size in bytes."""


class Health(NamedTuple):
    """What stands in the way of a client's messages."""

    obstacles: tuple[str, ...]
    """In words, the most fundamental first. None when everything flows."""

    @property
    def is_flowing(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.obstacles

    def __str__(self) -> str:
        """All of it."""
        return "; ".join(self.obstacles) or "all flows"


@dataclass(frozen=True)
class Metrics:
    """Counters since the client was started, and what stands now."""

    queued_messages: int
    """Messages accepted and not finished, now."""
    queued_bytes: int
    """Their size in bytes."""
    in_flight: int
    """Messages of QoS 1 and 2 sent on this connection and not acknowledged, now."""
    unacknowledged: int
    """Messages handed to the application and not acknowledged by it, now."""
    connections: int
    """Connections that were accepted."""
    received: int
    """Messages that came."""
    dropped: int
    """Messages that came and found no room or no reader."""
    late_replies: int
    """Answers that came when their request no longer waited, or that were for none."""
    lost: int
    """Messages that were taken and will not arrive."""
    abandoned: int
    """Messages that came, were to be acknowledged by the application, and were dropped without a word."""
    accepted: int
    """Messages that were taken into the outbox."""
    refused: int
    """Messages that were not."""
    delivered: int
    """Messages that are done: acknowledged, or sent at QoS 0."""


def metrics(counters: dict[str, Any]) -> Metrics:
    """Make it of the native counters."""
    return Metrics(**counters)
