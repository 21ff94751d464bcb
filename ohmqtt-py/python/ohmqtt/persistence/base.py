"""What a store of messages does."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from ohmqtt.error import MQTTError
from ohmqtt.mqtt_spec import MQTTQoS
from ohmqtt.packet import (
    MQTTPubAckPacket,
    MQTTPubCompPacket,
    MQTTPublishPacket,
    MQTTPubRecPacket,
    MQTTPubRelPacket,
)
from ohmqtt.topic_alias import AliasPolicy

if TYPE_CHECKING:
    from typing_extensions import Self

    from ohmqtt.handles import PublishHandle
    from ohmqtt.property import MQTTPublishProps


class LostMessageError(Exception):
    """The message was given up before it was acknowledged, because its session was lost."""


class SchemaError(Exception):
    """The file is no store of messages, or one of another version. It is left as it is."""


class RenderedPacket(NamedTuple):
    """A packet that is to be sent, and when it goes out with a topic alias."""

    packet: MQTTPublishPacket | MQTTPubRelPacket
    alias_policy: AliasPolicy


class Persistence(metaclass=ABCMeta):
    """A store of outgoing messages of QoS 1 and 2, and of the identifiers of incoming ones of QoS 2.

    A message has an identifier of the store's from `add` on, and a packet identifier from its first `render` on, which
    it keeps. `get` gives those that are not in flight, first those of which a PUBREL is to be sent, each in the order
    they were added in; `render` puts one in flight, `ack` moves it on. Any thread may call any method.
    """

    __slots__: ClassVar[Sequence[str]] = ("__weakref__",)

    @abstractmethod
    def __len__(self) -> int:
        """Count the messages that are not acknowledged."""

    @abstractmethod
    def add(
        self,
        topic: str,
        payload: bytes,
        qos: MQTTQoS,
        retain: bool,
        properties: MQTTPublishProps,
        alias_policy: AliasPolicy,
    ) -> PublishHandle:
        """Store a message, and give the handle that will have its acknowledgement.

        ValueError, with nothing stored, for what cannot be sent, and for the alias policy ALWAYS, which cannot be kept
        over a new connection.
        """

    @abstractmethod
    def get(self, count: int) -> Sequence[int]:
        """Give the identifiers of at most so many messages that are to be sent now."""

    @abstractmethod
    def ack(self, packet: MQTTPubAckPacket | MQTTPubRecPacket | MQTTPubCompPacket) -> None:
        """Take an acknowledgement: the message is done, or its PUBREL is to be sent.

        An error code ends it, with an MQTTError in its handle. ValueError when the packet acknowledges nothing here.
        """

    @abstractmethod
    def check_rec(self, packet: MQTTPublishPacket) -> bool:
        """Tell whether an incoming message of QoS 2 is new; a ValueError for another QoS."""

    @abstractmethod
    def set_rec(self, packet: MQTTPublishPacket) -> None:
        """Remember that an incoming message of QoS 2 was received; a ValueError for another QoS."""

    @abstractmethod
    def rel(self, packet: MQTTPubRelPacket) -> None:
        """Forget an incoming message: its sender has released it."""

    @abstractmethod
    def render(self, message_id: int) -> RenderedPacket:
        """Give the packet that is to be sent for a message, which is in flight then; KeyError when there is none."""

    @abstractmethod
    def clear(self) -> None:
        """Forget everything. Handles get a LostMessageError."""

    @abstractmethod
    def open(self, client_id: str, clear: bool = False) -> None:
        """Begin a connection: nothing is in flight, and what was goes out again, marked as a duplicate.

        With `clear`, or when the client identifier is another one than before, everything is forgotten first.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of files; the store is not used after that."""

    def __enter__(self) -> Self:
        """Use the store, and close it in the end."""
        return self

    def __exit__(self, *args: object) -> None:
        """Close the store."""
        self.close()


def check_message(packet: MQTTPublishPacket, alias_policy: AliasPolicy) -> None:
    """Refuse what a store does not take; `packet` is the message with any packet identifier."""
    if packet.qos == MQTTQoS.Q0:
        raise ValueError("qos: a store is for QoS 1 and 2")
    if alias_policy == AliasPolicy.ALWAYS:
        raise ValueError("alias_policy: ALWAYS is for QoS 0, a stored message may have to go out without its alias")
    packet.encode()


def check_received(packet: MQTTPublishPacket) -> None:
    """Refuse an incoming packet that has nothing to remember."""
    if packet.qos != MQTTQoS.Q2:
        raise ValueError(f"qos: is {packet.qos:d}, only messages of QoS 2 are remembered")


def check_step(packet: MQTTPubAckPacket | MQTTPubRecPacket | MQTTPubCompPacket, qos: int, received: bool) -> None:
    """Refuse an acknowledgement that is not the next one of its message."""
    expected: type[Any] = MQTTPubAckPacket
    if qos == MQTTQoS.Q2:
        expected = MQTTPubCompPacket if received else MQTTPubRecPacket
    if not isinstance(packet, expected):
        raise ValueError(f"{packet.packet_type.name} is not the answer to packet_id {packet.packet_id} now")


def refusal(packet: MQTTPubAckPacket | MQTTPubRecPacket | MQTTPubCompPacket) -> MQTTError | None:
    """Give the error that an acknowledgement tells, if it is one."""
    if not packet.reason_code.is_error():
        return None
    return MQTTError(packet.properties.ReasonString or "the server refused the message", packet.reason_code)
