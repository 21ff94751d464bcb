"""The client: publish, subscribe, and be called back with what comes.

    >>> from ohmqtt import Client, MQTTPublishPacket
    >>> def show(client: Client, packet: MQTTPublishPacket) -> None:
    ...     print(packet.topic, packet.payload)
    >>> with Client() as client:  # doctest: +SKIP
    ...     client.connect("localhost")
    ...     client.wait_for_connect(timeout=5.0)
    ...     client.subscribe("greetings/#", show).wait_for_ack(timeout=5.0)
    ...     client.publish("greetings/all", b"hello", qos=1).wait_for_ack(timeout=5.0)

The I/O runs by itself once the client is made. Callbacks run in whichever thread runs the loop: that of `start_loop`
(which `with` starts), or the caller's of `loop_forever` and `loop_once`.
"""

from __future__ import annotations

import atexit
import collections
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from ohmqtt._native import Engine, end_visits, interpreter_ends
from ohmqtt.logger import get_logger
from ohmqtt.mqtt_spec import MQTTReasonCode
from ohmqtt.packet import (
    MQTTAuthPacket,
    MQTTConnAckPacket,
    MQTTDisconnectPacket,
    MQTTPublishPacket,
)
from ohmqtt.property import MQTTConnectProps, MQTTDisconnectProps, MQTTWillProps
from ohmqtt.session import Session

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from typing_extensions import Self

    from ohmqtt._native import Received

__all__ = ["Client"]

logger: Final = get_logger("client")

BATCH: Final = 256
"""So many events are taken over from the engine at once."""

FLUSH: Final = 2.0
"""So long, in seconds, `disconnect` may take to deliver what was published before."""

LINGER: Final = 10.0
"""So long, in seconds, leaving the block may take for that."""

WATCH: Final = 0.05
"""So often, in seconds, the connection is looked after while another thread may run the loop."""


