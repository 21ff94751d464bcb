"""`gmqtt`, which has no handles: the window is all that is not acknowledged."""

from __future__ import annotations

import asyncio

from gmqtt import Client
from gmqtt.mqtt.constants import MQTTv50

from .work import PAYLOAD, TOPIC, WINDOW, Feeder, Work


async def _client(work: Work) -> Client:
    client = Client("bench-gmqtt")
    await client.connect("127.0.0.1", work.port, version=MQTTv50)
    return client


def publish(work: Work) -> None:
    """Publish a window, and wait until all of it is acknowledged."""
    asyncio.run(_publish_all(work))


async def _publish_all(work: Work) -> None:
    client = await _client(work)
    await _publish(client, work.qos, WINDOW)
    work.begin()
    await _publish(client, work.qos, work.count)
    work.end()
    await client.disconnect()


async def _publish(client: Client, qos: int, count: int) -> None:
    for number in range(1, count + 1):
        client.publish(TOPIC, PAYLOAD, qos=qos)
        if number % WINDOW == 0:
            await (client._persistent_storage.wait_empty() if qos else asyncio.sleep(0))
    if not qos:
        client.publish(TOPIC, PAYLOAD, qos=1)
    await client._persistent_storage.wait_empty()


def receive(work: Work) -> None:
    """Receive into a callback."""
    feeder = Feeder(work)
    asyncio.run(_receive(work, feeder))
    feeder.close()


async def _receive(work: Work, feeder: Feeder) -> None:
    subscribed, done = asyncio.Event(), asyncio.Event()

    def callback(*_: object) -> int:
        if feeder.received():
            done.set()
        return 0

    client = await _client(work)
    client.on_message = callback
    client.on_subscribe = lambda *_: subscribed.set()
    client.subscribe(TOPIC, qos=work.qos)
    await asyncio.wait_for(subscribed.wait(), 10.0)
    feeder.feed()
    await asyncio.wait_for(done.wait(), 60.0)
    await client.disconnect()
