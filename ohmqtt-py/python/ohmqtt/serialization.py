"""The fields that packets are made of: to bytes and back.

Each `decode_` function reads the front of a buffer and gives the value and how many bytes it had. What cannot be read
is an MQTTError with the reason code to answer; what cannot be written is a ValueError.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from ohmqtt.error import MQTTError
from ohmqtt.mqtt_spec import MQTTReasonCode

if TYPE_CHECKING:
    from typing_extensions import Buffer

MAX_VARINT: Final = 268_435_455
"""The largest variable byte integer."""


def _encode_number(value: int, size: int) -> bytes:
    try:
        return value.to_bytes(size, "big")
    except OverflowError:
        raise ValueError(f"{value} is not from 0 to {256**size - 1}") from None


def _head(data: Buffer, size: int, what: str) -> bytes:
    """Give the first bytes of a buffer that has so many."""
    view = memoryview(data)[:size]
    if len(view) < size:
        message = f"{what}: {size} bytes are needed, there are {len(view)}"
        raise MQTTError(message, MQTTReasonCode.MalformedPacket)
    return view.tobytes()


def encode_bool(x: bool) -> bytes:
    """Write 0 or 1 as a byte."""
    return b"\x01" if x else b"\x00"


def decode_bool(data: Buffer) -> tuple[bool, int]:
    """Read a byte that is 0 or 1."""
    value = _head(data, 1, "boolean")[0]
    if value > 1:
        raise MQTTError(f"boolean: is {value}, allowed are 0 and 1", MQTTReasonCode.ProtocolError)
    return value == 1, 1


def encode_uint8(x: int) -> bytes:
    """Write a number of 8 bits."""
    return _encode_number(x, 1)


def decode_uint8(data: Buffer) -> tuple[int, int]:
    """Read a number of 8 bits."""
    return _head(data, 1, "byte")[0], 1


def encode_uint16(x: int) -> bytes:
    """Write a number of 16 bits."""
    return _encode_number(x, 2)


def decode_uint16(data: Buffer) -> tuple[int, int]:
    """Read a number of 16 bits."""
    return int.from_bytes(_head(data, 2, "two byte integer"), "big"), 2


def encode_uint32(x: int) -> bytes:
    """Write a number of 32 bits."""
    return _encode_number(x, 4)


def decode_uint32(data: Buffer) -> tuple[int, int]:
    """Read a number of 32 bits."""
    return int.from_bytes(_head(data, 4, "four byte integer"), "big"), 4


def encode_binary(data: bytes) -> bytes:
    """Write at most 65,535 bytes with their length before them."""
    if len(data) > 0xFFFF:
        raise ValueError(f"{len(data)} bytes: a field of MQTT has at most 65535")
    return len(data).to_bytes(2, "big") + data


def decode_binary(data: Buffer) -> tuple[bytes, int]:
    """Read bytes with their length before them."""
    size = 2 + decode_uint16(data)[0]
    return _head(data, size, "binary data")[2:], size


def encode_string(s: str) -> bytes:
    """Write a text of at most 65,535 bytes of UTF-8, without U+0000, with its length before it."""
    if "\0" in s:
        raise ValueError(f"{s[:64]!r} has U+0000: remove it")
    return encode_binary(s.encode())


def decode_string(data: Buffer) -> tuple[str, int]:
    """Read a text with its length before it."""
    text, size = decode_binary(data)
    try:
        value = text.decode()
    except UnicodeDecodeError as error:
        message = f"string: is not UTF-8 from byte {error.start} on"
        raise MQTTError(message, MQTTReasonCode.MalformedPacket) from error
    if "\0" in value:
        raise MQTTError("string: has U+0000", MQTTReasonCode.MalformedPacket)
    return value, size


def encode_string_pair(values: tuple[str, str]) -> bytes:
    """Write two texts."""
    return encode_string(values[0]) + encode_string(values[1])


def decode_string_pair(data: Buffer) -> tuple[tuple[str, str], int]:
    """Read two texts."""
    view = memoryview(data)
    name, name_size = decode_string(view)
    value, value_size = decode_string(view[name_size:])
    return (name, value), name_size + value_size


def encode_varint(x: int) -> bytes:
    """Write a variable byte integer, of at most `MAX_VARINT`, in its shortest form."""
    if not 0 <= x <= MAX_VARINT:
        raise ValueError(f"{x} is not from 0 to {MAX_VARINT}")
    out = bytearray()
    while x >= 0x80:
        out.append(x & 0x7F | 0x80)
        x >>= 7
    out.append(x)
    return bytes(out)


def decode_varint(data: Buffer) -> tuple[int, int]:
    """Read a variable byte integer, of which only the shortest form is one."""
    value = 0
    for at, byte in enumerate(memoryview(data)[:4].tobytes()):
        value |= (byte & 0x7F) << 7 * at
        if byte < 0x80:
            if byte == 0 and at > 0:
                message = "variable byte integer: is longer than it need be"
                raise MQTTError(message, MQTTReasonCode.MalformedPacket)
            return value, at + 1
    raise MQTTError("variable byte integer: has no end within 4 bytes", MQTTReasonCode.MalformedPacket)


def decode_packet_id(data: Buffer) -> tuple[int, int]:
    """Read a packet identifier, which is not 0."""
    value, size = decode_uint16(data)
    if value == 0:
        raise MQTTError("packet identifier: is 0", MQTTReasonCode.ProtocolError)
    return value, size


def decode_reason_code(value: int, valid: Collection[MQTTReasonCode]) -> MQTTReasonCode:
    """Give the reason code of this number, if it is among those that the packet may have."""
    if value not in valid:
        raise MQTTError(f"reason code: {value:#04x} is not for this packet", MQTTReasonCode.MalformedPacket)
    return MQTTReasonCode(value)
