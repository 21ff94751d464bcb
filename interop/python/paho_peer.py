"""paho-mqtt: `paho_peer.py CA_FILE EXAMPLES URL...`, see `exchange.main`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import exchange
from exchange import Broker, Message, Publish, Receive, equal
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTMessage, MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


class Connection:
    """A client whose thread passes on all that happens to it: answers by their packet identifier, and messages."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.answers: dict[int, asyncio.Future[list[Any]]] = {}
        self.messages: asyncio.Queue[Message | Exception] = asyncio.Queue()
        self.connected: asyncio.Future[Any] = loop.create_future()
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5, reconnect_on_failure=False)

        def answer(mid: int, reasons: list[Any]) -> None:
            loop.call_soon_threadsafe(lambda: self.answer(mid).set_result(reasons))

        def came(message: Message | Exception) -> None:
            loop.call_soon_threadsafe(self.messages.put_nowait, message)

        self.client.on_connect = lambda _c, _u, _flags, reason, _p: loop.call_soon_threadsafe(
            self.connected.set_result, reason
        )
        self.client.on_subscribe = lambda _c, _u, mid, reasons, _p: answer(mid, reasons)
        self.client.on_unsubscribe = lambda _c, _u, mid, reasons, _p: answer(mid, reasons)
        self.client.on_publish = lambda _c, _u, mid, reason, _p: answer(mid, [reason])
        self.client.on_message = lambda _c, _u, message: came(read(message))
        self.client.on_disconnect = lambda _c, _u, _flags, reason, _p: came(ConnectionError(reason))

    def answer(self, mid: int) -> "asyncio.Future[list[Any]]":
        """What the broker answers to `mid`, whichever of the two is earlier: who asks, or the answer."""
        return self.answers.setdefault(mid, asyncio.get_running_loop().create_future())

    async def answered(self, mid: int | None, limit: int, what: str) -> list[int]:
        """The reason codes of the answer, none of which may be above `limit`."""
        if mid is None:
            raise AssertionError(f"{what} was not sent")
        reasons = [reason.value for reason in await self.answer(mid)]
        del self.answers[mid]
        if max(reasons) > limit:
            raise AssertionError(f"reason codes {reasons} in the answer to {what}")
        return reasons


def read(message: MQTTMessage) -> Message:
    properties = message.properties
    return Message(
        message.topic,
        bytes(message.payload),
        message.qos,
        message.retain,
        getattr(properties, "ContentType", None),
        tuple(getattr(properties, "UserProperty", ())),
    )


@asynccontextmanager
async def connection(broker: Broker) -> AsyncIterator[Connection]:
    made = Connection()
    if broker.tls:
        made.client.tls_set(ca_certs=broker.ca)
    await asyncio.to_thread(made.client.connect, broker.host, broker.port, clean_start=True)
    made.client.loop_start()
    try:
        equal((await made.connected).value, 0, "reason code of CONNACK")
        yield made
    finally:
        made.client.disconnect()
        await asyncio.to_thread(made.client.loop_stop)


class Paho:
    name = "paho"

    @asynccontextmanager
    async def publisher(self, broker: Broker) -> AsyncIterator[Publish]:
        async def publish(message: Message) -> None:
            properties = Properties(PacketTypes.PUBLISH)
            if message.content_type:
                properties.ContentType = message.content_type
            if message.user:
                properties.UserProperty = list(message.user)
            sent = made.client.publish(message.topic, message.payload, message.qos, message.retain, properties)
            # 16: there is no subscriber.
            await made.answered(sent.mid, 16, "PUBLISH")

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
            _, mid = made.client.subscribe(topic, qos)
            equal(await made.answered(mid, 2, "SUBSCRIBE"), [qos], "granted QoS")
            yield receive
            _, mid = made.client.unsubscribe(topic)
            equal(await made.answered(mid, 0, "UNSUBSCRIBE"), [0], "reason code of UNSUBACK")


if __name__ == "__main__":
    exchange.main(Paho())
