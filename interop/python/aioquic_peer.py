"""MQTT over QUIC by aioquic: `aioquic_peer.py CA_FILE URL` prints a line for each check, and ends with 1 when one has failed.

The convention: ALPN `mqtt`, one bidirectional stream that the client opens, every packet on it. The packets are written
here byte by byte, so that only one end of the wire is ours.
"""

import asyncio
import struct
import sys
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, QuicEvent

# Seconds until a check has failed.
DEADLINE = 20

# Packets, as the upper half of their first byte; PUBREL and SUBSCRIBE have a flag to set.
CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK = range(0x10, 0xA0, 0x10)
DISCONNECT = 0xE0
FLAGGED = 0x02

# More than one packet of QUIC and one read.
LARGE = bytes(index * 31 % 256 for index in range(100_000))


class Client(QuicConnectionProtocol):
    """Remembers the protocol that was agreed on, and how the connection ended."""

    alpn: str | None = None
    ended: ConnectionTerminated | None = None

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, HandshakeCompleted):
            self.alpn = event.alpn_protocol
        elif isinstance(event, ConnectionTerminated):
            self.ended = event
        super().quic_event_received(event)


class Broker:
    """Where it is, and who may say that it is it."""

    def __init__(self, ca: str, url: str) -> None:
        self.ca = ca
        self.address = urlsplit(url)

    def connect(self, alpn: str) -> AbstractAsyncContextManager[Client]:
        configuration = QuicConfiguration(is_client=True, alpn_protocols=[alpn], server_name="localhost")
        configuration.load_verify_locations(self.ca)
        return connect(
            self.address.hostname, self.address.port, configuration=configuration, create_protocol=Client
        )


class Packets:
    """MQTT packets on the one stream of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, first: int, body: bytes) -> None:
        length, rest = bytearray(), len(body)
        while not length or rest:
            rest, digit = divmod(rest, 128)
            length.append(digit | (0x80 if rest else 0))
        self.writer.write(bytes([first]) + length + body)

    async def receive(self) -> tuple[int, int, bytes]:
        """The next packet: what it is, its flags and its body."""
        first = (await self.reader.readexactly(1))[0]
        length = shift = 0
        digit = 0x80
        while digit & 0x80:
            digit = (await self.reader.readexactly(1))[0]
            length |= (digit & 0x7F) << shift
            shift += 7
        return first & 0xF0, first & 0x0F, await self.reader.readexactly(length)


async def round_trip(broker: Broker, qos: int) -> None:
    """Connects, subscribes, publishes at one QoS and receives it; DISCONNECT then ends stream and connection."""
    async with broker.connect("mqtt") as quic:
        equal(quic.alpn, "mqtt", "ALPN")
        packets = Packets(*await quic.create_stream())
        packets.send(CONNECT, string("MQTT") + bytes([5, 0x02, 0, 60, 0]) + string(f"aioquic-{qos}"))
        what, _, body = await packets.receive()
        equal((what, body[:2]), (CONNACK, b"\0\0"), "the answer to CONNECT")

        topic = string(f"interop/aioquic/{qos}")
        packets.send(SUBSCRIBE | FLAGGED, b"\0\1\0" + topic + bytes([qos]))
        equal(await packets.receive(), (SUBACK, 0, b"\0\1\0" + bytes([qos])), "the answer to SUBSCRIBE")

        for number, payload in enumerate([b"hello", LARGE, b""], 2):
            identifier = struct.pack("!H", number) if qos else b""
            packets.send(PUBLISH | qos << 1, topic + identifier + b"\0" + payload)
            await exchange(packets, qos, identifier, topic, payload)

        packets.send(DISCONNECT, b"")
        packets.writer.write_eof()
        equal(await packets.reader.read(), b"", "what comes after DISCONNECT")
        await quic.wait_closed()
        equal(quic.ended and quic.ended.error_code, 0, "error code of the end")


async def exchange(packets: Packets, qos: int, identifier: bytes, topic: bytes, payload: bytes) -> None:
    """Both ways of one message at once: the broker may deliver before it acknowledges, or after."""
    missing = {0: {PUBLISH}, 1: {PUBLISH, PUBACK}, 2: {PUBLISH, PUBREC, PUBREL, PUBCOMP}}[qos]
    theirs = b""
    while missing:
        what, flags, body = await packets.receive()
        if what not in missing:
            raise AssertionError(f"packet {what:#x} came, and one of {[hex(each) for each in missing]} should")
        missing.remove(what)
        if what == PUBLISH:
            equal(flags, qos << 1, "flags of PUBLISH")
            theirs = body[len(topic) : len(topic) + len(identifier)]
            equal(body, topic + theirs + b"\0" + payload, "PUBLISH")
            if qos:
                packets.send(PUBACK if qos == 1 else PUBREC, theirs)
        elif what == PUBREL:
            equal((flags, body[:2]), (FLAGGED, theirs), "PUBREL")
            packets.send(PUBCOMP, theirs)
        else:
            equal((flags, body[:2]), (0, identifier), "identifier of an acknowledgement")
            equal(body[2:3] or b"\0", b"\0", "reason code of an acknowledgement")
            if what == PUBREC:
                packets.send(PUBREL | FLAGGED, identifier)


async def refused(broker: Broker) -> None:
    """Who speaks something else learns it in the handshake."""
    try:
        async with broker.connect("h3"):
            raise AssertionError("a connection that offers h3 alone was accepted")
    except ConnectionError:
        pass


def string(text: str) -> bytes:
    return struct.pack("!H", len(text)) + text.encode()


def equal(got: object, want: object, what: str) -> None:
    if got != want:
        raise AssertionError(f"{what}: {got!r:.80} instead of {want!r:.80}")


async def passes(name: str, check: Awaitable[None]) -> bool:
    try:
        await asyncio.wait_for(check, DEADLINE)
    except Exception as error:
        print(f"aioquic quic {name} FAILED: {type(error).__name__} {error}", flush=True)
        return False
    print(f"aioquic quic {name} ok", flush=True)
    return True


async def main(ca: str, url: str) -> bool:
    broker = Broker(ca, url)
    results = [await passes(f"qos={qos}", round_trip(broker, qos)) for qos in (0, 1, 2)]
    results.append(await passes("other-alpn-refused", refused(broker)))
    return all(results)


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(main(*sys.argv[1:])) else 1)
