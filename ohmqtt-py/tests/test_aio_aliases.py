"""Topic aliases of the server: how many it may use, and what becomes of one that goes past that."""

from __future__ import annotations

import socket
from functools import partial

import anyio
import pytest

from aioclients import bounded, eventually
from ohmqtt.aio import Client, Connected, Disconnected
from ohmqtt.broker import Broker
from ohmqtt.codec import (
    ConnAckPacket,
    ConnectPacket,
    DisconnectPacket,
    DisconnectReasonCode,
    PublishPacket,
    SubAckPacket,
    SubscribePacket,
)
from rawclient import PATIENCE, RawClient

pytestmark = pytest.mark.anyio

LONG = ["a" * 1000, "b" * 1000]


@pytest.mark.parametrize(("maximum", "kilobytes"), [(None, 20), (0, 20), (1, 10), (2, 2), (65_535, 2)])
@bounded
async def test_an_alias_of_the_servers_is_resolved(maximum: int | None, kilobytes: int) -> None:
    with Broker() as broker:
        faults = broker.faults()
        client = Client(broker.url, client_id="a", topic_alias_maximum=maximum)
        async with client, client.subscribe(*LONG) as messages, Client(broker.url) as sender:
            connect = faults.sent_by("a")[0]
            assert isinstance(connect, ConnectPacket)
            assert connect.topic_alias_max == (maximum or 0)
            before = broker.metrics().bytes_sent
            # With one alias it goes from topic to topic: of two messages on the same the second has it alone.
            for number in range(20):
                topic = LONG[number // 2 % 2]
                await sender.publish(topic, str(number))
                message = await anext(messages)
                assert (message.topic, message.text) == (topic, str(number))
            # Topics that are sent whole are most of what is sent.
            await eventually(lambda: (broker.metrics().bytes_sent - before) // 1000 == kilobytes)


def serve_past_the_maximum(listener: socket.socket) -> DisconnectPacket:
    """Use the two aliases that the client allows, and then a third. Gives what it says to that."""
    stream, _ = listener.accept()
    stream.settimeout(PATIENCE)
    with RawClient(stream) as server:
        assert server.receive(ConnectPacket).topic_alias_max == 2
        server.send(ConnAckPacket())
        server.send(SubAckPacket(server.receive(SubscribePacket).packet_id, [0]))
        for topic, alias in [("a", 1), ("b", 2), ("", 1), ("", 2), ("c", 1), ("", 1), ("d", 3)]:
            server.send(PublishPacket(topic, b"", topic_alias=alias))
        said = server.receive(DisconnectPacket)
        assert server.has_ended()
        return said


@bounded
async def test_an_alias_past_the_maximum_ends_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = Client(f"127.0.0.1:{listener.getsockname()[1]}", topic_alias_maximum=2, close_timeout=0)
        events = client.events()
        said: list[DisconnectPacket] = []
        async with anyio.create_task_group() as tasks:

            async def serve() -> None:
                said.append(await anyio.to_thread.run_sync(partial(serve_past_the_maximum, listener)))

            tasks.start_soon(serve)
            async with client, client.subscribe("#") as messages:
                assert [(await anext(messages)).topic for _ in range(6)] == ["a", "b", "a", "b", "c", "c"]
                assert isinstance(await anext(events), Connected)
                ended = await anext(events)
                assert isinstance(ended, Disconnected)
                assert "alias" in str(ended)
            assert client.metrics().received == 6
        assert said[0].reason_code is DisconnectReasonCode.TOPIC_ALIAS_INVALID
