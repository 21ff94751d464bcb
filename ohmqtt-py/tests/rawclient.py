"""A client that is no more than a socket and the codec."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from ohmqtt.codec import (
    ConnAckPacket,
    ConnectPacket,
    IncompleteError,
    Packet,
    PubAckPacket,
    PublishPacket,
    SubAckPacket,
    SubscribePacket,
    TopicFilter,
    read,
)

if TYPE_CHECKING:
    from typing_extensions import Self

# Long enough that only what hangs is cut off.
PATIENCE = 60.0

P = TypeVar("P", bound=Packet)


def open_socket(url: str) -> socket.socket:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(PATIENCE)
        stream.connect(parts.path)
        return stream
    assert parts.port is not None
    return socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)


class RawClient:
    """What goes over a stream, packet by packet."""

    def __init__(self, stream: str | socket.socket) -> None:
        self.socket = open_socket(stream) if isinstance(stream, str) else stream
        self.buffer = b""

    def send(self, packet: Packet) -> None:
        self.socket.sendall(packet.write())

    def receive(self, kind: type[P]) -> P:
        """Return the next packet, which is to be one of these. ConnectionError at the end of the stream."""
        while True:
            try:
                packet, nbytes = read(self.buffer)
            except IncompleteError:
                data = self.socket.recv(4096)
                if not data:
                    raise ConnectionError("the stream has ended") from None
                self.buffer += data
                continue
            self.buffer = self.buffer[nbytes:]
            assert isinstance(packet, kind), packet
            return packet

    def has_ended(self) -> bool:
        """Wait for the end of the stream; what comes before it is dropped."""
        try:
            while self.socket.recv(4096):
                pass
        except ConnectionError:
            pass
        return True

    def connect(self, client_id: str, **more: Any) -> ConnAckPacket:
        self.send(ConnectPacket(client_id, **more))
        return self.receive(ConnAckPacket)

    def subscribe(self, topic_filter: str, **more: Any) -> SubAckPacket:
        self.send(SubscribePacket(1, [TopicFilter(topic_filter, **more)]))
        return self.receive(SubAckPacket)

    def publish(self, topic: str, payload: bytes = b"", **more: Any) -> PubAckPacket:
        """Publish at QoS 1."""
        self.send(PublishPacket(topic, payload, qos=1, packet_id=1, **more))
        return self.receive(PubAckPacket)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.socket.close()
