from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from ohmqtt import packet as packets
from ohmqtt.mqtt_spec import MQTTPacketType, MQTTQoS, MQTTReasonCode
from ohmqtt.packet import (
    PING,
    PONG,
    MQTTAuthPacket,
    MQTTConnAckPacket,
    MQTTConnectPacket,
    MQTTDisconnectPacket,
    MQTTPacket,
    MQTTPingReqPacket,
    MQTTPingRespPacket,
    MQTTPubAckPacket,
    MQTTPubCompPacket,
    MQTTPublishPacket,
    MQTTPubRecPacket,
    MQTTPubRelPacket,
    MQTTSubAckPacket,
    MQTTSubscribePacket,
    MQTTUnsubAckPacket,
    MQTTUnsubscribePacket,
    decode_packet,
    decode_packet_from_parts,
)
from ohmqtt.property import (
    MQTTAuthProps,
    MQTTConnAckProps,
    MQTTConnectProps,
    MQTTDisconnectProps,
    MQTTPubAckProps,
    MQTTPubCompProps,
    MQTTPublishProps,
    MQTTPubRecProps,
    MQTTPubRelProps,
    MQTTSubAckProps,
    MQTTSubscribeProps,
    MQTTUnsubAckProps,
    MQTTUnsubscribeProps,
    MQTTWillProps,
)

Code = MQTTReasonCode

# Packets and their bytes, written down by chapter 3 of the specification.
EXAMPLES: list[tuple[MQTTPacket, str]] = [
    (MQTTConnectPacket(), "10 0d 0004 4d515454 05 00 0000 00 0000"),
    (
        MQTTConnectPacket(
            "c",
            60,
            clean_start=True,
            will_props=MQTTWillProps(WillDelayInterval=5),
            will_topic="w",
            will_payload=b"\x00",
            will_qos=MQTTQoS.Q2,
            will_retain=True,
            username="u",
            password=b"p",
            properties=MQTTConnectProps(ReceiveMaximum=10),
        ),
        "10 23 0004 4d515454 05 f6 003c 03 21 000a  0001 63  05 18 00000005 0001 77 0001 00  0001 75  0001 70",
    ),
    (MQTTConnAckPacket(session_present=True), "20 03 01 00 00"),
    (
        MQTTConnAckPacket(Code.NotAuthorized, False, MQTTConnAckProps(ReasonString="no")),
        "20 08 00 87 05 1f 0002 6e6f",
    ),
    (MQTTPublishPacket("a/b", b"hi"), "30 08 0003 612f62 00 6869"),
    (
        MQTTPublishPacket("a", b"", MQTTQoS.Q1, True, 7, MQTTPublishProps(MessageExpiryInterval=1), True),
        "3b 0b 0001 61 0007 05 02 00000001",
    ),
    (
        MQTTPublishPacket("", b"x", MQTTQoS.Q2, packet_id=65535, properties=MQTTPublishProps(TopicAlias=3)),
        "34 09 0000 ffff 03 23 0003 78",
    ),
    (MQTTPubAckPacket(1), "40 02 0001"),
    (MQTTPubAckPacket(1, Code.NoMatchingSubscribers), "40 03 0001 10"),
    # Success is written when properties follow it.
    (MQTTPubAckPacket(1, properties=MQTTPubAckProps(ReasonString="ok")), "40 09 0001 00 05 1f 0002 6f6b"),
    (MQTTPubRecPacket(2), "50 02 0002"),
    (MQTTPubRecPacket(2, Code.QuotaExceeded), "50 03 0002 97"),
    (MQTTPubRecPacket(2, properties=MQTTPubRecProps(UserProperty=[("", "")])), "50 09 0002 00 05 26 0000 0000"),
    (MQTTPubRelPacket(3), "62 02 0003"),
    (MQTTPubRelPacket(3, Code.PacketIdentifierNotFound), "62 03 0003 92"),
    (MQTTPubRelPacket(3, properties=MQTTPubRelProps(ReasonString="")), "62 07 0003 00 03 1f 0000"),
    (MQTTPubCompPacket(4), "70 02 0004"),
    (MQTTPubCompPacket(4, Code.PacketIdentifierNotFound), "70 03 0004 92"),
    (MQTTPubCompPacket(4, properties=MQTTPubCompProps(ReasonString="")), "70 07 0004 00 03 1f 0000"),
    (
        MQTTSubscribePacket([("a/+", 1), ("$share/g/#", 0x2A)], 5),
        "82 16 0005 00 0003 612f2b 01 000a 2473686172652f672f23 2a",
    ),
    (
        MQTTSubscribePacket([("a", 0x16)], 5, MQTTSubscribeProps(SubscriptionIdentifier={9})),
        "82 09 0005 02 0b 09 0001 61 16",
    ),
    (MQTTSubAckPacket(5, [Code.GrantedQoS1, Code.NotAuthorized]), "90 05 0005 00 01 87"),
    (MQTTSubAckPacket(5, [Code.Success], MQTTSubAckProps(ReasonString="")), "90 07 0005 03 1f 0000 00"),
    (MQTTUnsubscribePacket(["a", "b/#"], 6), "a2 0b 0006 00 0001 61 0003 622f23"),
    (
        MQTTUnsubscribePacket(["a"], 6, MQTTUnsubscribeProps(UserProperty=[("k", "v")])),
        "a2 0d 0006 07 26 0001 6b 0001 76 0001 61",
    ),
    (MQTTUnsubAckPacket(6, [Code.Success, Code.NoSubscriptionExisted]), "b0 05 0006 00 00 11"),
    (MQTTUnsubAckPacket(6, [Code.Success], MQTTUnsubAckProps(ReasonString="")), "b0 07 0006 03 1f 0000 00"),
    (MQTTPingReqPacket(), "c0 00"),
    (MQTTPingRespPacket(), "d0 00"),
    (MQTTDisconnectPacket(), "e0 00"),
    (MQTTDisconnectPacket(Code.ServerBusy), "e0 01 89"),
    (MQTTDisconnectPacket(properties=MQTTDisconnectProps(SessionExpiryInterval=0)), "e0 07 00 05 11 00000000"),
    (MQTTAuthPacket(), "f0 00"),
    (
        MQTTAuthPacket(Code.ContinueAuthentication, MQTTAuthProps(AuthenticationMethod="m", AuthenticationData=b"d")),
        "f0 0a 18 08 15 0001 6d 16 0001 64",
    ),
]
EXAMPLE_SUBSCRIBE = bytes.fromhex("82 07 0005 00 0001 61 01")
NAMES = [f"{type(packet).__name__}-{at}" for at, (packet, _) in enumerate(EXAMPLES)]