class Client(Session):
    """An MQTT 5.0 client.

    Any method may be called from any thread, and from callbacks, which may also wait: for acknowledgements, for the
    connection. `with` runs the loop in a thread of its own and disconnects at the end, once what was published has
    been sent.
    """

    __slots__ = (
        "__dict__",
        "_is_shut_down",
        "_ready",
        "_thread",
        "_thread_lock",
        "on_connect",
        "on_disconnect",
    )

    on_connect: Callable[[Client, MQTTConnAckPacket], None] | None
    """Called in the loop with the client and the CONNACK of each connection."""
    on_disconnect: Callable[[Client, Exception | None], None] | None
    """Called in the loop with the client, and why the connection ended: None if it was asked for."""

    def __init__(self, db_path: str | os.PathLike[str] = "", *, db_fast: bool = False) -> None:
        """Keep messages of QoS 1 and 2 until they are acknowledged: in the SQLite database `db_path`, or in memory.

        A publish returns once the message is on the disk. `db_fast` leaves it to the system when that is: a crash of
        the process loses nothing then, a power cut may lose the last moments. A database of ohmqtt 1.x is taken over,
        and kept.

        Raises StoreError (an OSError) if the database cannot be opened, SchemaError if it is none of ours.
        """
        super().__init__(Engine(os.fspath(db_path), db_fast))
        self._ready: collections.deque[tuple[Any, ...]] = collections.deque()
        self._is_shut_down = False
        self._thread: threading.Thread | None = None
        self._thread_lock = threading.Lock()
        LIVE.add(self)
        self.on_connect = None
        self.on_disconnect = None

    def __enter__(self) -> Self:
        """Run the loop in a thread of its own."""
        self.start_loop()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Deliver what was published, for at most ten seconds, say DISCONNECT, and shut down."""
        self._engine.disconnect(LINGER, MQTTReasonCode.NormalDisconnection, None)
        self.shutdown()
        self._engine.wait_ended(None)
        with self._thread_lock:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            # One in a callback that takes longer ends when that returns.
            thread.join(LINGER)

    def connect(
        self,
        address: str,
        *,
        client_id: str = "",
        clean_start: bool = False,
        connect_timeout: float | None = None,
        reconnect_delay: float = 0,
        keepalive_interval: int = 0,
        tcp_nodelay: bool = True,  # noqa: ARG002
        tls_context: ssl.SSLContext | None = None,
        tls_hostname: str = "",
        username: str | None = None,
        password: bytes | None = None,
        will_topic: str = "",
        will_payload: bytes = b"",
        will_qos: int = 0,
        will_retain: bool = False,
        will_properties: MQTTWillProps | None = None,
        connect_properties: MQTTConnectProps | None = None,
    ) -> None:
        """Ask for a connection, and return at once; `wait_for_connect` waits for it.

        `address` is `mqtt://host:port`, `mqtts://`, `ws://`, `wss://` or `unix:/path`; without a scheme it is
        `mqtt://`. A user name and a password in it count where none are given here.

        `connect_timeout` is in seconds, from resolving the name to the CONNACK; without one there is no limit.
        `reconnect_delay` is how many seconds after its end a connection that had stood is made again; 0: never.
        `keepalive_interval` is in seconds, up to 65,535; 0: none. `tls_context` is for `mqtts` and `wss`; without one
        the platform's authorities are trusted. `tls_hostname` is the name the server's certificate must be for, if
        not that of the address. `tcp_nodelay` is not looked at: what is published together leaves together, and at
        once.

        Raises ValueError for what cannot be, and InvalidStateError unless the client is disconnected.
        """
        tls = (tls_context, tls_hostname) if tls_context is not None or tls_hostname else None
        will = (will_topic, will_payload, will_qos, will_retain, will_properties) if will_topic else None
        self._engine.connect(
            _absolute(address),
            client_id=client_id,
            clean_start=clean_start,
            connect_timeout=connect_timeout,
            reconnect_delay=reconnect_delay,
            keep_alive=keepalive_interval,
            tls=tls,
            username=username,
            password=password,
            will=will,
            properties=connect_properties,
        )

    def disconnect(
        self,
        *,
        reason_code: MQTTReasonCode = MQTTReasonCode.NormalDisconnection,
        properties: MQTTDisconnectProps | None = None,
    ) -> None:
        """End the connection, and return at once.

        What was published before is delivered first, for at most two seconds. What is left of QoS 1 and 2 is kept for
        the next connection.

        It also ends an attempt to connect, and waiting for the next.
        `reason_code=MQTTReasonCode.DisconnectWithWillMessage` has the server publish the will.
        """
        self._engine.disconnect(FLUSH, reason_code, properties)

    def shutdown(self) -> None:
        """End the client for good: the connection is closed, without waiting for anything, and the loop ends.

        The server publishes the will. What is in the database stays there for the next client. It may be called again.
        """
        self._is_shut_down = True
        self._engine.shutdown()

    def auth(
        self,
        *,
        authentication_method: str | None = None,
        authentication_data: bytes | None = None,
        reason_string: str | None = None,  # noqa: ARG002
        user_properties: Sequence[tuple[str, str]] | None = None,  # noqa: ARG002
        reason_code: MQTTReasonCode = MQTTReasonCode.Success,
    ) -> None:
        """Answer the server's AUTH, as `handle_auth` is to do, or authenticate anew on the connection that stands.

        The method is the one of the connect's properties, which began the exchange. `reason_string` and
        `user_properties` are not sent.

        Raises InvalidStateError if there is no exchange to answer and no connection.
        """
        self._engine.auth(reason_code, authentication_method, authentication_data)

    def handle_auth(self, packet: MQTTAuthPacket) -> None:
        """Answer an AUTH of the server's by `auth`. Override it to authenticate by a method of your own."""
        if packet.reason_code == MQTTReasonCode.ContinueAuthentication:
            logger.warning("the server waits for an answer: override handle_auth to give it")

    def handle_connect(self, packet: MQTTConnAckPacket) -> None:
        """Look at the CONNACK of a new connection. Override it, or set `on_connect`."""
        if self.on_connect is not None:
            self.on_connect(self, packet)

    def handle_disconnect(self, error: Exception | None) -> None:
        """Look at why a connection has ended: None if it was asked to. Override it, or set `on_disconnect`."""
        if self.on_disconnect is not None:
            self.on_disconnect(self, error)

    @property
    def session(self) -> Session:
        """The client, as what outlives its connections."""
        return self

    @property
    def connack(self) -> MQTTConnAckPacket | None:
        """The last CONNACK: that of the connection that stands, or stood, or was refused."""
        return self._engine.connack()

    @property
    def disconnect_packet(self) -> MQTTDisconnectPacket | None:
        """The DISCONNECT by which the server ended the last connection; None if it ended otherwise, or stands."""
        return self._engine.disconnect_packet()

    def is_connected(self) -> bool:
        """Whether the server has accepted a connection, and it stands."""
        return self._engine.is_connected()

    def wait_for_connect(self, timeout: float | None = None) -> None:
        """Wait for the connection, at most `timeout` seconds.

        Raises why it did not come about: ConnectionRefusedError, socket.gaierror, ssl.SSLError, TimeoutError,
        WebsocketError, or MQTTError with the server's reason code. Raises TimeoutError if the time is up, or no
        connection was asked for.
        """
        if not self._engine.wait_connected(timeout, False):
            raise TimeoutError("not connected within the timeout")

    def wait_for_disconnect(self, timeout: float | None = None) -> None:
        """Wait, at most `timeout` seconds, until there is no connection. Raises TimeoutError if the time is up."""
        if not self._engine.wait_disconnected(timeout):
            raise TimeoutError("not disconnected within the timeout")

    def wait_for_shutdown(self, timeout: float | None = None) -> None:
        """Wait, at most `timeout` seconds, until the client has shut down. Raises TimeoutError if the time is up."""
        if not self._engine.wait_ended(timeout):
            raise TimeoutError("not shut down within the timeout")

    def start_loop(self) -> None:
        """Run the loop in a thread of its own, until the client is shut down. Raises RuntimeError the second time."""
        with self._thread_lock:
            if self._thread is not None:
                raise RuntimeError("the loop was started already")
            thread = threading.Thread(target=self.loop_forever, name="ohmqtt loop", daemon=True)
            thread.start()
            self._thread = thread

    def loop_once(self, max_wait: float | None = 0.0) -> None:
        """Call back with what has come, or comes within `max_wait` seconds; 0: now, None: whenever."""
        ready = self._ready
        if not ready:
            ready.extend(self._engine.poll(max_wait, BATCH))
        while ready and not self._is_shut_down:
            try:
                event = ready.popleft()
            except IndexError:  # Another thread was faster.
                return
            if type(event[0]) is int:
                self._handle_message(*event)
            else:
                self._handle(event)

    def loop_forever(self) -> None:
        """Call back with what comes, until the client is shut down."""
        while not self._engine.has_ended():
            self.loop_once(None)

    def loop_until_connected(self, timeout: float | None = None) -> bool:
        """Call back with what comes until there is a connection: True, or until `timeout` seconds are over: False.

        False also as soon as no connection is asked for. Raises why the last attempt has failed, once; see
        `wait_for_connect`.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            # Asked first: what comes between the two questions is a connection.
            is_coming = self._engine.is_connecting()
            if self._engine.wait_connected(0.0, True):
                return True
            left = WATCH if deadline is None else min(WATCH, deadline - time.monotonic())
            if left <= 0.0 or not is_coming:
                return False
            self.loop_once(left)

    def _handle(self, event: tuple[Any, ...]) -> None:
        """Call back with one thing that has happened to the connection."""
        what = event[0]
        try:
            if what == "connected":
                self.handle_connect(event[1])
            elif what == "disconnected":
                self.handle_disconnect(event[1])
            elif what == "auth":
                self.handle_auth(event[1])
        except Exception:
            logger.exception("handling '%s' failed", what)

    def _handle_message(self, number: int, packet: MQTTPublishPacket, received: Received | None) -> None:
        subscription = self.subscriptions.find(number)
        if subscription is not None:
            if subscription.sub_id is not None:
                packet.properties.SubscriptionIdentifier = {subscription.sub_id}
            try:
                subscription.callback(self, packet)
            except Exception:
                logger.exception("the callback of '%s' failed", subscription.topic_filter)
        if received is not None:
            received.ack()


def _absolute(address: str) -> str:
    """Give the address of a Unix socket its folder; `//` before a host means nothing."""
    if address[:5].lower() == "unix:" and address[5:6] not in ("", "/", "@"):
        # It is large, and hardly anybody comes here.
        from urllib.parse import quote

        return f"unix:{quote(os.getcwd())}/{address[5:]}"
    return address.removeprefix("//")


LIVE: Final[weakref.WeakSet[Client]] = weakref.WeakSet()
"""The clients of this process that somebody holds."""


if sys.platform != "win32":
    # A child has no part in its parent's clients.
    os.register_at_fork(after_in_child=LIVE.clear)


@atexit.register
def _end_all() -> None:
    """End the threads before the interpreter does, which would stop them wherever they are."""
    interpreter_ends()
    clients = list(LIVE)
    for client in clients:
        client.shutdown()
    # A thread in a callback that takes longer, or uses the client, is Python's to stop.
    deadline = time.monotonic() + 1.0
    for client in clients:
        client._engine.wait_ended(deadline - time.monotonic())
        thread = client._thread
        if thread is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
    end_visits()
