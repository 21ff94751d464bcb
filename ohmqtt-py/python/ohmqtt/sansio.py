"""MQTT 5.0 sessions without I/O, for clients and servers: bring your own sockets, event loop and clock.

A session is fed bytes and gives bytes, events and a deadline; it opens nothing, waits for nothing and starts no thread.
This is its loop, here for a client on a plain socket::

    client = ClientSession(ConnectPacket("example", keep_alive=60))
    client.connection_made(time.monotonic())
    while True:
        for event in client.events():
            ...  # match it, and act: publish, subscribe, acknowledge
        if data := client.data_to_send(time.monotonic()):
            sock.sendall(data)
            continue  # what has left may have made events
        if client.should_close:
            break
        deadline = client.next_timeout()
        sock.settimeout(None if deadline is None else max(deadline - time.monotonic(), 0.001))
        try:
            data = sock.recv(65536)
        except TimeoutError:
            client.handle_timeout(time.monotonic())
            continue
        if not data:
            break
        client.receive(data, time.monotonic())
    client.connection_lost(time.monotonic())
    # Disconnected waits in client.events(); with a new stream, begin again at connection_made.

Time is in seconds, as float or int, of one clock of your choice that never goes back: `time.monotonic()`,
`loop.time()`, `anyio.current_time()`; sessions that pass flows on have the same clock. `now` may be left out where it
is optional: it is then the latest time that the session was told, so tell it (by `handle_timeout`) whenever you have
waited. A time before the latest counts as the latest. `next_timeout` and every `deadline` are moments of that clock,
not durations.

What the other side does wrong is no exception: the session says so in a DISCONNECT, asks you to close the stream, and
tells why in the event Disconnected. What you do wrong is one: TypeError and ValueError for wrong arguments,
RuntimeError for the wrong moment, OutboxFullError (a RuntimeError) when you have to wait.

A session is for one thread at a time. It is kept in memory alone: for one that survives the process use the clients of
this package with a store. Examples: `examples/sansio_sockets.py` and `examples/sansio_anyio.py` in the repository.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, TypeAlias

from ohmqtt._native import ClientSession, Flows, Receipt, ServerSession
from ohmqtt._native import SansioMessage as Message
from ohmqtt._native import SansioSubscription as Subscription

if TYPE_CHECKING:
    from ohmqtt.codec import (
        ConnAckPacket,
        ConnAckReasonCode,
        ConnectPacket,
        DisconnectPacket,
        DisconnectReasonCode,
        PubAckReasonCode,
        PubCompReasonCode,
        SubAckPacket,
        SubscribePacket,
        UnsubAckPacket,
        UnsubscribePacket,
        Will,
    )

__all__ = [
    "Acked",
    "AliasPolicy",
    "Authenticate",
    "Authenticated",
    "Cause",
    "ClientDisconnected",
    "ClientEvent",
    "ClientSession",
    "ConnectRequest",
    "Connected",
    "Disconnected",
    "Flows",
    "Loss",
    "Lost",
    "Message",
    "OutboxFullError",
    "Overflow",
    "Receipt",
    "Received",
    "RequestLost",
    "Sent",
    "ServerEvent",
    "ServerSession",
    "SessionLossPolicy",
    "SessionLost",
    "SubscribeRequest",
    "Subscribed",
    "Subscription",
    "UnsubscribeRequest",
    "Unsubscribed",
    "Verify",
]


class OutboxFullError(RuntimeError):
    """As much is published and not finished as may be: wait for Acked, or give the session more room."""


class AliasPolicy(IntEnum):
    """Whether a message is sent with a topic alias in place of its topic."""

    NEVER = 0
    TRY = 1
    """With one, where the other side takes any."""
    ALWAYS = 2
    """With one, or refused. For QoS 0 only, because a message that goes again on another connection may find none."""


class Overflow(IntEnum):
    """What becomes of a message that finds no room."""

    REFUSE = 0
    """publish raises OutboxFullError."""
    DROP_OLDEST = 1
    """The oldest unsent messages make room."""
    KEEP_NEWEST = 2
    """Unsent messages with a newer one on their topic make room; OutboxFullError when there are none."""


class SessionLossPolicy(IntEnum):
    """What becomes of messages when the server has lost the session in which they were sent and not acknowledged."""

    FAIL = 0
    """They are Lost: they may have arrived or not."""
    RESEND = 1
    """They are sent again: they may arrive twice."""
    CLEAR = 2
    """They and all that waits unsent are Lost."""


class Cause(Enum):
    """What ended a connection."""

    REQUESTED = "requested"
    """This client's disconnect."""
    STREAM_ENDED = "stream ended"
    """The stream, without a DISCONNECT."""
    BY_PEER = "by peer"
    """The other side's DISCONNECT, which is the packet."""
    REFUSED = "refused"
    """The server's CONNACK, which is the packet."""
    PROTOCOL_ERROR = "protocol error"
    """The other side broke a rule."""
    KEEP_ALIVE_TIMEOUT = "keep alive timeout"
    """The other side was silent for too long."""
    CONNECT_TIMEOUT = "connect timeout"
    """No CONNACK, or at a server no CONNECT, in time."""
    BY_US = "by us"
    """This side, which gave the reason code."""