@pytest.mark.parametrize(("packet", "wire"), EXAMPLES, ids=NAMES)
def test_a_packet_has_the_bytes_of_the_specification(packet: MQTTPacket, wire: str) -> None:
    data = bytes.fromhex(wire)
    assert packet.encode() == data
    read = decode_packet(data)
    assert read == packet
    assert type(read) is type(packet)
    assert (repr(read), str(read)) == (repr(packet), str(packet))
    assert read.encode() == data


@pytest.mark.parametrize(("packet", "wire"), EXAMPLES, ids=NAMES)
def test_a_packet_is_read_from_parts(packet: MQTTPacket, wire: str) -> None:
    data = bytes.fromhex(wire)
    head, body = data[0], memoryview(data)[2:]
    assert decode_packet_from_parts(head, body) == packet
    assert type(packet).decode(head & 0x0F, body) == packet
    assert decode_packet(memoryview(data)) == decode_packet(bytearray(data)) == packet


def test_there_is_an_example_of_every_packet() -> None:
    classes = {type(packet) for packet, _ in EXAMPLES}
    assert {cls.packet_type for cls in classes} == set(MQTTPacketType)
    assert {cls.__name__ for cls in classes} == {name for name in packets.__all__ if name.endswith("Packet")} - {
        "MQTTPacket"
    }


