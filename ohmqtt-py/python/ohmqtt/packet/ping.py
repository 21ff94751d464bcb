"""PINGREQ and PINGRESP: are you there, and I am."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from ohmqtt.mqtt_spec import MQTTPacketType
from ohmqtt.packet.base import MQTTPacket


@dataclass(match_args=True, slots=True)
class MQTTPingReqPacket(MQTTPacket):
    """PINGREQ: tell me that you are there."""

    packet_type: ClassVar[MQTTPacketType] = MQTTPacketType.PINGREQ

    def __str__(self) -> str:
        """Show the packet for people."""
        return self._shown()


@dataclass(match_args=True, slots=True)
class MQTTPingRespPacket(MQTTPacket):
    """PINGRESP: I am."""

    packet_type: ClassVar[MQTTPacketType] = MQTTPacketType.PINGRESP

    def __str__(self) -> str:
        """Show the packet for people."""
        return self._shown()


PING: Final = MQTTPingReqPacket().encode()
"""The bytes of a PINGREQ."""
PONG: Final = MQTTPingRespPacket().encode()
"""The bytes of a PINGRESP."""
