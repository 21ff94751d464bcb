from __future__ import annotations

import pickle

import pytest

from ohmqtt.codec import (
    ConnAckReasonCode,
    DisconnectReasonCode,
    IncompleteError,
    MalformedError,
    Packet,
    PublishPacket,
    read,
    read_many,
)
from packets import ALL, FULL, SHORTEST


@pytest.mark.parametrize("packet", ALL, ids=repr)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_packet_comes_back_from_every_buffer(packet: Packet, kind: type[bytes | bytearray | memoryview]) -> None:
    data = packet.write()
    assert read(kind(data + b"\xff")) == (packet, len(data))


@pytest.mark.parametrize(("packet", "data"), SHORTEST, ids=repr)
def test_defaults_are_not_written(packet: Packet, data: bytes) -> None:
    assert packet.write() == data


def test_explicit_defaults_on_the_wire_read_as_the_defaults() -> None:
    packet, _ = read(b"\x20\x06\x00\x00\x03\x21\xff\xff")
    assert packet == SHORTEST[1][0]
    assert hash(packet) == hash(SHORTEST[1][0])


@pytest.mark.parametrize("packet", ALL, ids=repr)
def test_every_cut_is_incomplete(packet: Packet) -> None:
    data = packet.write()
    for end in range(len(data)):
        for kind in (bytes, bytearray):
            with pytest.raises(IncompleteError) as raised:
                read(kind(data[:end]))
            needed = raised.value.needed
            assert 1 <= needed <= len(data) - end
            if end >= 5:
                assert needed == len(data) - end
            assert str(raised.value) == f"not enough bytes: at least {needed} more needed"


def test_incomplete_is_an_index_error_and_malformed_a_value_error() -> None:
    with pytest.raises(IndexError):
        read(b"")
    with pytest.raises(ValueError, match="type 0 is reserved"):
        read(b"\x00\x00")


CODE = DisconnectReasonCode
MALFORMED = [
    (b"\x00\x00", CODE.MALFORMED_PACKET, "packet type: type 0 is reserved"),
    (b"\xc1\x00", CODE.MALFORMED_PACKET, "PINGREQ: flags: bits 0b11000001 are not allowed"),
    (b"\xc0\x01\x00", CODE.MALFORMED_PACKET, "PINGREQ: end of packet: 1 bytes follow the last field"),
    (b"\x36\x00", CODE.MALFORMED_PACKET, "PUBLISH: flags: QoS 3 does not exist"),
    (b"\x38\x00", CODE.MALFORMED_PACKET, "PUBLISH: flags: DUP is set at QoS 0"),
    (b"\x30\xff\xff\xff\xff\x01", CODE.MALFORMED_PACKET, "remaining length: .* longer than four bytes"),
    (b"\x30\x80\x00", CODE.MALFORMED_PACKET, "remaining length: .* longer than it need be"),
    (b"\x30\x04\x00\x01\xff\x00", CODE.MALFORMED_PACKET, "PUBLISH: topic name: is not UTF-8 from byte 0 on"),
    (b"\x30\x04\x00\x01\x00\x00", CODE.MALFORMED_PACKET, r"PUBLISH: topic name: has U\+0000 at byte 0"),
    (b"\x30\x04\x00\x01+\x00", CODE.TOPIC_NAME_INVALID, r"PUBLISH: topic name: contains the wildcard '\+'"),
    (b"\x30\x03\x00\x00\x00", CODE.PROTOCOL_ERROR, "PUBLISH: topic name: is empty and there is no Topic Alias"),
    (b"\x30\x07\x00\x01a\x03\x23\x00\x00", CODE.TOPIC_ALIAS_INVALID, "PUBLISH: Topic Alias: is 0"),
    (b"\x30\x06\x00\x01a\x02\x01\x07", CODE.PROTOCOL_ERROR, "PUBLISH: Payload Format Indicator: is 7"),
    (b"\x30\x05\x00\x01a\x01\x7f", CODE.MALFORMED_PACKET, "PUBLISH: .*identifier 0x7f is of no property"),
    (b"\x30\x07\x00\x01a\x03\x13\x00\x01", CODE.MALFORMED_PACKET, "PUBLISH: .*Server Keep Alive is not allowed here"),
    (b"\x32\x06\x00\x01a\x00\x00\x00", CODE.PROTOCOL_ERROR, "PUBLISH: packet identifier: is 0"),
    (b"\x40\x02\x00\x00", CODE.PROTOCOL_ERROR, "PUBACK: packet identifier: is 0"),
    (b"\x40\x03\x00\x01\x92", CODE.PROTOCOL_ERROR, "PUBACK: reason code: Packet Identifier not found"),
    (b"\x40\x03\x00\x01\x03", CODE.PROTOCOL_ERROR, "PUBACK: reason code: 0x03 is not defined"),
    (b"\x20\x03\x01\x80\x00", CODE.PROTOCOL_ERROR, "CONNACK: session present: is set with the reason code"),
    (b"\x20\x06\x00\x00\x03\x21\x00\x00", CODE.PROTOCOL_ERROR, "CONNACK: Receive Maximum: is 0"),
    (b"\x82\x03\x00\x01\x00", CODE.PROTOCOL_ERROR, "SUBSCRIBE: topic filter: there is none"),
    (b"\x82\x07\x00\x01\x00\x00\x01a\x40", CODE.MALFORMED_PACKET, "SUBSCRIBE: subscription options: bits"),
    (b"\x82\x08\x00\x01\x00\x00\x02a+\x00", CODE.TOPIC_FILTER_INVALID, "SUBSCRIBE: topic filter: has a '\\+'"),
    (b"\xf0\x01\x18", CODE.MALFORMED_PACKET, "AUTH: properties: the packet ends before it does"),
    (b"\xf0\x02\x18\x00", CODE.PROTOCOL_ERROR, "AUTH: Authentication Method: is missing"),
]


