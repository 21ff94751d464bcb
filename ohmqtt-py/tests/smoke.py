"""The installed package in a few lines, for interpreters that do not run all the tests."""

from __future__ import annotations

import asyncio
import sys

from ohmqtt.aio import Client
from ohmqtt.broker import Broker
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
    with Broker() as broker:
        assert broker.url.startswith("mqtt://127.0.0.1:")
        asyncio.run(exchange(broker.url))
    print(f"py: CPython {sys.version.split()[0]}: ok")


if __name__ == "__main__":
    main()
