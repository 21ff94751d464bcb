"""What all packets have, and decoding whichever comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ohmqtt._native import toolkit_decode, toolkit_decode_parts, toolkit_encode

if TYPE_CHECKING:
    from typing_extensions import Buffer, Self

    from ohmqtt.mqtt_spec import MQTTPacketType
    from ohmqtt.property import MQTTProperties


class MQTTPacket:
    """A control packet. Packets compare by their fields and have no hash."""

    __slots__ = ()

    packet_type: ClassVar[MQTTPacketType]
    """Which packet it is."""
    props_type: ClassVar[type[MQTTProperties]]
    """The class of its properties; PINGREQ and PINGRESP have none."""

    def encode(self) -> bytes:
        """Give the packet as bytes, in its shortest form.

        ValueError for what MQTT has no packet for, TypeError for a field of the wrong type.
        """
        return toolkit_encode(self)

    @classmethod
    def decode(cls, flags: int, data: Buffer) -> Self:
        """Read a packet of this class from the flags of its first byte and what follows its length.

        MQTTError with the reason code to answer when that is none.
        """
        packet: Self = toolkit_decode_parts(cls.packet_type << 4 | flags, data)
        return packet

    def _shown(self, *fields: str) -> str:
        return f"{self.packet_type.name}[{', '.join(fields)}]"


def decode_packet(data: Buffer) -> MQTTPacket:
    """Read the packet that these bytes are, all of them.

    MQTTError with the reason code to answer when they are no packet, a part of one, or more than one.
    """
    packet: MQTTPacket = toolkit_decode(data)
    return packet


def decode_packet_from_parts(head: int, data: Buffer) -> MQTTPacket:
    """Read a packet from its first byte and what follows its length; MQTTError as `decode_packet`."""
    packet: MQTTPacket = toolkit_decode_parts(head, data)
    return packet
