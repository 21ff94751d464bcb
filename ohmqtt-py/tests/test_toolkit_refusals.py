"""Packets that there are not: refused when they are decoded, and when they are encoded."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from ohmqtt.error import MQTTError
from ohmqtt.mqtt_spec import MQTTQoS, MQTTReasonCode
from ohmqtt.packet import (
    MQTTAuthPacket,
    MQTTConnectPacket,
    MQTTDisconnectPacket,
    MQTTPacket,
    MQTTPubAckPacket,
    MQTTPublishPacket,
    MQTTPubRelPacket,
    MQTTSubAckPacket,
    MQTTSubscribePacket,
    MQTTUnsubscribePacket,
    decode_packet,
    decode_packet_from_parts,
)
from ohmqtt.property import MQTTAuthProps, MQTTPublishProps, MQTTWillProps

CONNECT = "0004 4d515454 05"

DECODED = [
    # Flags.
    ("00 00", "packet type: type 0 is reserved", "MalformedPacket"),
    ("c1 00", "PINGREQ: flags", "MalformedPacket"),
    ("60 02 0001", "PUBREL: flags", "MalformedPacket"),
    ("80 07 0005 00 0001 61 01", "SUBSCRIBE: flags", "MalformedPacket"),
    ("36 06 0001 61 0002 00", "QoS 3 does not exist", "MalformedPacket"),
    ("38 04 0001 61 00", "DUP is set at QoS 0", "MalformedPacket"),
    (f"10 0d {CONNECT} 01 0000 00 0000", "connect flags", "MalformedPacket"),
    (f"10 0d {CONNECT} 08 0000 00 0000", "connect flags", "MalformedPacket"),
    (f"10 13 {CONNECT} 1c 0000 00 0000 00 0001 77 0000", "will QoS", "MalformedPacket"),
    ("20 03 02 00 00", "acknowledge flags", "MalformedPacket"),
    ("20 03 01 87 00", "session present", "ProtocolError"),
    # Lengths.
    ("", "the bytes end before a packet does", "MalformedPacket"),
    ("30", "PUBLISH: the bytes end before the packet does", "MalformedPacket"),
    ("30 05 0001 61 00", "PUBLISH: the bytes end before the packet does", "MalformedPacket"),
    ("30 04 0001 61 00 00", "PUBLISH: end of packet: 1 bytes follow it", "MalformedPacket"),
    ("30 8400 0001 61 00", "longer than it need be", "MalformedPacket"),
    ("30 ffffffff01", "longer than four bytes", "MalformedPacket"),
    ("40 01 00", "PUBACK: packet identifier", "MalformedPacket"),
    ("c0 01 00", "PINGREQ: end of packet", "MalformedPacket"),
    ("40 05 0001 00 00 00", "1 bytes follow the last field", "MalformedPacket"),
    ("e0 03 00 00 00", "1 bytes follow the last field", "MalformedPacket"),
    # Strings.
    ("30 04 0001 ff 00", "topic name: is not UTF-8", "MalformedPacket"),
    ("30 04 0001 00 00", r"topic name: has U\+0000", "MalformedPacket"),
    ("30 06 0003 eda080 00", "topic name: is not UTF-8", "MalformedPacket"),
    # Topics.
    ("30 04 0001 23 00", "topic name: contains the wildcard '#'", "TopicNameInvalid"),
    ("30 03 0000 00", "topic name: is empty", "ProtocolError"),
    ("30 08 0001 61 04 08 0001 2b", "Response Topic: contains the wildcard", "TopicNameInvalid"),
    ("82 08 0001 00 0002 612b 00", "topic filter", "TopicFilterInvalid"),
    ("82 06 0001 00 0000 00", "topic filter", "TopicFilterInvalid"),
    # Packet identifiers.
    ("32 06 0001 61 0000 00", "PUBLISH: packet identifier: is 0", "ProtocolError"),
    ("40 02 0000", "PUBACK: packet identifier: is 0", "ProtocolError"),
    ("82 07 0000 00 0001 61 01", "SUBSCRIBE: packet identifier: is 0", "ProtocolError"),
    ("90 04 0000 00 00", "SUBACK: packet identifier: is 0", "ProtocolError"),
    # Properties.
    ("30 06 0001 61 02 7e 00", "identifier 0x7e is of no property", "MalformedPacket"),
    ("40 07 0001 00 03 23 0001", "Topic Alias is not allowed here", "MalformedPacket"),
    ("30 0a 0001 61 06 23 0001 23 0001", "Topic Alias: stands there twice", "ProtocolError"),
    ("30 06 0001 61 02 01 02", "Payload Format Indicator: is 2", "ProtocolError"),
    ("20 05 00 00 02 24 02", "Maximum QoS: is 2", "ProtocolError"),
    ("30 06 0001 61 02 0b 00", "Subscription Identifier: is 0", "ProtocolError"),
    ("20 06 00 00 03 21 0000", "Receive Maximum: is 0", "ProtocolError"),
    ("20 08 00 00 05 27 00000000", "Maximum Packet Size: is 0", "ProtocolError"),
    ("30 07 0001 61 03 23 0000", "Topic Alias: is 0", "TopicAliasInvalid"),
    ("30 06 0001 61 03 23 00", "PUBLISH: properties", "MalformedPacket"),
    ("f0 02 18 00", "Authentication Method: is missing", "ProtocolError"),
    # Options and reason codes.
    ("82 07 0005 00 0001 61 40", "subscription options", "MalformedPacket"),
    ("82 07 0005 00 0001 61 03", "subscription options", "ProtocolError"),
    ("82 0f 0005 00 000a 2473686172652f672f61", "subscription options: the packet ends", "MalformedPacket"),
    ("82 10 0005 00 000a 2473686172652f672f61 04", "No Local is set on a shared subscription", "ProtocolError"),
    ("40 03 0001 05", "reason code: 0x05 is not defined", "ProtocolError"),
    ("40 03 0001 92", "reason code: .* is not for this packet", "ProtocolError"),
    ("20 03 00 18 00", "reason code: .* is not for this packet", "ProtocolError"),
    # Empty lists.
    ("82 03 0005 00", "topic filter: there is none", "ProtocolError"),
    ("a2 03 0006 00", "topic filter: there is none", "ProtocolError"),
    ("90 03 0005 00", "reason code: there is none", "ProtocolError"),
    # Another protocol.
    ("10 0d 0004 4d515454 04 00 0000 00 0000", "only 5 is spoken here", "UnsupportedProtocolVersion"),
    ("10 0d 0004 4d515458 05 00 0000 00 0000", "protocol name", "UnsupportedProtocolVersion"),
]


@pytest.mark.parametrize(("wire", "message", "reason"), DECODED)
def test_bytes_that_are_no_packet_are_refused_with_the_reason_to_answer(wire: str, message: str, reason: str) -> None:
    with pytest.raises(MQTTError, match=message) as raised:
        decode_packet(bytes.fromhex(wire))
    assert raised.value.reason_code is MQTTReasonCode[reason]


def test_whatever_the_bytes_the_error_is_one_of_mqtts_or_the_packet_is_one() -> None:
    random = Random(8)
    frames = [bytes.fromhex(wire) for wire, _, _ in DECODED if len(wire) > 4]
    read = 0
    for _ in range(20_000):
        frame = bytearray(random.choice(frames))
        for _ in range(random.randrange(1, 4)):
            frame[random.randrange(len(frame))] = random.randrange(256)
        # Most with the length they have.
        if random.random() < 0.8 and len(frame) < 128:
            frame[1] = len(frame) - 2
        try:
            packet = decode_packet(frame)
        except MQTTError:
            continue
        assert decode_packet(packet.encode()) == packet
        read += 1
    assert read > 100


def test_parts_that_are_no_packet_are_refused_alike() -> None:
    with pytest.raises(MQTTError, match="PUBACK: packet identifier: is 0") as raised:
        decode_packet_from_parts(0x40, memoryview(b"\x00\x00"))
    assert raised.value.reason_code is MQTTReasonCode.ProtocolError
    with pytest.raises(MQTTError, match="DISCONNECT: flags"):
        MQTTDisconnectPacket.decode(1, memoryview(b""))
    with pytest.raises(TypeError, match="expected bytes"):
        decode_packet("text")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("packet", "message"),
    [
        (MQTTPublishPacket("a", qos=MQTTQoS.Q1), "packet_id: 0 is not from 1 to 65535"),
        (MQTTPublishPacket("a", qos=MQTTQoS.Q1, packet_id=65_536), "packet_id: 65536 is not from"),
        (MQTTPubAckPacket(0), "packet_id: 0 is not from"),
        (MQTTSubscribePacket([("a", 1)]), "packet_id: 0 is not from"),
        (MQTTUnsubscribePacket(["a"]), "packet_id: 0 is not from"),
        (MQTTSubAckPacket(0, [MQTTReasonCode.Success]), "packet_id: 0 is not from"),
        (MQTTPublishPacket("a/+"), "topic: .* contains the wildcard"),
        (MQTTPublishPacket(""), "topic: .* is empty"),
        (MQTTPublishPacket("a", qos=3, packet_id=1), "qos: 3 is not from 0 to 2"),  # type: ignore[arg-type]
        (MQTTPublishPacket("a", dup=True), "dup: is False at QoS 0"),
        (MQTTPublishPacket("a", properties=MQTTPublishProps(TopicAlias=0)), "Topic Alias: is 0"),
        (MQTTSubscribePacket([], 1), "topics: there is none"),
        (MQTTSubscribePacket([("a+", 1)], 1), r"topics: .* has a '\+' that is not a whole level"),
        (MQTTSubscribePacket([("a", 0x40)], 1), "topics: bits 0b01000000 are not allowed"),
        (MQTTSubscribePacket([("a", 999)], 1), "topics: bits 0b11111111 are not allowed"),
        (MQTTSubscribePacket([("$share/g/a", 4)], 1), "topics: .* is a shared subscription: leave No Local off"),
        (MQTTUnsubscribePacket([], 1), "topics: there is none"),
        (MQTTSubAckPacket(1), "reason_codes: there is none"),
        (MQTTSubAckPacket(1, [MQTTReasonCode.ServerBusy]), "reason_code: .* is not for SUBACK"),
        (MQTTPubRelPacket(1, MQTTReasonCode.NotAuthorized), "reason_code: .* is not for PUBREL"),
        (MQTTPubAckPacket(1, 5), "reason_code: .* is not defined"),  # type: ignore[arg-type]
        (MQTTConnectPacket(protocol_version=4), "protocol_version: is 4, only 5"),
        (MQTTConnectPacket(keep_alive=65_536), "keep_alive: 65536 is not from"),
        (MQTTConnectPacket(will_qos=1), "will_topic: .* is empty"),
        (MQTTConnectPacket(will_payload=b"x"), "will_topic: .* is empty"),
        (MQTTConnectPacket(will_props=MQTTWillProps(WillDelayInterval=1)), "will_topic: .* is empty"),
        (MQTTConnectPacket(will_topic="#"), "will_topic: .* contains the wildcard"),
        (MQTTConnectPacket(will_topic="w", will_payload=bytes(65_536)), "will_payload: 65536 bytes"),
        (MQTTConnectPacket("\0"), r"client_id: .* has U\+0000"),
        (MQTTAuthPacket(MQTTReasonCode.ReAuthenticate), "properties: an AUTH names its AuthenticationMethod"),
        (MQTTAuthPacket(properties=MQTTAuthProps(ReasonString="r")), "Authentication Method: is missing"),
    ],
)
def test_a_packet_mqtt_does_not_have_is_refused_when_it_is_encoded(packet: MQTTPacket, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        packet.encode()


@pytest.mark.parametrize(
    ("packet", "fields", "message"),
    [
        (MQTTPublishPacket, ("a", "text"), "payload: expected bytes, not 'str'"),
        (MQTTPublishPacket, (b"a",), "topic: expected str, not 'bytes'"),
        (MQTTPublishPacket, ("a", b"", "1"), "qos: expected int, not 'str'"),
        (MQTTPublishPacket, ("a", b"", 0, False, 0, {}), "properties: expected properties such as"),
        (MQTTSubscribePacket, (["a"], 1), r"topics: expected \(str, int\) each, not 'str'"),
        (MQTTSubscribePacket, ("a", 1), "topics: expected a sequence of them, not 'str'"),
        (MQTTUnsubscribePacket, ([1], 1), "topics: expected str each, not 'int'"),
        (MQTTSubAckPacket, (1, ["a"]), "reason_codes: expected int each, not 'str'"),
        (MQTTSubAckPacket, (1, 5), "reason_codes: expected a sequence, not 'int'"),
        (MQTTPubAckPacket, ("1",), "packet_id: expected int, not 'str'"),
        (MQTTConnectPacket, (5,), "client_id: expected str, not 'int'"),
    ],
)
def test_a_field_of_another_type_is_refused_when_it_is_encoded(
    packet: type[Any], fields: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        packet(*fields).encode()
