"""SUBSCRIBE and UNSUBSCRIBE, and SUBACK and UNSUBACK, which answer them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from ohmqtt.mqtt_spec import MQTTPacketType, MQTTReasonCode
from ohmqtt.packet.base import MQTTPacket
from ohmqtt.property import MQTTSubAckProps, MQTTSubscribeProps, MQTTUnsubAckProps, MQTTUnsubscribeProps


@dataclass(match_args=True, slots=True)
class MQTTSubscribePacket(MQTTPacket):
    """SUBSCRIBE: a client asks for messages.

    `topics` are filters with their options as a number: QoS in bits 0 and 1, 4 for No Local, 8 for Retain As Published,
    Retain Handling in bits 4 and 5.
    """

    packet_type: ClassVar[MQTTPacketType] = MQTTPacketType.SUBSCRIBE
    props_type: ClassVar[type[MQTTSubscribeProps]] = MQTTSubscribeProps
    topics: Sequence[tuple[str, int]] = field(default_factory=tuple)
    packet_id: int = 0
    properties: MQTTSubscribeProps = field(default_factory=MQTTSubscribeProps)

    def __str__(self) -> str:
        """Show the packet for people."""
        return self._shown(
            f"packet_id={self.packet_id}",
            f"topics={self.topics}",
            f"properties={self.properties}",
        )


@dataclass(match_args=True, slots=True)
class MQTTSubAckPacket(MQTTPacket):
    """SUBACK: the answer to a SUBSCRIBE, a reason code for each of its topics."""

    packet_type: ClassVar[MQTTPacketType] = MQTTPacketType.SUBACK
    props_type: ClassVar[type[MQTTSubAckProps]] = MQTTSubAckProps
    packet_id: int
    reason_codes: Sequence[MQTTReasonCode] = field(default_factory=tuple)
    properties: MQTTSubAckProps = field(default_factory=MQTTSubAckProps)

    def __str__(self) -> str:
        """Show the packet for people."""
        return self._shown(
            f"packet_id={self.packet_id}",
            f"reason_codes={[hex(code) for code in self.reason_codes]}",
            f"properties={self.properties}",
        )


@dataclass(match_args=True, slots=True)
class MQTTUnsubscribePacket(MQTTPacket):
    """UNSUBSCRIBE: a client ends subscriptions. `topics` are their filters."""

    packet_type: ClassVar[MQTTPacketType] = MQTTPacketType.UNSUBSCRIBE
    props_type: ClassVar[type[MQTTUnsubscribeProps]] = MQTTUnsubscribeProps
    topics: Sequence[str] = field(default_factory=tuple)
    packet_id: int = 0
    properties: MQTTUnsubscribeProps = field(default_factory=MQTTUnsubscribeProps)

    __str__ = MQTTSubscribePacket.__str__


@dataclass(match_args=True, slots=True)
class MQTTUnsubAckPacket(MQTTPacket):
    """UNSUBACK: the answer to an UNSUBSCRIBE, a reason code for each of its topics."""

    packet_type: ClassVar[MQTTPacketType] = MQTTPacketType.UNSUBACK
    props_type: ClassVar[type[MQTTUnsubAckProps]] = MQTTUnsubAckProps
    packet_id: int
    reason_codes: Sequence[MQTTReasonCode] = field(default_factory=tuple)
    properties: MQTTUnsubAckProps = field(default_factory=MQTTUnsubAckProps)

    __str__ = MQTTSubAckPacket.__str__
