"""The installed package in a few lines, for interpreters that do not run all the tests."""

from __future__ import annotations

import asyncio
import sys
from queue import Queue

import ohmqtt
from ohmqtt.aio import Client
from ohmqtt.broker import Broker
from ohmqtt.cli import main as command
from ohmqtt.codec import PublishPacket, QoS, read


async def exchange(url: str) -> None:
    async with Client(url) as client, client.subscribe("a") as messages:
        publication = await client.publish("a", "hello", qos=1)
        assert (await publication).reason_code == 0
        assert (await anext(messages)).text == "hello"


def main() -> None:
    sent = PublishPacket("a/b", b"hello", qos=QoS.AT_LEAST_ONCE, packet_id=1)
    got, nbytes = read(sent.write())
    assert got == sent
    assert nbytes == len(sent.write())
    came: Queue[bytes] = Queue()
    with Broker() as broker, ohmqtt.Client() as client:
        client.connect(broker.url)
        client.wait_for_connect(30)
        client.subscribe("a/#", lambda _, packet: came.put(packet.payload))
        client.publish("a/b", "hello", qos=2).wait_for_ack(30)
        assert came.get(timeout=30) == b"hello"
        asyncio.run(exchange(broker.url))
        assert command(["pub", "--url", broker.url, "-t", "a/c", "-m", "at a shell", "-q", "1"]) == 0
        assert came.get(timeout=30) == b"at a shell"
    print(f"py: CPython {sys.version.split()[0]}: ok")


if __name__ == "__main__":
    main()
