"""The control packets of MQTT 5.0, mutable, and to bytes and back.

    >>> from ohmqtt.packet import MQTTPublishPacket, decode_packet
    >>> data = MQTTPublishPacket("a/b", b"hello").encode()
    >>> print(decode_packet(data))
    PUBLISH[topic=a/b, payload=5B, qos=0, packet_id=0, retain=False, dup=False, properties=MQTTPublishProps()]

What a packet may hold is looked at when it is encoded (`ValueError`) and decoded (`MQTTError` with the reason code to
answer). `ohmqtt.codec` has the same packets immutable, checked when they are made.
"""

from __future__ import annotations

from ohmqtt.packet.auth import MQTTAuthPacket
from ohmqtt.packet.base import MQTTPacket, decode_packet, decode_packet_from_parts
from ohmqtt.packet.connect import MQTTConnAckPacket, MQTTConnectPacket, MQTTDisconnectPacket
from ohmqtt.packet.ping import PING, PONG, MQTTPingReqPacket, MQTTPingRespPacket
from ohmqtt.packet.publish import (
    MQTTPubAckPacket,
    MQTTPubCompPacket,
    MQTTPublishPacket,
    MQTTPubRecPacket,
    MQTTPubRelPacket,
)
from ohmqtt.packet.subscribe import (
    MQTTSubAckPacket,
    MQTTSubscribePacket,
    MQTTUnsubAckPacket,
    MQTTUnsubscribePacket,
)

__all__ = [
    "PING",
    "PONG",
    "MQTTAuthPacket",
    "MQTTConnAckPacket",
    "MQTTConnectPacket",
    "MQTTDisconnectPacket",
    "MQTTPacket",
    "MQTTPingReqPacket",
    "MQTTPingRespPacket",
    "MQTTPubAckPacket",
    "MQTTPubCompPacket",
    "MQTTPubRecPacket",
    "MQTTPubRelPacket",
    "MQTTPublishPacket",
    "MQTTSubAckPacket",
    "MQTTSubscribePacket",
    "MQTTUnsubAckPacket",
    "MQTTUnsubscribePacket",
    "decode_packet",
    "decode_packet_from_parts",
]
