"""Bursts, slow consumers, cancellation at random, and what is left in memory."""

from __future__ import annotations

import gc
import random
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from aioclients import bounded, eventually
from ohmqtt import MQTTError
from ohmqtt.aio import Client, Message, Publication
from ohmqtt.broker import Broker

pytestmark = pytest.mark.anyio

BURST = 10_000


@pytest.fixture
def url() -> Iterator[str]:
    with Broker() as broker:
        yield broker.url


@bounded
async def test_a_burst_to_a_slow_consumer_loses_nothing_at_qos_1(url: str) -> None:
    async with Client(url) as sender, Client(url) as receiver, receiver.subscribe("a", capacity=100) as messages:
        publications = [sender.publish_nowait("a", b"%d" % number, qos=1) for number in range(BURST)]
        # Nothing is read before all that may wait does.
        await eventually(lambda: receiver.metrics().unacknowledged == 1000)
        assert "the server sends no more" in str(receiver.health())
        for number in range(BURST):
            assert (await anext(messages)).payload == b"%d" % number
            if number % 500 == 0:
                await anyio.sleep(0.001)
        for publication in publications:
            assert not (await publication).is_error
        assert messages.dropped == receiver.metrics().dropped == 0


@bounded
async def test_a_burst_to_a_slow_consumer_is_counted_at_qos_0(url: str) -> None:
    async with Client(url) as sender, Client(url) as receiver, receiver.subscribe("a", capacity=100) as messages:
        # In portions that the broker takes, so that none is lost before it comes here.
        for start in range(0, BURST, 500):
            for number in range(start, start + 500):
                await sender.publish("a", b"%d" % number)
            await eventually(lambda end=start + 500: receiver.metrics().received == end)  # type: ignore[misc]
        assert messages.dropped == receiver.metrics().dropped == BURST - 100
        got = [int((await anext(messages)).payload) for _ in range(100)]
        assert got == list(range(100))
        await sender.publish("a", b"next")
        assert (await anext(messages)).payload == b"next"


@bounded
async def test_the_newest_may_be_kept(url: str) -> None:
    async with Client(url) as client, client.subscribe("a", capacity=10, when_full="drop_oldest_of_any") as messages:
        for number in range(100):
            await (await client.publish("a", b"%d" % number, qos=1))
        await eventually(lambda: client.metrics().received == 100)
        assert messages.dropped == 90
        assert [int((await anext(messages)).payload) for _ in range(10)] == list(range(90, 100))


@pytest.mark.parametrize("seed", range(5))
@bounded
async def test_cancelling_anywhere_loses_nothing_and_leaves_nothing(url: str, seed: int) -> None:
    rng = random.Random(seed)
    count = 300
    published: list[Publication] = []
    got: list[bytes] = []

    async def publish(sender: Client) -> None:
        while len(published) < count:
            # What was accepted and not told is found by its number.
            published.append(await sender.publish("a", b"%d" % len(published), qos=1 + len(published) % 2))

    async def read(messages: object) -> None:
        while len(set(got)) < count:
            message: Message = await anext(messages)  # type: ignore[call-overload]
            got.append(message.payload)

    async def wait() -> None:
        for publication in list(published):
            await publication

    async with Client(url, outbox=(5, 10_000)) as sender, Client(url, receive_maximum=7) as receiver:
        async with receiver.subscribe("a") as messages:
            while len(set(got)) < count:
                step = rng.choice([lambda: publish(sender), lambda: read(messages), wait])
                with anyio.move_on_after(rng.choice([0, 0.0005, 0.002, 0.01])):
                    await step()
            await wait()
            # One that was accepted while its publisher was cancelled comes under its number twice. None else does.
            while len(got) < sender.metrics().accepted:
                got.append((await anext(messages)).payload)
            numbers = [int(payload) for payload in got]
            assert sorted(set(numbers)) == list(range(count))
            assert numbers == sorted(numbers)
            await eventually(lambda: receiver.metrics().unacknowledged == 0)
        await eventually(lambda: sender.metrics().queued_messages == 0)
        assert (receiver.metrics().dropped, receiver.metrics().abandoned, sender.metrics().lost) == (0, 0, 0)
        assert all(not port._waiting for port in (sender._port, receiver._port))  # type: ignore[attr-defined]
        # No slot is gone: as many as ever may be under way.
        async with receiver.subscribe("b") as messages:
            for number in range(50):
                await sender.publish("b", b"%d" % number, qos=1)
            assert [int((await anext(messages)).payload) for _ in range(50)] == list(range(50))


@pytest.mark.parametrize("seed", range(3))
@bounded
async def test_cancelling_what_begins_and_ends_leaves_nothing(url: str, seed: int) -> None:
    rng = random.Random(seed)
    async with Client(url) as client:
        for _ in range(40):
            with anyio.move_on_after(rng.choice([0, 0.0005, 0.002])):
                async with Client(url, close_timeout=5) as other, other.subscribe("a", "b"):
                    await anyio.sleep(rng.choice([0, 0.001]))
            with anyio.move_on_after(rng.choice([0, 0.0005, 0.002])):
                async with client.subscribe("c"):
                    pass
            with anyio.move_on_after(rng.choice([0, 0.0005])), suppress(MQTTError):
                await client.request("nobody", timeout=5)
        async with client.subscribe("c") as messages:
            await client.publish("c", b"last", qos=1)
            assert (await anext(messages)).payload == b"last"
        await eventually(lambda: client.metrics().queued_messages == 0)
        assert not client._port._waiting  # type: ignore[attr-defined]


def memory() -> int:
    """Bytes that the process occupies."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@bounded
async def test_memory_is_flat(url: str) -> None:
    async with Client(url) as client, client.subscribe("a", capacity=1000) as messages:

        async def exchange(count: int) -> None:
            for number in range(0, count, 100):
                publications = [await client.publish("a", bytes(200), qos=number // 100 % 2) for _ in range(100)]
                for _ in range(100):
                    await anext(messages)
                for publication in publications:
                    await publication

        await exchange(10_000)
        grown: list[int] = []
        # 40,000 of anything that stays would be more, each time. What was never needed at once before may stay once.
        while not grown or grown[-1] >= 3 * 1024 * 1024:
            assert len(grown) < 4, grown
            gc.collect()
            before, objects = memory(), len(gc.get_objects())
            await exchange(40_000)
            gc.collect()
            assert len(gc.get_objects()) - objects < 500
            grown.append(memory() - before)
