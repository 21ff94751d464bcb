from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ohmqtt import serialization
from ohmqtt.error import MQTTError
from ohmqtt.mqtt_spec import CONNACK_REASON_CODES, PUBACK_REASON_CODES, MQTTReasonCode
from ohmqtt.serialization import MAX_VARINT

# By section 1.5 of the specification.
FIELDS: list[tuple[str, Any, str]] = [
    ("bool", False, "00"),
    ("bool", True, "01"),
    ("uint8", 0, "00"),
    ("uint8", 255, "ff"),
    ("uint16", 0, "0000"),
    ("uint16", 258, "0102"),
    ("uint16", 65535, "ffff"),
    ("uint32", 0x01020304, "01020304"),
    ("uint32", 0xFFFFFFFF, "ffffffff"),
    ("string", "", "0000"),
    ("string", "A𪛔", "0005 41 f0aa9b94"),
    ("string", "x" * 65535, "ffff" + "78" * 65535),
    ("string_pair", ("name", ""), "0004 6e616d65 0000"),
    ("binary", b"", "0000"),
    ("binary", b"\x00\xff", "0002 00ff"),
    ("varint", 0, "00"),
    ("varint", 127, "7f"),
    ("varint", 128, "8001"),
    ("varint", 16_383, "ff7f"),
    ("varint", 16_384, "808001"),
    ("varint", 2_097_151, "ffff7f"),
    ("varint", 2_097_152, "80808001"),
    ("varint", MAX_VARINT, "ffffff7f"),
]


@pytest.mark.parametrize(("kind", "value", "wire"), FIELDS)
def test_a_field_has_its_bytes_and_is_read_from_them(kind: str, value: Any, wire: str) -> None:
    data = bytes.fromhex(wire)
    assert getattr(serialization, f"encode_{kind}")(value) == data
    decode: Callable[[bytes | memoryview], Any] = getattr(serialization, f"decode_{kind}")
    assert decode(data) == (value, len(data))
    assert decode(memoryview(data + b"rest")) == (value, len(data))
    for end in range(min(len(data), 8)):
        with pytest.raises(MQTTError) as raised:
            decode(data[:end])
        assert raised.value.reason_code is MQTTReasonCode.MalformedPacket


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint8", 256),
        ("uint8", -1),
        ("uint16", 65_536),
        ("uint32", 1 << 32),
        ("string", "x" * 65_536),
        ("string", "\0"),
        ("string", "\ud800"),
        ("binary", bytes(65_536)),
        ("varint", -1),
        ("varint", MAX_VARINT + 1),
    ],
)
def test_a_value_too_large_for_its_field_is_refused(kind: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        getattr(serialization, f"encode_{kind}")(value)


@pytest.mark.parametrize(
    ("kind", "wire", "reason"),
    [
        ("bool", "02", "ProtocolError"),
        ("string", "0001 ff", "MalformedPacket"),
        ("string", "0003 eda080", "MalformedPacket"),
        ("string", "0001 00", "MalformedPacket"),
        ("string_pair", "0001 61 0001 00", "MalformedPacket"),
        ("varint", "8000", "MalformedPacket"),
        ("varint", "ffffffff01", "MalformedPacket"),
        ("packet_id", "0000", "ProtocolError"),
        ("packet_id", "00", "MalformedPacket"),
    ],
)
def test_bytes_that_are_no_field_are_refused(kind: str, wire: str, reason: str) -> None:
    with pytest.raises(MQTTError) as raised:
        getattr(serialization, f"decode_{kind}")(bytes.fromhex(wire))
    assert raised.value.reason_code is MQTTReasonCode[reason]


def test_identifiers_and_reason_codes_are_read() -> None:
    assert serialization.decode_packet_id(b"\x00\x05") == (5, 2)
    assert serialization.decode_reason_code(0x10, PUBACK_REASON_CODES) is MQTTReasonCode.NoMatchingSubscribers
    for value, valid in [(5, PUBACK_REASON_CODES), (0x91, CONNACK_REASON_CODES)]:
        with pytest.raises(MQTTError, match=f"reason code: {value:#04x} is not for this packet"):
            serialization.decode_reason_code(value, valid)
