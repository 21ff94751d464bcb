"""What the tests of the client share: callbacks that keep what they get, brokers of others, and patience."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue

import ports
from ohmqtt import Client, MQTTConnAckPacket, MQTTConnectPacket, MQTTPacket, MQTTPublishPacket
from ohmqtt.codec import IncompleteError, read
from ohmqtt.packet import decode_packet

SOON = 60.0
"""So long, in seconds, may take what is to happen at once."""

MOSQUITTO = shutil.which("mosquitto", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))


class Inbox:
    """A callback that keeps what it is called with."""

    def __init__(self) -> None:
        self.packets: Queue[MQTTPublishPacket] = Queue()

    def __call__(self, _: Client, packet: MQTTPublishPacket) -> None:
        self.packets.put(packet)

    def next(self) -> MQTTPublishPacket:
        return self.packets.get(timeout=SOON)

    def payloads(self, count: int) -> list[bytes]:
        return [self.next().payload for _ in range(count)]


def until(condition: Callable[[], bool]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline, "it did not become so"
        time.sleep(0.01)


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[str]:
    """Run a Mosquitto in this block, at this URL."""
    with ports.reserved() as port:
        config = folder / "mosquitto.conf"
        # As root it would become a user that may not read what is in the folder.
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n", encoding="utf-8")
        command = [MOSQUITTO or "mosquitto", "-c", str(config)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                until(lambda: _listens(port, process))
                yield f"mqtt://127.0.0.1:{port}"
            finally:
                process.terminate()


def _listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "mosquitto has ended"
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=SOON):
        return True
    return False


class Server:
    """The other end of connections, played by the test."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(SOON)
        self.url = f"mqtt://127.0.0.1:{self.listener.getsockname()[1]}"

    def accept(self, answer: MQTTConnAckPacket | None) -> tuple[Peer, MQTTConnectPacket]:
        """Take a connection, and answer its CONNECT."""
        peer = Peer(self.listener.accept()[0])
        connect = peer.receive()
        assert isinstance(connect, MQTTConnectPacket)
        if answer is not None:
            peer.send(answer)
        return peer, connect


class Peer:
    """One of these connections."""

    def __init__(self, stream: socket.socket) -> None:
        stream.settimeout(SOON)
        self.stream = stream
        self.buffer = bytearray()

    def send(self, packet: MQTTPacket) -> None:
        self.stream.sendall(packet.encode())

    def receive(self) -> MQTTPacket | None:
        """Wait for the next packet; None at the end."""
        while True:
            with contextlib.suppress(IncompleteError):
                _, length = read(self.buffer)
                packet = bytes(self.buffer[:length])
                del self.buffer[:length]
                return decode_packet(packet)
            more = self.stream.recv(1 << 20)
            if not more:
                return None
            self.buffer += more