def test_the_fields_of_packets_are_in_their_order() -> None:
    assert MQTTPublishPacket.__match_args__ == ("topic", "payload", "qos", "retain", "packet_id", "properties", "dup")
    assert MQTTConnectPacket.__match_args__ == (
        *("client_id", "keep_alive", "protocol_version", "clean_start", "will_props", "will_topic", "will_payload"),
        *("will_qos", "will_retain", "username", "password", "properties"),
    )
    assert MQTTConnAckPacket.__match_args__ == ("reason_code", "session_present", "properties")
    for ack in (MQTTPubAckPacket, MQTTPubRecPacket, MQTTPubRelPacket, MQTTPubCompPacket):
        assert ack.__match_args__ == ("packet_id", "reason_code", "properties")
    assert (
        MQTTSubscribePacket.__match_args__
        == MQTTUnsubscribePacket.__match_args__
        == ("topics", "packet_id", "properties")
    )
    assert (
        MQTTSubAckPacket.__match_args__
        == MQTTUnsubAckPacket.__match_args__
        == ("packet_id", "reason_codes", "properties")
    )
    assert MQTTDisconnectPacket.__match_args__ == MQTTAuthPacket.__match_args__ == ("reason_code", "properties")


def test_the_defaults_of_packets() -> None:
    assert repr(MQTTConnectPacket()) == (
        "MQTTConnectPacket(client_id='', keep_alive=0, protocol_version=5, clean_start=False,"
        " will_props=MQTTWillProps(), will_topic='', will_payload=b'', will_qos=0, will_retain=False,"
        " username=None, password=None, properties=MQTTConnectProps())"
    )
    assert repr(MQTTPublishPacket()) == (
        "MQTTPublishPacket(topic='', payload=b'', qos=<MQTTQoS.Q0: 0>, retain=False, packet_id=0,"
        " properties=MQTTPublishProps(), dup=False)"
    )
    assert repr(MQTTConnAckPacket()) == (
        "MQTTConnAckPacket(reason_code=<MQTTReasonCode.Success: 0>, session_present=False,"
        " properties=MQTTConnAckProps())"
    )
    assert repr(MQTTSubscribePacket()) == "MQTTSubscribePacket(topics=(), packet_id=0, properties=MQTTSubscribeProps())"
    assert repr(MQTTSubAckPacket(1)) == "MQTTSubAckPacket(packet_id=1, reason_codes=(), properties=MQTTSubAckProps())"
    assert repr(MQTTPingRespPacket()) == "MQTTPingRespPacket()"


def test_packets_are_shown_for_people() -> None:
    props = MQTTPublishProps(ContentType="t")
    shown = {
        MQTTPublishPacket("a", b"x", MQTTQoS.Q1, True, 7, props, True).__str__(): (
            "PUBLISH[topic=a, payload=1B, qos=1, packet_id=7, retain=True, dup=True,"
            " properties=MQTTPublishProps(ContentType=t)]"
        ),
        str(MQTTConnAckPacket(Code.NotAuthorized)): (
            "CONNACK[reason_code=0x87, session_present=False, properties=MQTTConnAckProps()]"
        ),
        str(MQTTPubAckPacket(1)): "PUBACK[packet_id=1, reason_code=0x0, properties=MQTTPubAckProps()]",
        str(MQTTPubRecPacket(1)): "PUBREC[packet_id=1, reason_code=0x0, properties=MQTTPubRecProps()]",
        str(MQTTPubRelPacket(1)): "PUBREL[packet_id=1, reason_code=0x0, properties=MQTTPubRelProps()]",
        str(MQTTPubCompPacket(1)): "PUBCOMP[packet_id=1, reason_code=0x0, properties=MQTTPubCompProps()]",
        str(MQTTSubscribePacket([("a", 1)], 3)): (
            "SUBSCRIBE[packet_id=3, topics=[('a', 1)], properties=MQTTSubscribeProps()]"
        ),
        str(MQTTSubAckPacket(3, [Code.GrantedQoS1])): (
            "SUBACK[packet_id=3, reason_codes=['0x1'], properties=MQTTSubAckProps()]"
        ),
        str(
            MQTTUnsubscribePacket(["a"], 3)
        ): "UNSUBSCRIBE[packet_id=3, topics=['a'], properties=MQTTUnsubscribeProps()]",
        str(MQTTUnsubAckPacket(3, [Code.Success])): (
            "UNSUBACK[packet_id=3, reason_codes=['0x0'], properties=MQTTUnsubAckProps()]"
        ),
        str(MQTTPingReqPacket()): "PINGREQ[]",
        str(MQTTPingRespPacket()): "PINGRESP[]",
        str(MQTTDisconnectPacket()): "DISCONNECT[reason_code=0x0, properties=MQTTDisconnectProps()]",
        str(MQTTAuthPacket()): "AUTH[reason_code=0x0, properties=MQTTAuthProps()]",
    }
    for given, wanted in shown.items():
        assert given == wanted


