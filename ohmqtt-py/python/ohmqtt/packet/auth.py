"""AUTH: a step of enhanced authentication."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from ohmqtt.mqtt_spec import MQTTPacketType, MQTTReasonCode
from ohmqtt.packet.base import MQTTPacket
from ohmqtt.property import MQTTAuthProps


@dataclass(match_args=True, slots=True)
class MQTTAuthPacket(MQTTPacket):
    """AUTH: a step of enhanced authentication. Its properties name the method, but for the AUTH of no bytes."""

    packet_type: ClassVar[MQTTPacketType] = MQTTPacketType.AUTH
    props_type: ClassVar[type[MQTTAuthProps]] = MQTTAuthProps
    reason_code: MQTTReasonCode = MQTTReasonCode.Success
    properties: MQTTAuthProps = field(default_factory=MQTTAuthProps)

    def __str__(self) -> str:
        """Show the packet for people."""
        return self._shown(f"reason_code={self.reason_code:#x}", f"properties={self.properties}")
