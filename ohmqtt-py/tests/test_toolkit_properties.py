from __future__ import annotations

from typing import Any

import pytest

from ohmqtt import property as properties
from ohmqtt.error import MQTTError
from ohmqtt.mqtt_spec import MQTTPropertyId, MQTTReasonCode
from ohmqtt.property import (
    MQTTAuthProps,
    MQTTConnAckProps,
    MQTTConnectProps,
    MQTTDisconnectProps,
    MQTTProperties,
    MQTTPubAckProps,
    MQTTPublishProps,
    MQTTSubscribeProps,
    MQTTWillProps,
)

CLASSES = sorted(
    (value for value in vars(properties).values() if isinstance(value, type) and issubclass(value, MQTTProperties)),
    key=lambda cls: cls.__name__,
)
CLASSES.remove(MQTTProperties)

# A value of each property and its bytes, by section 2.2.2.2.
VALUES: dict[str, tuple[Any, str]] = {
    "PayloadFormatIndicator": (1, "01 01"),
    "MessageExpiryInterval": (258, "02 00000102"),
    "ContentType": ("a/b", "03 0003 612f62"),
    "ResponseTopic": ("a/b", "08 0003 612f62"),
    "CorrelationData": (b"\x00\xff", "09 0002 00ff"),
    "SubscriptionIdentifier": ({128}, "0b 8001"),
    "SessionExpiryInterval": (0xFFFFFFFF, "11 ffffffff"),
    "AssignedClientIdentifier": ("c", "12 0001 63"),
    "ServerKeepAlive": (60, "13 003c"),
    "AuthenticationMethod": ("m", "15 0001 6d"),
    "AuthenticationData": (b"d", "16 0001 64"),
    "RequestProblemInformation": (False, "17 00"),
    "WillDelayInterval": (5, "18 00000005"),
    "RequestResponseInformation": (True, "19 01"),
    "ResponseInformation": ("r", "1a 0001 72"),
    "ServerReference": ("s", "1c 0001 73"),
    "ReasonString": ("é", "1f 0002 c3a9"),
    "ReceiveMaximum": (65535, "21 ffff"),
    "TopicAliasMaximum": (0, "22 0000"),
    "TopicAlias": (7, "23 0007"),
    "MaximumQoS": (1, "24 01"),
    "RetainAvailable": (False, "25 00"),
    "UserProperty": ([("n", "v"), ("n", "w")], "26 0001 6e 0001 76  26 0001 6e 0001 77"),
    "MaximumPacketSize": (1, "27 00000001"),
    "WildcardSubscriptionAvailable": (True, "28 01"),
    "SubscriptionIdentifierAvailable": (True, "29 01"),
    "SharedSubscriptionAvailable": (False, "2a 00"),
}


def with_length(block: bytes) -> bytes:
    assert len(block) < 128
    return bytes([len(block)]) + block


@pytest.mark.parametrize("cls", CLASSES)
def test_a_property_has_its_bytes_where_it_may_stand_and_is_refused_elsewhere(cls: type[MQTTProperties]) -> None:
    assert {member.name for member in MQTTPropertyId} == set(VALUES)
    for name, (value, wire) in VALUES.items():
        block = bytes.fromhex(wire)
        before: dict[str, Any] = {}
        if name != "AuthenticationMethod" and (cls is MQTTAuthProps or name == "AuthenticationData"):
            # Neither stands without a method.
            before = {"AuthenticationMethod": "m"} if "AuthenticationMethod" in cls.valid_properties else {}
            block = bytes.fromhex("15 0001 6d") + block if before else block
        made = cls(**before, **{name: value})
        if name in cls.valid_properties:
            data = made.encode()
            assert data == with_length(block), name
            read, size = cls.decode(memoryview(data + b"rest"))
            assert (type(read), vars(read), size) == (cls, {**before, name: value}, len(data))
            assert type(getattr(read, name)) is type(value), name
        else:
            with pytest.raises(ValueError, match="is not allowed here"):
                made.encode()
            with pytest.raises(MQTTError, match="is not allowed here") as raised:
                cls.decode(with_length(block))
            assert raised.value.reason_code is MQTTReasonCode.MalformedPacket


def test_what_is_not_set_is_none_and_what_another_packet_has_is_no_attribute() -> None:
    props = MQTTPublishProps(TopicAlias=1)
    assert (props.TopicAlias, props.ContentType, MQTTPublishProps.TopicAlias) == (1, None, None)
    assert not hasattr(props, "ReceiveMaximum")
    assert MQTTWillProps.WillDelayInterval is None
    with pytest.raises(TypeError):
        MQTTPublishProps(1)  # type: ignore[call-arg]


