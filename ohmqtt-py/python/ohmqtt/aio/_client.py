"""The async client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ohmqtt._native import AioOperation, AioOptions
from ohmqtt.aio._events import ConnectionState, Events, Health, Metrics, Undelivered, metrics
from ohmqtt.aio._port import Port, current
from ohmqtt.aio._publication import Publication
from ohmqtt.aio._subscription import Messages, Subscription

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Buffer, Self, Unpack

    from ohmqtt._native import AioClient, Message
    from ohmqtt.aio._options import ClientOptions, PublishOptions, SubscribeOptions
    from ohmqtt.codec import DisconnectPacket, TopicFilter


class Client:
    """An MQTT 5.0 client for asyncio and Trio.

    `async with` connects it and closes it. In between it runs itself, on a thread of its own: it reconnects, and keeps
    what is published meanwhile. It is used in the event loop it was entered in, by any number of tasks.

    Cancelling any `await` here neither loses a message nor leaves anything behind. What has happened by then, each
    method says.
    """

    def __init__(
        self,
        url: str,
        *fallbacks: str,
        wait: bool = True,
        close_timeout: float = 10.0,
        **options: Unpack[ClientOptions],
    ) -> None:
        """Say what the client is to be. Nothing is done yet, but files with certificates and keys are read.

        `url` is `mqtt://host:port`, `mqtts://`, `ws://`, `wss://`, `unix:/path` or `quic://`; without a scheme it is
        `mqtt://`. User name and password may stand in it. `fallbacks` are tried in turn when it does not accept.

        `wait`: entering waits for the first connection, and raises why there is none. With False the client connects in
        the background, for as long as it takes; see `connected`.

        `close_timeout`: for so many seconds at most leaving waits until all is delivered.

        The other options are those of `ClientOptions`. ValueError and TypeError name the one that is wrong.
        """
        self._options = AioOptions([url, *fallbacks], dict(options))
        self._wait = wait
        self._close_timeout = close_timeout
        self._port_: Port | None = None
        self._native_: AioClient | None = None

    async def __aenter__(self) -> Self:
        """Start the client, and connect it.

        ConnectionRefusedError, socket.gaierror, ssl.SSLError, TimeoutError or another OSError when the network or TLS
        stands in the way; MQTTError, with its reason code, when the server refuses; StoreError when the store does not
        work. A client whose entering is cancelled closes in the background.
        """
        port = current()
        await port.turn()
        self._native_ = await port.run(self._options.connect(port.native, self._wait))
        self._port_ = port
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the client as `close` does, within `close_timeout`; also when the task is cancelled."""
        await self.close()

    @property
    def _native(self) -> AioClient:
        if self._native_ is None:
            raise RuntimeError("the client is not entered: use `async with Client(...) as client:`")
        return self._native_

    @property
    def _port(self) -> Port:
        if self._port_ is None:
            raise RuntimeError("the client is not entered: use `async with Client(...) as client:`")
        return self._port_

    async def close(self, timeout: float | None = None, *, disconnect: DisconnectPacket | None = None) -> Undelivered:
        """Take no further message, deliver what is there, say DISCONNECT, and tell what is left.

        It waits for `timeout` seconds at most, without one for `close_timeout`; a server that does not read costs up to
        four more. It does so to its end, also when the task is cancelled. `disconnect` is said in the place of a plain
        DISCONNECT: with the reason code DISCONNECT_WITH_WILL_MESSAGE the server publishes the will.

        Where the server chose the client_id the session ends too, because nobody could go on with it.
        """
        port, seconds = self._port, self._close_timeout if timeout is None else timeout
        closed = self._native.close(port.native, seconds, disconnect)
        if isinstance(closed, AioOperation):
            await port.finish(closed)
            closed = closed.result()
        messages, size = closed
        return Undelivered(messages, size)

    async def publish(
        self,
        topic: str,
        payload: str | Buffer = b"",
        **options: Unpack[PublishOptions],
    ) -> Publication:
        """Publish a message: when this returns it is accepted, and with a store it is there.

        It waits for room in the outbox, and for the store. `await` what it returns for the server's acknowledgement.
        The options are those of `PublishOptions`; without `qos` it is QoS 0.

        ValueError and TypeError for what is no message. MQTTError with a reason code for what the server is known to
        refuse. StoreError when the store could not keep it. RuntimeError when the client is closed.

        Cancelled before its turn nothing was published, after it the message stays.
        """
        port = self._port
        await port.turn()
        return Publication(port, await port.run(self._native.publish(port.native, topic, payload, dict(options))))

    def publish_nowait(
        self,
        topic: str,
        payload: str | Buffer = b"",
        **options: Unpack[PublishOptions],
    ) -> Publication:
        """Publish a message without waiting.

        As `publish`, but MQTTError with QuotaExceeded when the outbox has no room; and with a store the message is on
        its way there when this returns: see `Publication.accepted`.
        """
        return Publication(self._port, self._native.publish_nowait(topic, payload, dict(options)))

    async def request(
        self,
        topic: str,
        payload: str | Buffer = b"",
        *,
        timeout: float,
        **options: Unpack[PublishOptions],
    ) -> Message:
        """Publish a message that is answered, as `Message.reply` does, and give the answer.

        It goes out with QoS 1, unless `qos` says otherwise. The `timeout`, in seconds, includes waiting for a
        connection and for room; then it is a TimeoutError. MQTTError with NoMatchingSubscribers when nobody listens,
        or with the reason for which the server refused the message.

        A request that is cancelled is forgotten; its message may go out, and the answer is counted as late.
        """
        port = self._port
        await port.turn()
        answered = self._native.request(port.native, topic, payload, timeout, dict(options))
        answer: Message = await port.run(answered)
        return answer

    def subscribe(self, *filters: str | TopicFilter, **options: Unpack[SubscribeOptions]) -> Subscription:
        """Give a subscription to these topic filters: `async with client.subscribe("a/#") as messages:`.

        A filter is a string, with the options that are given, or an `ohmqtt.codec.TopicFilter` with its own. The
        options are those of `SubscribeOptions`. It is made again when the server has lost the session.
        """
        return Subscription(self._native, self._port, filters, options)

    def unclaimed(self) -> Messages:
        """Give the messages that no subscription claims, such as those of a session from before it was subscribed to.

        Up to 1,000 wait for a subscription or for this; more are dropped, acknowledged and counted.
        """
        port = self._port
        messages = Messages(port, self._native.unclaimed(port.native))
        messages._client = self._native
        return messages

    def events(self) -> Events:
        """Give what happens to the client from now on: connections, their ends, what was lost or refused.

        Before the client is entered they begin with it, so that the first connection is among them:

            client = Client(url)
            events = client.events()
            async with client: ...
        """
        if self._native_ is None:
            port = current()
            return Events(port, self._options.events(port.native))
        port = self._port
        return Events(port, self._native.events(port.native))

    async def connected(self) -> None:
        """Wait until the connection stands. Raises why it will not, if the client has given up or was closed."""
        port = self._port
        await port.turn()
        await port.run(self._native.connected(port.native))

    async def reauthenticate(self) -> None:
        """Authenticate anew on the connection that stands, by enhanced authentication. Messages flow meanwhile.

        MQTTError when it fails, ConnectionError without a connection. It goes on when it is cancelled.
        """
        port = self._port
        await port.turn()
        await port.run(self._native.reauthenticate(port.native))

    @property
    def state(self) -> ConnectionState:
        """How the connection stands."""
        return ConnectionState(*self._native.state())

    @property
    def client_id(self) -> str:
        """The name of the session: as it was given, or as the server chose it."""
        return self._native.client_id

    def metrics(self) -> Metrics:
        """Give counters, and what stands now. Cheap enough to be asked each second."""
        return metrics(self._native.metrics())

    def health(self) -> Health:
        """Say what stands in the way of messages, if anything does. Cheap enough to be asked each second."""
        return Health(tuple(self._native.health()))

    def __repr__(self) -> str:
        """How the connection stands."""
        return f"<Client, {'not entered' if self._native_ is None else self.state.name}>"
