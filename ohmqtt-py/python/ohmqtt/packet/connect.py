"""CONNECT, CONNACK and DISCONNECT: the beginning and the end of a connection."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import ClassVar

from ohmqtt.mqtt_spec import MQTTPacketType, MQTTReasonCode
from ohmqtt.packet.base import MQTTPacket
from ohmqtt.property import MQTTConnAckProps, MQTTConnectProps, MQTTDisconnectProps, MQTTWillProps


@dataclass(match_args=True, slots=True, repr=False)
class MQTTConnectPacket(MQTTPacket):
    """CONNECT: a client asks for a session. `keep_alive` is in seconds, 0 for none.

    It has a will when there is a `will_topic`.
    """

    packet_type: ClassVar[MQTTPacketType] = MQTTPacketType.CONNECT
    props_type: ClassVar[type[MQTTConnectProps]] = MQTTConnectProps
    client_id: str = ""
    keep_alive: int = 0
    protocol_version: int = 5
    clean_start: bool = False
    will_props: MQTTWillProps = field(default_factory=MQTTWillProps)
    will_topic: str = ""
    will_payload: bytes = b""
    will_qos: int = 0
    will_retain: bool = False
    username: str | None = None
    password: bytes | None = None
    properties: MQTTConnectProps = field(default_factory=MQTTConnectProps)

    def __repr__(self) -> str:
        """Show all fields, but not the password."""
        shown = ((one.name, getattr(self, one.name)) for one in fields(self))
        values = (
            f"{name}=<hidden>" if name == "password" and value is not None else f"{name}={value!r}"
            for name, value in shown
        )
        return f"{type(self).__name__}({', '.join(values)})"

    def __str__(self) -> str:
        """Show the packet for people, of password and will payload the length."""
        return self._shown(
            f"client_id={self.client_id}",
            f"keep_alive={self.keep_alive}",
            f"protocol_version={self.protocol_version}",
            f"clean_start={self.clean_start}",
            f"username={self.username}",
            f"password={_length(self.password)}",
            f"will_topic={self.will_topic}",
            f"will_payload={_length(self.will_payload)}",
            f"will_qos={self.will_qos:d}",
            f"will_retain={self.will_retain}",
            f"will_props={self.will_props}",
            f"properties={self.properties}",
        )


def _length(data: bytes | None) -> str:
    return f"{len(data)}B" if data else "None"


@dataclass(match_args=True, slots=True)
class MQTTConnAckPacket(MQTTPacket):
    """CONNACK: the server's answer to a CONNECT."""

    packet_type: ClassVar[MQTTPacketType] = MQTTPacketType.CONNACK
    props_type: ClassVar[type[MQTTConnAckProps]] = MQTTConnAckProps
    reason_code: MQTTReasonCode = MQTTReasonCode.Success
    session_present: bool = False
    properties: MQTTConnAckProps = field(default_factory=MQTTConnAckProps)

    def __str__(self) -> str:
        """Show the packet for people."""
        return self._shown(
            f"reason_code={self.reason_code:#x}",
            f"session_present={self.session_present}",
            f"properties={self.properties}",
        )


@dataclass(match_args=True, slots=True)
class MQTTDisconnectPacket(MQTTPacket):
    """DISCONNECT: the last packet of a connection."""

    packet_type: ClassVar[MQTTPacketType] = MQTTPacketType.DISCONNECT
    props_type: ClassVar[type[MQTTDisconnectProps]] = MQTTDisconnectProps
    reason_code: MQTTReasonCode = MQTTReasonCode.Success
    properties: MQTTDisconnectProps = field(default_factory=MQTTDisconnectProps)

    def __str__(self) -> str:
        """Show the packet for people."""
        return self._shown(f"reason_code={self.reason_code:#x}", f"properties={self.properties}")
