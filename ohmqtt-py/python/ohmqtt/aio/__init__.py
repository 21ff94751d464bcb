"""MQTT 5 for asyncio and Trio.

    >>> import asyncio
    >>> from ohmqtt.aio import Client
    >>> from ohmqtt.broker import Broker
    >>> async def main(url: str) -> None:
    ...     async with Client(url) as client, client.subscribe("sensors/#") as messages:
    ...         publication = await client.publish("sensors/1", "21.5", qos=1)
    ...         print((await publication).reason_code.name)
    ...         async for message in messages:
    ...             print(message.topic, message.text)
    ...             break
    >>> with Broker() as broker:
    ...     asyncio.run(main(broker.url))
    SUCCESS
    sensors/1 21.5

A client runs itself on a thread without the GIL; messages come into the event loop in batches. The library whose loop
runs is found out by itself, and neither is imported before it is used.

Cancelling any `await` here neither loses a message nor leaves anything behind.
"""

from __future__ import annotations

from ohmqtt._native import Acknowledgement, Message
from ohmqtt.aio._client import Client
from ohmqtt.aio._events import (
    Closed,
    Connected,
    ConnectFailed,
    ConnectionState,
    Disconnected,
    Event,
    Events,
    Health,
    Metrics,
    Missed,
    NotAcknowledged,
    Reauthenticated,
    SessionLost,
    SubscriptionRefused,
    UnclaimedDropped,
    Undelivered,
)
from ohmqtt.aio._options import ClientOptions, PublishOptions, SubscribeOptions
from ohmqtt.aio._publication import Publication
from ohmqtt.aio._subscription import Messages, Subscription

__all__ = [
    "Acknowledgement",
    "Client",
    "ClientOptions",
    "Closed",
    "ConnectFailed",
    "Connected",
    "ConnectionState",
    "Disconnected",
    "Event",
    "Events",
    "Health",
    "Message",
    "Messages",
    "Metrics",
    "Missed",
    "NotAcknowledged",
    "Publication",
    "PublishOptions",
    "Reauthenticated",
    "SessionLost",
    "SubscribeOptions",
    "Subscription",
    "SubscriptionRefused",
    "UnclaimedDropped",
    "Undelivered",
]
