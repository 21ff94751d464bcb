from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import pytest

import ohmqtt.codec
from ohmqtt.codec import (
    AuthPacket,
    AuthReasonCode,
    ConnAckPacket,
    ConnAckReasonCode,
    ConnectPacket,
    DisconnectPacket,
    DisconnectReasonCode,
    Packet,
    PubAckPacket,
    PubAckReasonCode,
    PubCompPacket,
    PubCompReasonCode,
    PublishPacket,
    PubRecPacket,
    PubRecReasonCode,
    PubRelPacket,
    PubRelReasonCode,
    QoS,
    RetainHandling,
    SubAckPacket,
    SubAckReasonCode,
    SubscribePacket,
    TopicFilter,
    UnsubAckPacket,
    UnsubAckReasonCode,
    UnsubscribePacket,
    Will,
    read,
)
from packets import ALL, FULL, USER, WILL

HUGE = 10**30


def attributes(packet: object) -> dict[str, Any]:
    return {name: getattr(packet, name) for name in dir(type(packet)) if not name.startswith("_") and name != "write"}


@pytest.mark.parametrize("packet", [*ALL, WILL, TopicFilter("a")], ids=repr)
def test_equal_packets_hash_and_pickle_alike(packet: Packet) -> None:
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(packet, protocol))
        assert again == packet
        assert hash(again) == hash(packet)
        assert attributes(again) == attributes(packet)
    assert copy.copy(packet) == packet == copy.deepcopy(packet)
    assert packet != "packet"
    assert len({other for other in ALL if other == packet}) <= 1


@pytest.mark.parametrize("packet", FULL, ids=repr)
def test_every_attribute_can_be_told_from_its_default(packet: Packet) -> None:
    _, keywords = packet.__getnewargs_ex__()
    names = attributes(packet).keys() - set(packet.__match_args__)
    assert names - keywords.keys() <= {"reason_code"}


@pytest.mark.parametrize("packet", FULL, ids=repr)
def test_attributes_cannot_be_set(packet: Packet) -> None:
    for name in [*attributes(packet), "another"]:
        with pytest.raises(AttributeError):
            setattr(packet, name, None)


def test_attributes_are_what_was_given() -> None:
    connect, _ = read(FULL[0].write())
    assert isinstance(connect, ConnectPacket)
    assert (connect.client_id, connect.username, connect.password) == ("me", "user", b"secret")
    assert (connect.keep_alive, connect.session_expiry_interval) == (60, 0xFFFFFFFF)
    assert (connect.receive_max, connect.topic_alias_max, connect.max_packet_size) == (10, 11, 12)
    assert (connect.request_problem_info, connect.request_response_info) == (False, True)
    assert connect.will == WILL
    assert connect.will.will_delay_interval == 4
    assert connect.user_properties == USER
    publish, _ = read(FULL[2].write())
    assert isinstance(publish, PublishPacket)
    assert publish.qos is QoS.AT_LEAST_ONCE
    assert publish.subscription_ids == (1, 268_435_455)
    assert (publish.packet_id, publish.duplicate, publish.retain, publish.topic_alias) == (7, True, True, 9)
    subscribe, _ = read(FULL[7].write())
    assert isinstance(subscribe, SubscribePacket)
    assert [each.pattern for each in subscribe.topic_filters] == ["a/+", "b/#", "$share/g/c"]
    assert subscribe.topic_filters[1].retain_handling is RetainHandling.SEND_NEVER


def test_defaults_are_those_of_the_protocol() -> None:
    connack = ConnAckPacket()
    assert connack.reason_code is ConnAckReasonCode.SUCCESS
    assert (connack.receive_max, connack.topic_alias_max, connack.max_qos) == (65535, 0, QoS.EXACTLY_ONCE)
    assert connack.retain_available
    assert connack.user_properties == ()
    assert Will("a").payload == b""
    assert TopicFilter("a").max_qos is QoS.EXACTLY_ONCE
    assert TopicFilter("a").retain_as_published


def test_packets_match() -> None:
    match read(PublishPacket("a/b", b"hello").write()):
        case (PublishPacket("a/b", payload, qos=QoS.AT_MOST_ONCE), nbytes):
            assert (payload, nbytes) == (b"hello", 13)
        case other:
            pytest.fail(repr(other))
    match read(PubAckPacket(5).write())[0]:
        case PubAckPacket(5, PubAckReasonCode.SUCCESS):
            pass
        case other_packet:
            pytest.fail(repr(other_packet))