def test_a_password_is_not_shown() -> None:
    packet = MQTTConnectPacket("c", 5, will_topic="w", will_payload=b"x", username="u", password=b"pw")
    assert str(packet) == (
        "CONNECT[client_id=c, keep_alive=5, protocol_version=5, clean_start=False, username=u, password=2B,"
        " will_topic=w, will_payload=1B, will_qos=0, will_retain=False, will_props=MQTTWillProps(),"
        " properties=MQTTConnectProps()]"
    )
    assert "password=None, will_topic=, will_payload=None" in str(MQTTConnectPacket())
    assert "password=<hidden>" in repr(packet)
    assert "pw" not in repr(packet)


def test_packets_are_mutable_and_have_no_hash() -> None:
    packet = MQTTPublishPacket("a")
    packet.topic, packet.properties.ContentType = "b", "t"
    assert packet == MQTTPublishPacket("b", properties=MQTTPublishProps(ContentType="t"))
    assert MQTTPublishPacket("a").properties is not MQTTPublishPacket("a").properties
    with pytest.raises(TypeError):
        hash(packet)
    with pytest.raises(AttributeError):
        packet.topics = []  # type: ignore[attr-defined]
    match packet:
        case MQTTPublishPacket("b", b""):
            pass
        case _:
            pytest.fail("it matches by its fields in their order")


@pytest.mark.parametrize(("packet", "wire"), EXAMPLES, ids=NAMES)
def test_packets_can_be_copied_and_pickled(packet: MQTTPacket, wire: str) -> None:
    for again in (copy.deepcopy(packet), pickle.loads(pickle.dumps(packet))):
        assert again == packet
        assert again is not packet
        assert again.encode() == bytes.fromhex(wire)


def test_pings_are_two_bytes_each() -> None:
    assert (PING, PONG) == (b"\xc0\x00", b"\xd0\x00")
    assert not hasattr(MQTTPingReqPacket, "props_type")
    assert MQTTAuthPacket.props_type is MQTTAuthProps


def test_what_is_read_has_the_types_of_its_fields() -> None:
    read: Any = decode_packet(bytes.fromhex("34 06 0001 61 0002 00"))
    assert type(read.qos) is MQTTQoS
    assert type(read.payload) is bytes
    read = decode_packet(bytes.fromhex("90 05 0005 00 01 87"))
    assert read.reason_codes == [Code.GrantedQoS1, Code.NotAuthorized]
    assert all(type(code) is Code for code in read.reason_codes)
    read = decode_packet(EXAMPLE_SUBSCRIBE)
    assert read.topics == [("a", 1)]


def test_numbers_and_sequences_of_other_types_will_do() -> None:
    assert MQTTPublishPacket("a", bytearray(b"x"), 1, packet_id=5).encode() == bytes.fromhex("32 07 0001 61 0005 00 78")  # type: ignore[arg-type]
    assert MQTTPubAckPacket(1, 0x87).encode() == bytes.fromhex("40 03 0001 87")  # type: ignore[arg-type]
    assert MQTTSubscribePacket((("a", 1),), 5).encode() == EXAMPLE_SUBSCRIBE
    # Nobody acknowledges QoS 0: its packet identifier is not sent.
    assert MQTTPublishPacket("a", packet_id=5).encode() == bytes.fromhex("30 04 0001 61 00")