def test_properties_are_counted_and_none_is_false() -> None:
    props = MQTTPublishProps()
    assert (len(props), bool(props), vars(props), props.encode()) == (0, False, {}, b"\x00")
    props.ContentType = "t"
    assert (len(props), bool(props), vars(props)) == (1, True, {"ContentType": "t"})
    del props.ContentType
    assert (len(props), bool(props), vars(props)) == (0, False, {})
    assert not props.ContentType
    assert MQTTPublishProps(ContentType=None).encode() == b"\x00"


def test_properties_compare_by_what_they_have_whatever_packet_they_are_of() -> None:
    assert MQTTPublishProps(ContentType="a") == MQTTWillProps(ContentType="a")
    assert MQTTPublishProps(ContentType="a") != MQTTPublishProps(ContentType="b")
    assert MQTTPublishProps() == MQTTConnectProps()
    assert MQTTPublishProps() != {}
    with pytest.raises(TypeError):
        hash(MQTTPublishProps())


def test_properties_are_shown_with_quotes_in_repr_and_without_secrets() -> None:
    props = MQTTPublishProps(ContentType="t", UserProperty=[("a", "b")], SubscriptionIdentifier={3})
    assert repr(props) == "MQTTPublishProps(ContentType='t', UserProperty=[('a', 'b')], SubscriptionIdentifier={3})"
    assert str(props) == "MQTTPublishProps(ContentType=t, UserProperty=[('a', 'b')], SubscriptionIdentifier={3})"
    assert repr(MQTTProperties()) == "MQTTProperties()"
    secret = MQTTAuthProps(AuthenticationMethod="m", AuthenticationData=b"secret")
    assert repr(secret) == "MQTTAuthProps(AuthenticationMethod='m', AuthenticationData=<hidden>)"
    assert str(secret) == "MQTTAuthProps(AuthenticationMethod=m, AuthenticationData=<hidden>)"


def test_the_order_on_the_wire_is_that_in_which_they_were_set() -> None:
    props = MQTTPublishProps(TopicAlias=1, PayloadFormatIndicator=0)
    props.MessageExpiryInterval = 1
    wire = bytes.fromhex("0a 23 0001 01 00 02 00000001")
    assert props.encode() == wire
    assert list(vars(MQTTPublishProps.decode(wire)[0])) == [
        "TopicAlias",
        "PayloadFormatIndicator",
        "MessageExpiryInterval",
    ]
    other = MQTTPublishProps(MessageExpiryInterval=1, PayloadFormatIndicator=0, TopicAlias=1)
    assert other.encode() == bytes.fromhex("0a 02 00000001 01 00 23 0001")
    assert other == props


def test_what_repeats_is_gathered_where_it_first_stood() -> None:
    wire = bytes.fromhex("11 26 0001 62 0000  0b 07  01 01  26 0000 0000  0b 05")
    props, size = MQTTPublishProps.decode(wire)
    assert size == len(wire)
    assert list(vars(props).items()) == [
        ("UserProperty", [("b", ""), ("", "")]),
        ("SubscriptionIdentifier", {7, 5}),
        ("PayloadFormatIndicator", 1),
    ]
    assert props.encode() == bytes.fromhex("11 26 0001 62 0000 26 0000 0000  0b 05 0b 07  01 01")


def test_an_order_that_is_given_is_kept_and_a_set_has_none() -> None:
    assert MQTTPublishProps(SubscriptionIdentifier=[5, 3]).encode() == b"\x04\x0b\x05\x0b\x03"  # type: ignore[arg-type]
    assert MQTTPublishProps(SubscriptionIdentifier={200, 5, 3}).encode() == b"\x07\x0b\x03\x0b\x05\x0b\xc8\x01"


def test_a_block_may_be_longer_than_a_byte_can_say() -> None:
    props = MQTTPubAckProps(ReasonString="x" * 200)
    data = props.encode()
    assert data[:5] == bytes.fromhex("cb01 1f 00c8")
    assert MQTTPubAckProps.decode(bytearray(data)) == (props, 205)