def test_a_repr_makes_the_packet_again() -> None:
    names = vars(ohmqtt.codec)
    for packet in FULL[1:]:
        shown = repr(packet)
        if "<hidden>" not in shown:
            assert eval(shown, dict(names)) == packet
    assert repr(PublishPacket("a", b"b", qos=1, packet_id=2)) == (
        "PublishPacket('a', b'b', qos=QoS.AT_LEAST_ONCE, packet_id=2)"
    )


def test_a_repr_has_no_secrets_and_is_short() -> None:
    shown = repr(FULL[0])
    assert "secret" not in shown
    assert "first" not in shown
    assert "password=<hidden>" in shown
    long = repr(PublishPacket("a", bytes(1_000_000)))
    assert long.startswith("PublishPacket('a', <1000000 bytes: b'\\x00")
    assert len(long) < 400


def test_packets_can_be_subclassed() -> None:
    class Reading(PublishPacket):
        unit = "K"

    reading = Reading("a", b"5", qos=QoS.AT_LEAST_ONCE, packet_id=1)
    assert reading == PublishPacket("a", b"5", qos=QoS.AT_LEAST_ONCE, packet_id=1)
    assert repr(reading).startswith("Reading('a'")
    assert reading.unit == "K"


REASONS: list[tuple[type[IntEnum], Callable[[int], Packet]]] = [
    (ConnAckReasonCode, lambda code: ConnAckPacket(reason_code=code)),
    (PubAckReasonCode, lambda code: PubAckPacket(1, reason_code=code)),
    (PubRecReasonCode, lambda code: PubRecPacket(1, reason_code=code)),
    (PubRelReasonCode, lambda code: PubRelPacket(1, reason_code=code)),
    (PubCompReasonCode, lambda code: PubCompPacket(1, reason_code=code)),
    (SubAckReasonCode, lambda code: SubAckPacket(1, [code])),
    (UnsubAckReasonCode, lambda code: UnsubAckPacket(1, [code])),
    (DisconnectReasonCode, lambda code: DisconnectPacket(reason_code=code)),
    (AuthReasonCode, lambda code: AuthPacket(reason_code=code, authentication_method="m")),
]


@pytest.mark.parametrize(("enum", "make"), REASONS)
def test_the_enums_have_the_codes_of_their_packets(enum: type[IntEnum], make: Callable[[int], Packet]) -> None:
    for code in range(256):
        if code in list(enum):
            packet = make(code)
            found: Any = read(packet.write())[0]
            got = found.reason_codes[0] if hasattr(found, "reason_codes") else found.reason_code
            assert got is enum(code)
        else:
            with pytest.raises(ValueError, match=r"reason.code"):
                make(code)


