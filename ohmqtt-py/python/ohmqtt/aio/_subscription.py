"""The messages of a subscription."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ohmqtt.aio._stream import Stream

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from ohmqtt._native import AioClient, AioSubscription, Message
    from ohmqtt.aio._options import SubscribeOptions
    from ohmqtt.aio._port import Port
    from ohmqtt.codec import SubAckReasonCode, TopicFilter


class Messages(Stream["Message"]):
    """Messages in the order they came, as an async iterator. A message is acknowledged when it is handed over.

    It ends when the client is closed. Where the client has given up by itself, the iteration raises why.
    """

    _client: AioClient
    _is_left = False

    async def __anext__(self) -> Message:
        """Wait for the next message.

        Cancelling it loses none: a message is taken out, and acknowledged, when it is returned.
        """
        try:
            return await super().__anext__()
        except StopAsyncIteration:
            if not self._is_left:
                await self._port.run(self._client.ended(self._port.native))
            raise


class Subscription(Messages):
    """A subscription, made by `Client.subscribe`: `async with` subscribes and unsubscribes, `async for` reads.

    Messages come in their order. Where acknowledging is not manual, a message is acknowledged when it is handed over;
    what was not read is not acknowledged, and what unsubscribing leaves unread goes to other subscriptions that came
    later, or waits for one.
    """

    _source: AioSubscription

    def __init__(
        self,
        client: AioClient,
        port: Port,
        filters: tuple[str | TopicFilter, ...],
        options: SubscribeOptions,
    ) -> None:
        """Made by a client."""
        self._client = client
        self._port = port
        self._filters = filters
        self._options = options

    async def __aenter__(self) -> Self:
        """Subscribe, and wait for the server's answer.

        MQTTError when it refuses a filter. Cancelling it takes the subscription back.
        """
        if hasattr(self, "_source"):
            raise RuntimeError("a subscription is entered once: subscribe again")
        port = self._port
        await port.turn()
        self._source = await port.run(self._client.subscribe(port.native, self._filters, dict(self._options)))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Unsubscribe. The server is told in the background: this does not wait."""
        self._is_left = True
        self._source.close()

    async def __anext__(self) -> Message:
        """Wait for the next message."""
        if not hasattr(self, "_source"):
            raise RuntimeError("not subscribed yet: use `async with client.subscribe(...) as messages:`")
        return await super().__anext__()

    @property
    def granted(self) -> tuple[SubAckReasonCode, ...]:
        """What the server granted, filter by filter."""
        return self._source.granted

    @property
    def dropped(self) -> int:
        """How many messages were dropped because the reader was too slow."""
        return self._source.dropped

    def __repr__(self) -> str:
        """Which filters it has."""
        return f"<Subscription to {', '.join(map(str, self._filters))}>"