@pytest.mark.parametrize(("data", "code", "message"), MALFORMED)
def test_what_is_no_packet_is_malformed(data: bytes, code: DisconnectReasonCode, message: str) -> None:
    with pytest.raises(MalformedError, match=message) as raised:
        read(data)
    assert raised.value.reason_code is code
    assert (raised.value.position, raised.value.packets) == (0, ())


def test_a_malformed_connect_is_answered_by_a_connack() -> None:
    with pytest.raises(MalformedError, match="CONNECT: protocol version: is 4") as raised:
        read(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00")
    assert raised.value.reason_code is ConnAckReasonCode.UNSUPPORTED_PROTOCOL_VERSION


def test_no_change_of_one_byte_does_more_than_raise() -> None:
    for packet in FULL:
        data = bytearray(packet.write())
        for at in range(len(data)):
            kept = data[at]
            for byte in (0, 1, 0x7F, 0x80, 0xFF, kept ^ 1):
                data[at] = byte
                try:
                    found, nbytes = read(data)
                except (IncompleteError, MalformedError):
                    continue
                assert read(found.write())[0] == found
                assert 2 <= nbytes <= len(data)
            data[at] = kept


def test_a_packet_over_the_limit_is_refused_by_its_header() -> None:
    data = PublishPacket("a", bytes(200)).write()
    with pytest.raises(MalformedError, match="207 bytes are over the limit of 206") as raised:
        read(data[:3], max_packet_size=206)
    assert raised.value.reason_code is DisconnectReasonCode.PACKET_TOO_LARGE
    assert read(data, max_packet_size=207)[1] == 207


@pytest.mark.parametrize("size", [0, 1, 4000, 5000, 2_100_000])
def test_large_payloads_come_from_every_buffer(size: int) -> None:
    packet = PublishPacket("a", bytes(range(256)) * (size // 256))
    data = packet.write()
    view = memoryview(b"x" + data + data)[1:]
    assert read(view) == (packet, len(data))
    assert read(bytearray(data) + b"x") == (packet, len(data))
    if size > 5000:
        with pytest.raises(IncompleteError) as raised:
            read(memoryview(data)[:-7])
        assert raised.value.needed == 7


def test_a_packet_does_not_keep_its_buffer() -> None:
    buffer = bytearray(PublishPacket("a/b", b"hello").write())
    packet, _ = read(buffer)
    buffer[:] = b"0" * len(buffer)
    buffer.clear()
    assert packet == PublishPacket("a/b", b"hello")


def test_a_view_with_gaps_is_read() -> None:
    data = b"".join(bytes([byte, 0]) for byte in PublishPacket("a/b", b"hello").write())
    assert read(memoryview(data)[::2])[0] == PublishPacket("a/b", b"hello")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_many_packets_are_read_at_once(kind: type[bytes | bytearray | memoryview]) -> None:
    data = b"".join(packet.write() for packet in ALL)
    assert read_many(kind(data)) == (ALL, len(data))
    assert read_many(kind(data + b"\x30\x05\x00")) == (ALL, len(data))
    assert read_many(kind(b"")) == ([], 0)


def test_what_comes_before_a_malformed_packet_is_told() -> None:
    with pytest.raises(MalformedError) as raised:
        read_many(b"\xc0\x00\xd0\x00\x00\x00")
    error = raised.value
    assert error.position == 4
    assert error.packets == (read(b"\xc0\x00")[0], read(b"\xd0\x00")[0])
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.position, again.reason_code, again.packets) == (
        str(error),
        4,
        error.reason_code,
        error.packets,
    )


def test_an_incomplete_error_pickles() -> None:
    again = pickle.loads(pickle.dumps(IncompleteError(3)))
    assert (type(again), again.needed) == (IncompleteError, 3)


@pytest.mark.parametrize("buffer", ["text", 5, None, [1, 2]])
def test_what_is_no_buffer_is_a_type_error(buffer: object) -> None:
    for function in (read, read_many):
        with pytest.raises(TypeError, match="expected bytes, bytearray or a memoryview"):
            function(buffer)  # type: ignore[arg-type]