class Loss(Enum):
    """Why a message will not be acknowledged."""

    OFFLINE = "offline"
    """A QoS 0 message, and no connection."""
    DEADLINE_PASSED = "deadline passed"
    """Its deadline passed while it waited."""
    EXPIRED = "expired"
    """Its message_expiry_interval passed while it waited."""
    SESSION_LOST = "session lost"
    """It was sent in a session that the other side has lost: it may have arrived or not."""
    TOO_LARGE = "too large"
    """It is larger than the other side accepts."""
    QOS_NOT_SUPPORTED = "QoS not supported"
    """Its QoS is above what the server offers."""
    RETAIN_NOT_SUPPORTED = "retain not supported"
    """The server keeps no retained messages."""
    DROPPED = "dropped"
    """Newer messages took its place."""
    REPLACED = "replaced"
    """A newer message on its topic took its place."""
    CLOSED = "closed"
    """The session ended first."""


@dataclass(frozen=True)
class Connected:
    """The server accepted the connection. Unless packet.session_present, subscribe again."""

    packet: ConnAckPacket


@dataclass(frozen=True)
class Disconnected:
    """The connection ended. It comes once for each, also for one that was never accepted."""

    cause: Cause
    text: str
    """The cause in words, with what is known of it."""
    reason_code: DisconnectReasonCode | ConnAckReasonCode | None = None
    """What either side said, if one did."""
    packet: DisconnectPacket | ConnAckPacket | None = None
    """What the other side said, if it did."""


@dataclass(frozen=True)
class ClientDisconnected(Disconnected):
    """The client's connection ended, at its server."""

    will: Will | None = None
    """To be published after its will_delay_interval, unless the client comes back first."""
    session_expiry_interval: int = 0
    """How long to keep the session from now on, in seconds; 4294967295 for ever."""


@dataclass(frozen=True)
class SessionLost:
    """The server no longer has the session that this side goes on with. What that means for each message follows."""

    messages: int
    """Published and not finished."""
    size: int
    """Their size in bytes."""
    sent: int
    """How many of them may have been sent, and so may have arrived."""


@dataclass(frozen=True)
class Received:
    """A message came. One with a receipt (QoS 1 and 2) waits for your word: acknowledge."""

    message: Message
    receipt: Receipt | None = None


@dataclass(frozen=True)
class Sent:
    """The message has left in data_to_send. At QoS 0 this is the last of it."""

    ticket: int


@dataclass(frozen=True)
class Acked:
    """The other side acknowledged the message, by PUBACK, PUBREC or PUBCOMP. The reason code may be an error."""

    ticket: int
    reason_code: PubAckReasonCode | PubCompReasonCode
    reason_str: str | None = None
    user_properties: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Lost:
    """The message will not be acknowledged."""

    ticket: int
    loss: Loss
    text: str
    """The loss in words, with what is known of it."""


@dataclass(frozen=True)
class Subscribed:
    """The server answered a subscribe: a reason code for each topic filter."""

    ticket: int
    packet: SubAckPacket


@dataclass(frozen=True)
class Unsubscribed:
    """The server answered an unsubscribe: a reason code for each pattern."""

    ticket: int
    packet: UnsubAckPacket


@dataclass(frozen=True)
class RequestLost:
    """The connection ended before the server answered a subscribe or unsubscribe."""

    ticket: int


@dataclass(frozen=True)
class Authenticate:
    """The other side says the next of enhanced authentication.

    A client answers by authenticate, or fail_authentication. A server that has not accepted the client answers by
    authenticate, accept or refuse; one that has by authenticate, authenticated or disconnect.
    """

    data: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Verify:
    """The server accepts a connection with enhanced authentication, and this is the last it says of itself.

    Answer by verified or fail_authentication; until then nothing else happens, and Connected does not come.
    """

    data: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Authenticated:
    """The server has accepted a reauthenticate. If it is not who it should be, fail_authentication."""

    data: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ConnectRequest:
    """A client asks to connect. Answer by accept, refuse, or authenticate; until then nothing else is looked at."""

    packet: ConnectPacket


@dataclass(frozen=True)
class SubscribeRequest:
    """The client subscribes. Answer by suback."""

    packet: SubscribePacket


@dataclass(frozen=True)
class UnsubscribeRequest:
    """The client unsubscribes. Answer by unsuback."""

    packet: UnsubscribePacket


ClientEvent: TypeAlias = (
    Connected
    | Disconnected
    | SessionLost
    | Received
    | Sent
    | Acked
    | Lost
    | Subscribed
    | Unsubscribed
    | RequestLost
    | Authenticate
    | Verify
    | Authenticated
)
"""What the events of a ClientSession are."""

ServerEvent: TypeAlias = (
    ConnectRequest
    | Authenticate
    | Received
    | SubscribeRequest
    | UnsubscribeRequest
    | Sent
    | Acked
    | Lost
    | ClientDisconnected
)
"""What the events of a ServerSession are."""
