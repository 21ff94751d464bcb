"""`ohmqtt.aio`, on asyncio."""

from __future__ import annotations

import asyncio
import threading
from importlib.metadata import version
from typing import Any

import common
from common import payload, report, told
from ohmqtt.aio import Client, Closed, Connected, ConnectFailed, Disconnected, Events
from ohmqtt.error import MQTTError


def commands() -> asyncio.Queue[dict[str, Any] | None]:
    """The commands, which a thread reads. The last is None."""
    queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for command in common.commands():
            loop.call_soon_threadsafe(queue.put_nowait, command)
        loop.call_soon_threadsafe(queue.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    return queue


def client_of(command: dict[str, Any]) -> Client:
    connect: dict[str, Any] = {
        "client_id": "kit",
        "clean_start": command.get("clean_start", 1) == 1,
        "session_expiry": command.get("session_expiry", 300),
        "connect_timeout": command.get("connect_timeout", 60),
        "backoff": (0.001, 0.01),
    }
    for name, option in (
        ("client_id", "client_id"),
        ("keep_alive", "keep_alive"),
        ("receive_maximum", "receive_maximum"),
        ("maximum_packet_size", "max_packet_size"),
        ("topic_alias_maximum", "topic_alias_maximum"),
    ):
        if name in command:
            connect[option] = command[name]
    return Client(command["url"], wait=False, close_timeout=2.0, **connect)


async def events(source: Events) -> None:
    async for event in source:
        match event:
            case Connected():
                report("connected", session=int(event.session_present))
            case Disconnected():
                report("disconnected", why=str(event))
            case ConnectFailed():
                report("failed", why=str(event))
            case Closed():
                report("closed", why=str(event))


async def messages(source: Any) -> None:
    async for message in source:
        report(
            "message",
            topic=message.topic,
            payload=told(message.payload),
            qos=int(message.qos),
            retain=int(message.retain),
        )


async def publish(client: Client, command: dict[str, Any]) -> None:
    name = command["name"]
    qos, retain = command.get("qos", 0), bool(command.get("retain", 0))
    try:
        publication = client.publish_nowait(command["topic"], payload(command), qos=qos, retain=retain)
    except Exception as error:
        report("refused", name=name, why=str(error))
        return
    try:
        report("acked", name=name, reason=int((await publication).reason_code))
    except Exception as error:
        report("lost", name=name, why=str(error))


async def subscribe(client: Client, command: dict[str, Any]) -> None:
    name = command["name"]
    try:
        async with client.subscribe(command["filter"], qos=command.get("qos", 0)) as stream:
            report("subscribed", name=name, reason=int(stream.granted[0]))
            await messages(stream)
    except MQTTError as error:
        report("unsubscribed", name=name, why=str(error))


async def main() -> None:
    report("ready", name="ohmqtt.aio", version=version("ohmqtt"))
    todo = commands()
    first = await todo.get()
    if first is None:
        return
    client = client_of(first)
    # Asked for before the client is entered: from its beginning on.
    happening = asyncio.create_task(events(client.events()))
    async with client:
        tasks = [happening, asyncio.create_task(messages(client.unclaimed()))]
        while command := await todo.get():
            act = {"publish": publish, "subscribe": subscribe}[command["do"]]
            tasks.append(asyncio.create_task(act(client, command)))
            # In the order of the commands.
            await asyncio.sleep(0)
    await asyncio.wait(tasks, timeout=1)


if __name__ == "__main__":
    asyncio.run(main())
    common.leave()
