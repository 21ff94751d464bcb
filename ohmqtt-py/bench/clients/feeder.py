"""Publishes a batch of messages for each byte of its standard input: `feeder.py PORT QOS TOPIC BATCH`."""

from __future__ import annotations

import os
import socket
import sys

CONNECT = bytes.fromhex("10 13 00 04 4d515454 05 02 0000 00 0006") + b"feeder"


def publish(topic: str, qos: int, packet_id: int) -> bytes:
    """Give the PUBLISH of a message of 256 bytes."""
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name
    if qos:
        body += packet_id.to_bytes(2, "big")
    body += b"\0" + b"x" * 256
    return bytes([0x30 | qos << 1, len(body) & 0x7F | 0x80, len(body) >> 7]) + body


def take(connection: socket.socket, count: int) -> None:
    """Read so many bytes."""
    while count > 0:
        data = connection.recv(min(count, 65536))
        if not data:
            raise SystemExit("the broker has closed the connection")
        count -= len(data)


def main() -> None:
    """Publish until standard input ends."""
    port, qos, topic, size = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    batch = b"".join(publish(topic, qos, number) for number in range(1, size + 1))
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(CONNECT)
        head = connection.recv(2)
        take(connection, head[1])
        while asked := os.read(0, 1):
            assert asked == b"."
            connection.sendall(batch)
            if qos:
                # PUBACKs without properties are of four bytes.
                take(connection, 4 * size)


main()
