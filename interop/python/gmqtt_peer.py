"""gmqtt: `gmqtt_peer.py CA_FILE EXAMPLES URL...`, see `exchange.main`."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import exchange
from exchange import Broker, Message, Publish, Receive, equal
from gmqtt import Client
from gmqtt.storage import PersistentStorage


class Connection:
    """A client, the answers to its only SUBSCRIBE and UNSUBSCRIBE, and its messages."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.subscribed: asyncio.Future[list[int]] = loop.create_future()
        self.unsubscribed: asyncio.Future[list[int]] = loop.create_future()
        self.messages: asyncio.Queue[Message | Exception] = asyncio.Queue()
        # It holds the messages that the broker has not acknowledged.
        self.unacknowledged = PersistentStorage()
        self.client = Client(uuid4().hex, persistent_storage=self.unacknowledged)
        self.client.set_config({"reconnect_retries": 0, "reconnect_delay": 0})
        self.client.on_subscribe = lambda _c, _mid, reasons, _p: self.subscribed.set_result(list(reasons))
        self.client.on_unsubscribe = lambda _c, _mid, reasons: self.unsubscribed.set_result(list(reasons))
        self.client.on_message = self.came
        self.client.on_disconnect = lambda _c, packet, error=None: self.messages.put_nowait(
            ConnectionError(f"the connection ended: {error or packet!r}")
        )

    def came(self, _client: Client, topic: str, payload: bytes, qos: int, properties: dict[str, Any]) -> int:
        content_type = properties.get("content_type", [None])[0]
        user = tuple(properties.get("user_property", ()))
        self.messages.put_nowait(
            Message(topic, bytes(payload), qos, bool(properties["retain"]), content_type, user)
        )
        return 0


@asynccontextmanager
async def connection(broker: Broker) -> AsyncIterator[Connection]:
    made = Connection()
    tls = ssl.create_default_context(cafile=broker.ca) if broker.tls else False
    await made.client.connect(broker.host, broker.port, ssl=tls)
    try:
        yield made
    finally:
        await made.client.disconnect()


class Gmqtt:
    name = "gmqtt"

    @asynccontextmanager
    async def publisher(self, broker: Broker) -> AsyncIterator[Publish]:
        async def publish(message: Message) -> None:
            properties: dict[str, Any] = {}
            if message.content_type:
                properties["content_type"] = message.content_type
            if message.user:
                properties["user_property"] = list(message.user)
            made.client.publish(message.topic, message.payload, message.qos, message.retain, **properties)
            await made.unacknowledged.wait_empty()

        async with connection(broker) as made:
            yield publish

    @asynccontextmanager
    async def subscriber(self, broker: Broker, topic: str, qos: int) -> AsyncIterator[Receive]:
        async def receive() -> Message:
            message = await made.messages.get()
            if isinstance(message, Exception):
                raise message
            return message

        async with connection(broker) as made:
            made.client.subscribe(topic, qos)
            equal(await made.subscribed, [qos], "granted QoS")
            yield receive
            made.client.unsubscribe(topic)
            equal(await made.unsubscribed, [0], "reason code of UNSUBACK")


if __name__ == "__main__":
    exchange.main(Gmqtt())
