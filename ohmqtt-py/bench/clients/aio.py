"""`aiomqtt`, whose publish waits for the acknowledgement: the window is so many tasks."""

from __future__ import annotations

import asyncio

from aiomqtt import Client, ProtocolVersion

from .work import PAYLOAD, TOPIC, WINDOW, Feeder, Work


def _client(work: Work) -> Client:
    return Client("127.0.0.1", work.port, protocol=ProtocolVersion.V5, max_inflight_messages=WINDOW)


def publish(work: Work) -> None:
    """Publish from as many tasks as the window has places."""
    asyncio.run(_publish_all(work))


async def _publish_all(work: Work) -> None:
    # It warns of many calls at once, which is what a window is.
    async with _client(work) as client:
        client.pending_calls_threshold = 2 * WINDOW
        await _publish(client, work.qos, WINDOW)
        work.begin()
        await _publish(client, work.qos, work.count)
        work.end()


async def _publish(client: Client, qos: int, count: int) -> None:
    async def some(number: int) -> None:
        for _ in range(number):
            await client.publish(TOPIC, PAYLOAD, qos)

    tasks = WINDOW if qos else 1
    async with asyncio.timeout(60.0):
        await asyncio.gather(*(some(count // tasks) for _ in range(tasks)))
        if not qos:
            await client.publish(TOPIC, PAYLOAD, 1)


def receive(work: Work) -> None:
    """Receive by its iterator: it has no callbacks."""
    feeder = Feeder(work)
    asyncio.run(_receive(work, feeder))
    feeder.close()


async def _receive(work: Work, feeder: Feeder) -> None:
    async with _client(work) as client, asyncio.timeout(60.0):
        await client.subscribe(TOPIC, work.qos)
        feeder.feed()
        async for _ in client.messages:
            if feeder.received():
                break