@pytest.mark.parametrize(
    ("props", "message"),
    [
        (MQTTPublishProps(TopicAlias=0), "Topic Alias: is 0"),
        (MQTTPublishProps(TopicAlias=70_000), "TopicAlias: 70000 is not from 0 to 65535"),
        (MQTTPublishProps(PayloadFormatIndicator=2), "Payload Format Indicator: is 2, allowed are 0 and 1"),
        (MQTTPublishProps(PayloadFormatIndicator=999), "Payload Format Indicator: is 255, allowed are 0 and 1"),
        (MQTTPublishProps(ResponseTopic="a/+"), "Response Topic: contains the wildcard '\\+'"),
        (MQTTPublishProps(ResponseTopic=""), "Response Topic: is empty"),
        (MQTTPublishProps(ContentType="\0"), r"ContentType: .* has U\+0000"),
        (MQTTPublishProps(ContentType="x" * 65_536), "ContentType: .* is 65536 bytes long"),
        (MQTTPublishProps(CorrelationData=bytes(65_536)), "CorrelationData: 65536 bytes"),
        (MQTTPublishProps(SubscriptionIdentifier={0}), "SubscriptionIdentifier: 0 is not from 1 to 268435455"),
        (MQTTPublishProps(MessageExpiryInterval=-1), "MessageExpiryInterval: -1 is not from 0 to 4294967295"),
        (MQTTPublishProps(MessageExpiryInterval=1 << 70), "MessageExpiryInterval: no number in MQTT"),
        (MQTTSubscribeProps(SubscriptionIdentifier={1, 2}), "Subscription Identifier: stands there twice"),
        (MQTTConnectProps(ReceiveMaximum=0), "Receive Maximum: is 0"),
        (MQTTConnectProps(MaximumPacketSize=0), "Maximum Packet Size: is 0"),
        (MQTTConnectProps(AuthenticationData=b""), "Authentication Method: is missing"),
        (MQTTAuthProps(ReasonString="r"), "Authentication Method: is missing"),
        (MQTTConnAckProps(MaximumQoS=2), "Maximum QoS: is 2"),
        (MQTTDisconnectProps(SessionExpiry=1), "SessionExpiry: MQTT has no such property"),  # type: ignore[call-arg]
    ],
)
def test_a_value_mqtt_does_not_have_is_refused_when_it_is_encoded(props: MQTTProperties, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        props.encode()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ContentType": 5}, "ContentType: expected str, not 'int'"),
        ({"TopicAlias": "1"}, "TopicAlias: expected int, not 'str'"),
        ({"CorrelationData": "text"}, "CorrelationData: expected bytes, not 'str'"),
        ({"UserProperty": [("a", 1)]}, "UserProperty: expected pairs of str, not 'list'"),
        ({"UserProperty": 1}, "UserProperty: expected pairs of str, not 'int'"),
        ({"SubscriptionIdentifier": 5}, "SubscriptionIdentifier: expected a set of int, not 'int'"),
    ],
)
def test_a_value_of_another_type_is_refused_when_it_is_encoded(values: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        MQTTPublishProps(**values).encode()


@pytest.mark.parametrize(
    ("wire", "message", "reason"),
    [
        ("", "their length", "MalformedPacket"),
        ("80", "their length", "MalformedPacket"),
        ("8000", "their length", "MalformedPacket"),
        ("ffffffff01", "their length", "MalformedPacket"),
        ("03 23 00", "the bytes end before they do", "MalformedPacket"),
        ("02 23 00", "Topic Alias: the packet ends before it does", "MalformedPacket"),
        ("06 23 0001 23 0001", "Topic Alias: stands there twice", "ProtocolError"),
        ("03 23 0000", "Topic Alias: is 0", "TopicAliasInvalid"),
        ("01 7e", "identifier 0x7e is of no property", "MalformedPacket"),
        ("04 03 0001 ff", "Content Type: is not UTF-8", "MalformedPacket"),
    ],
)
def test_what_is_no_block_of_properties_is_refused_when_it_is_decoded(wire: str, message: str, reason: str) -> None:
    with pytest.raises(MQTTError, match=message) as raised:
        MQTTPublishProps.decode(bytes.fromhex(wire))
    assert raised.value.reason_code is MQTTReasonCode[reason]


def test_properties_may_be_derived_from_a_packets() -> None:
    class Mine(MQTTPublishProps):
        """Text, always."""

        def __init__(self) -> None:
            super().__init__(ContentType="text/plain")

    assert Mine.valid_properties == MQTTPublishProps.valid_properties
    assert Mine().encode() == MQTTPublishProps(ContentType="text/plain").encode()
    read, _ = Mine.decode(Mine().encode())
    assert (type(read), read) == (Mine, Mine())


def test_properties_of_no_packet_are_none() -> None:
    assert MQTTProperties().encode() == b"\x00"
    assert MQTTProperties.valid_properties == frozenset()
    assert MQTTPublishProps.valid_properties == {
        *("PayloadFormatIndicator", "MessageExpiryInterval", "ContentType", "ResponseTopic"),
        *("CorrelationData", "SubscriptionIdentifier", "TopicAlias", "UserProperty"),
    }
    with pytest.raises(TypeError, match="of no packet: use MQTTPublishProps"):
        MQTTProperties(ContentType="t").encode()