INVALID: list[tuple[Callable[[], object], str]] = [
    (lambda: PublishPacket("a/#", b""), "topic: .* contains the wildcard '#'"),
    (lambda: PublishPacket("", b""), "topic: .* is empty"),
    (lambda: PublishPacket("a\0", b""), r"topic: .*U\+0000"),
    (lambda: PublishPacket("a" * 65536, b""), "topic: .*65536"),
    (lambda: PublishPacket("\ud800", b""), "surrogates not allowed"),
    (lambda: PublishPacket("a", b"", qos=3), "qos: 3 is not from 0 to 2"),  # type: ignore[arg-type]
    (lambda: PublishPacket("a", b"", qos=1), "packet_id: QoS 1 and 2 need one"),
    (lambda: PublishPacket("a", b"", packet_id=1), "packet_id: there is none at QoS 0"),
    (lambda: PublishPacket("a", b"", duplicate=True), "duplicate: is False at QoS 0"),
    (lambda: PublishPacket("a", b"", qos=1, packet_id=0), "packet_id: 0 is not from 1 to 65535"),
    (lambda: PublishPacket("a", b"", topic_alias=0), "topic_alias: 0 is not from 1 to 65535"),
    (lambda: PublishPacket("a", b"", subscription_ids=[0]), "subscription_ids: 0 is not from 1 to 268435455"),
    (lambda: PublishPacket("a", b"", subscription_ids=[2**28]), "subscription_ids: 268435456 is not from"),
    (lambda: PublishPacket("a", b"", payload_format_indicator=7), "payload_format_indicator: 7 is not from 0 to 1"),
    (lambda: PublishPacket("a", b"", message_expiry_interval=-1), "message_expiry_interval: -1 is not from 0"),
    (lambda: PublishPacket("a", b"", message_expiry_interval=HUGE), "no number in MQTT is over 4294967295"),
    (lambda: PublishPacket("a", b"", response_topic="+"), "response_topic: .*wildcard"),
    (lambda: PublishPacket("a", b"", correlation_data=bytes(65536)), "correlation_data: 65536 bytes"),
    (lambda: PublishPacket("a", b"", user_properties=[("k", "\0")]), r"user_properties: .*U\+0000"),
    (lambda: ConnectPacket("a", keep_alive=65536), "keep_alive: 65536 is not from 0 to 65535"),
    (lambda: ConnectPacket("a", keep_alive=-HUGE), "no number in MQTT"),
    (lambda: ConnectPacket("a", receive_max=0), "receive_max: 0 is not from 1 to 65535"),
    (lambda: ConnectPacket("a", max_packet_size=0), "max_packet_size: 0 is not from 1 to 4294967295"),
    (lambda: ConnectPacket("a", authentication_data=b"x"), "authentication_data: give an authentication_method"),
    (lambda: ConnAckPacket(session_present=True, reason_code=0x80), "session_present: is for reason_code SUCCESS"),
    (lambda: ConnAckPacket(reason_code=4), "reason_code: .* is not for CONNACK"),
    (lambda: ConnAckPacket(reason_code=3), "reason_code: reason code 0x03 is not defined"),
    (lambda: ConnAckPacket(reason_code=256), "reason_code: 256 is not from 0 to 255"),
    (lambda: SubscribePacket(1, []), "topic_filters: give at least one"),
    (lambda: SubAckPacket(1, []), "reason_codes: give at least one"),
    (lambda: UnsubscribePacket(1, []), "patterns: give at least one"),
    (lambda: UnsubscribePacket(1, ["a#"]), "patterns: .* has a '#'"),
    (lambda: SubscribePacket(1, [TopicFilter("a")], subscription_id=0), "subscription_id: 0 is not from 1"),
    (lambda: TopicFilter("$share/g"), r"pattern: .* is not \$share/NAME/FILTER"),
    (lambda: TopicFilter("$share/g/a", no_local=True), "no_local: .* leave No Local off"),
    (lambda: TopicFilter("a", retain_handling=3), "retain_handling: 3 is not from 0 to 2"),  # type: ignore[arg-type]
    (lambda: Will(""), "topic: .* is empty"),
    (lambda: Will("a", payload=bytes(65536)), "payload: 65536 bytes"),
    (lambda: PubAckPacket(65536), "packet_id: 65536 is not from 1 to 65535"),
    (lambda: AuthPacket(reason_code=0x18), "authentication_method: an AUTH needs one"),
    (lambda: read(b"", max_packet_size=0), "max_packet_size: 0 is not from 1"),
]


@pytest.mark.parametrize(("make", "message"), INVALID)
def test_a_wrong_value_is_a_value_error(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# Untyped, as those who make these mistakes are.
PUBLISH: Any = PublishPacket
CONNECT: Any = ConnectPacket
SUBSCRIBE: Any = SubscribePacket
SUBACK: Any = SubAckPacket
UNSUBSCRIBE: Any = UnsubscribePacket
WRONG_TYPES: list[Callable[[], object]] = [
    lambda: PUBLISH(b"a", b""),
    lambda: PUBLISH("a", "text"),
    lambda: PUBLISH("a", 5),
    lambda: PUBLISH("a", None),
    lambda: PUBLISH("a"),
    lambda: PUBLISH("a", b"", 1),
    lambda: PUBLISH("a", b"", nonsense=1),
    lambda: PUBLISH("a", b"", qos="1"),
    lambda: PUBLISH("a", b"", qos=1.0),
    lambda: PUBLISH("a", b"", retain=1),
    lambda: PUBLISH("a", b"", user_properties={"k": "v"}),
    lambda: PUBLISH("a", b"", user_properties=["kv"]),
    lambda: PUBLISH("a", b"", user_properties=[("k", 1)]),
    lambda: PUBLISH("a", b"", subscription_ids=5),
    lambda: CONNECT(None),
    lambda: CONNECT("a", password="text"),
    lambda: CONNECT("a", will="will"),
    lambda: SUBSCRIBE(1, ["a"]),
    lambda: SUBSCRIBE("1", [TopicFilter("a")]),
    lambda: SUBACK(1, 0),
    lambda: UNSUBSCRIBE(1, "abc"),
    lambda: UNSUBSCRIBE(1, [b"a"]),
]


@pytest.mark.parametrize("make", WRONG_TYPES)
def test_a_wrong_type_is_a_type_error(make: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        make()


def test_payloads_come_from_every_buffer() -> None:
    for payload in (b"abc", bytearray(b"abc"), memoryview(b"abc"), memoryview(b"xabcx")[1:4]):
        packet = PublishPacket("a", payload)
        assert packet.payload == b"abc"
        assert type(packet.payload) is bytes


def test_a_packet_over_the_format_is_not_written() -> None:
    packet = PublishPacket("a", bytes(268_435_456))
    with pytest.raises(ValueError, match="268435455"):
        packet.write()
