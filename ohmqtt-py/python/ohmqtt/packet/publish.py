"""PUBLISH, and PUBACK, PUBREC, PUBREL and PUBCOMP, which acknowledge it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from ohmqtt.mqtt_spec import MQTTPacketType, MQTTQoS, MQTTReasonCode
from ohmqtt.packet.base import MQTTPacket
from ohmqtt.property import (
    MQTTPubAckProps,
    MQTTPubCompProps,
    MQTTPublishProps,
    MQTTPubRecProps,
    MQTTPubRelProps,
)


@dataclass(match_args=True, slots=True)
class MQTTPublishPacket(MQTTPacket):
    """PUBLISH: a message.

    At QoS 1 and 2 its `packet_id` is 1 to 65,535 when it is sent. The topic may be empty when there is a TopicAlias.
    """

    packet_type: ClassVar[MQTTPacketType] = MQTTPacketType.PUBLISH
    props_type: ClassVar[type[MQTTPublishProps]] = MQTTPublishProps
    topic: str = ""
    payload: bytes = b""
    qos: MQTTQoS = MQTTQoS.Q0
    retain: bool = False
    packet_id: int = 0
    properties: MQTTPublishProps = field(default_factory=MQTTPublishProps)
    dup: bool = False

    def __str__(self) -> str:
        """Show the packet for people, of the payload the length."""
        return self._shown(
            f"topic={self.topic}",
            f"payload={len(self.payload)}B",
            f"qos={self.qos:d}",
            f"packet_id={self.packet_id}",
            f"retain={self.retain}",
            f"dup={self.dup}",
            f"properties={self.properties}",
        )


@dataclass(match_args=True, slots=True)
class MQTTPubAckPacket(MQTTPacket):
    """PUBACK: the end of a QoS 1 delivery."""

    packet_type: ClassVar[MQTTPacketType] = MQTTPacketType.PUBACK
    props_type: ClassVar[type[MQTTPubAckProps]] = MQTTPubAckProps
    packet_id: int
    reason_code: MQTTReasonCode = MQTTReasonCode.Success
    properties: MQTTPubAckProps = field(default_factory=MQTTPubAckProps)

    def __str__(self) -> str:
        """Show the packet for people."""
        return self._shown(
            f"packet_id={self.packet_id}",
            f"reason_code={self.reason_code:#x}",
            f"properties={self.properties}",
        )


@dataclass(match_args=True, slots=True)
class MQTTPubRecPacket(MQTTPacket):
    """PUBREC: step two of a QoS 2 delivery, or its end when the reason code is of an error."""

    packet_type: ClassVar[MQTTPacketType] = MQTTPacketType.PUBREC
    props_type: ClassVar[type[MQTTPubRecProps]] = MQTTPubRecProps
    packet_id: int
    reason_code: MQTTReasonCode = MQTTReasonCode.Success
    properties: MQTTPubRecProps = field(default_factory=MQTTPubRecProps)

    __str__ = MQTTPubAckPacket.__str__


@dataclass(match_args=True, slots=True)
class MQTTPubRelPacket(MQTTPacket):
    """PUBREL: step three of a QoS 2 delivery."""

    packet_type: ClassVar[MQTTPacketType] = MQTTPacketType.PUBREL
    props_type: ClassVar[type[MQTTPubRelProps]] = MQTTPubRelProps
    packet_id: int
    reason_code: MQTTReasonCode = MQTTReasonCode.Success
    properties: MQTTPubRelProps = field(default_factory=MQTTPubRelProps)

    __str__ = MQTTPubAckPacket.__str__


@dataclass(match_args=True, slots=True)
class MQTTPubCompPacket(MQTTPacket):
    """PUBCOMP: the end of a QoS 2 delivery."""

    packet_type: ClassVar[MQTTPacketType] = MQTTPacketType.PUBCOMP
    props_type: ClassVar[type[MQTTPubCompProps]] = MQTTPubCompProps
    packet_id: int
    reason_code: MQTTReasonCode = MQTTReasonCode.Success
    properties: MQTTPubCompProps = field(default_factory=MQTTPubCompProps)

    __str__ = MQTTPubAckPacket.__str__
