"""The API of umqtt.simple, over MQTT 5.0: a small blocking client for one thread.

    >>> from ohmqtt.simple import MQTTClient
    >>> client = MQTTClient("thermometer", "localhost")
    >>> client.connect()                                    # doctest: +SKIP
    0
    >>> client.publish(b"kitchen/temperature", b"21.5")     # doctest: +SKIP

Programs written for umqtt.simple run with only the import changed. Topics and messages are bytes or str; callbacks get
bytes. Nothing happens in the background: messages come, and the connection is kept alive, while `wait_msg`,
`check_msg` or a call that waits for the server runs. A connection that ends is an `OSError`; `ohmqtt.robust` connects
again by itself.

Better than there: QoS 2, payloads up to the protocol's limit, `keepalive` answered while `wait_msg` waits, certificates
that are checked unless `cert_reqs` says otherwise, and refusals of single topics told.
"""

from __future__ import annotations

import errno
import select
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

from ohmqtt.codec import ConnectPacket, DisconnectPacket, PingReqPacket, TopicFilter, Will
from ohmqtt.sansio import (
    Acked,
    ClientSession,
    Connected,
    Disconnected,
    Lost,
    Message,
    Received,
    RequestLost,
    SessionLossPolicy,
    Subscribed,
    Unsubscribed,
)

if TYPE_CHECKING:
    import ssl as tls
    from collections.abc import Callable, Iterable

__all__ = ["MQTTClient", "MQTTException"]

Text: TypeAlias = bytes | str
"""What topics and messages may be given as."""

_FOREVER = 0xFFFFFFFF
_PARTING = 1.0
_IMPLEMENTATION_SPECIFIC_ERROR = 0x83


class MQTTException(Exception):  # noqa: N818 - the name that programs catch
    """The server refused what it was asked; the first argument is the reason code of MQTT 5.0."""


class MQTTClient:
    """A client of the broker at `server`.

    `port` 0 is 1883, or 8883 with TLS. `keepalive` is in seconds, 0 for never. `ssl` is True, with `ssl_params` as for
    `ohmqtt.default`, or an `ssl.SSLContext`. Nothing is connected before `connect`.
    """

    def __init__(
        self,
        client_id: Text,
        server: str,
        port: int = 0,
        user: Text | None = None,
        password: Text | None = None,
        keepalive: int = 0,
        ssl: tls.SSLContext | bool | None = None,
        ssl_params: dict[str, Any] | None = None,
    ) -> None:
        """Take what `connect` will need."""
        self.client_id = client_id
        self.server = server
        self.port = port or (8883 if ssl else 1883)
        self.user = user
        self.pswd = password
        self.keepalive = keepalive
        self.ssl = ssl
        self.ssl_params = ssl_params or {}
        self.sock: socket.socket | None = None
        """The connection; None without one. For select and poll: nothing that has come waits behind it."""
        self.cb: Callable[[bytes, bytes], object] | None = None
        self._will: Will | None = None
        self._session: ClientSession | None = None
        self._connect: ConnectPacket | None = None
        self._timeout: float | None = None
        self._messages: deque[Received] = deque()
        self._answers: dict[int, Acked | Lost | Subscribed | Unsubscribed | RequestLost] = {}
        self._in_callback = False

    def set_callback(self, f: Callable[[bytes, bytes], object]) -> None:
        """Have `f(topic, msg)` called for each message, by whichever call lets it in. To be set before `subscribe`."""
        self.cb = f

    def set_last_will(self, topic: Text, msg: Text, retain: bool = False, qos: int = 0) -> None:
        """Have the server publish this when a later connection ends other than by `disconnect`."""
        self._will = Will(_text(topic), payload=_bytes(msg), qos=_qos(qos), retain=bool(retain))

    def connect(self, clean_session: bool = True, timeout: float | None = None) -> int:
        """Connect, and return 1 when the server went on with an old session, else 0.

        With `clean_session` False the server keeps the session from one connection to the next. `timeout` is in
        seconds, for connecting and for each later wait for an answer; None waits for as long as the system does.
        `OSError` when there is no connection, `MQTTException` with the reason code when the server refuses it.
        """
        self._drop()
        self._timeout = timeout
        session = self._begin(clean_session)
        sock = socket.create_connection((self.server, self.port), timeout)
        try:
            self.sock = self._secure(sock)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            session.connection_made(time.monotonic())
            self._until(lambda: session.is_connected)
        except BaseException:
            sock.close()
            self._drop()
            raise
        return int(bool(session.session_present))

    def disconnect(self) -> None:
        """Say DISCONNECT and close the connection. Without one it does nothing."""
        if self.sock is None or self._session is None:
            return
        self._session.disconnect(DisconnectPacket())
        try:
            self._send()
            # Closing on unread bytes would take the DISCONNECT back.
            self.sock.settimeout(_PARTING)
            self.sock.shutdown(socket.SHUT_WR)
            while self.sock.recv(65536):
                pass
        except OSError:
            pass
        finally:
            self._drop()

    def ping(self) -> None:
        """Ask the server for a sign of life. Its answer is taken by `wait_msg` or `check_msg`."""
        self._connected()[0].sendall(PingReqPacket().write())

    def publish(self, topic: Text, msg: Text, retain: bool = False, qos: int = 0) -> None:
        """Publish a message; at QoS 1 and 2 wait until the server has acknowledged it.

        `OSError` when the connection ends first, `MQTTException` with the reason code when the server refuses it,
        `ValueError` for what is no topic. In a callback too: other messages wait meanwhile.
        """
        self._finish(self._submit(topic, msg, retain, qos), qos)

    def subscribe(self, topic: Text, qos: int = 0) -> None:
        """Subscribe to a topic filter, with messages of up to this QoS, and wait for the server's answer.

        `MQTTException` with the reason code when the server refuses it.
        """
        if self.cb is None:
            raise RuntimeError("subscribe: set a callback first: set_callback(f), with f(topic, msg)")
        self._subscribe(topic, qos)

    def unsubscribe(self, topic: Text) -> None:
        """End a subscription, and wait for the server's answer."""
        session = self._connected()[1]
        ticket = session.unsubscribe(_text(topic))
        answer = self._answer(ticket)
        if isinstance(answer, Unsubscribed):
            _check(answer.packet.reason_codes)

    def wait_msg(self) -> int | None:
        """Wait for the server's next packet, for as long as it takes, and act on it: a message goes to the callback.

        Returns the first byte of the packet (0x30 to 0x3D for a message), None for the answer to a ping. `OSError` when
        the connection ends.
        """
        return self._step()

    def check_msg(self) -> int | None:
        """As `wait_msg`, for what has come already; None when nothing has."""
        if not self._messages:
            sock, session = self._connected()
            session.handle_timeout(time.monotonic())
            self._flush()
            if not _has_data(sock):
                return None
        return self._step()

    # What follows is the way between the session and the socket.

    def _step(self) -> int | None:
        """Act on the next packet."""
        if self._messages:
            return self._dispatch()
        sock, _ = self._connected()
        self._flush()
        op = self._read(sock, None)
        if op is None or op & 0xF0 != 0x30:
            return op
        # One of QoS 2 that comes again is no message.
        return self._dispatch() if self._messages else op

    def _begin(self, clean_session: bool) -> ClientSession:
        connect = ConnectPacket(
            _text(self.client_id),
            username=None if self.user is None else _text(self.user),
            password=None if self.pswd is None else _bytes(self.pswd),
            clean_start=clean_session,
            will=self._will,
            keep_alive=self.keepalive,
            session_expiry_interval=0 if clean_session else _FOREVER,
        )
        # A session that goes on remembers what it has under way.
        if self._session is None or clean_session or connect != self._connect:
            timeout = 60.0 if self._timeout is None else max(self._timeout, 0.001)
            # Whoever waits for an acknowledgement waits until there is one, also of a server that has lost the session.
            resend = SessionLossPolicy.RESEND
            self._session = ClientSession(connect, connect_timeout=timeout, session_loss=resend)
            self._connect = connect
            self._answers.clear()
        self._messages.clear()
        return self._session

    def _secure(self, sock: socket.socket) -> socket.socket:
        if not self.ssl:
            return sock
        from ohmqtt._ssl_params import context

        params = dict(self.ssl_params)
        server_hostname = params.pop("server_hostname", None) or self.server
        made = context(params) if self.ssl is True else self.ssl
        return made.wrap_socket(sock, server_hostname=server_hostname)

    def _connected(self) -> tuple[socket.socket, ClientSession]:
        if self.sock is None or self._session is None:
            raise OSError(errno.ENOTCONN, "not connected: call connect() first")
        return self.sock, self._session

    def _submit(self, topic: Text, msg: Text, retain: bool, qos: int) -> int:
        session = self._connected()[1]
        message = Message(_text(topic), _bytes(msg), qos=_qos(qos), retain=bool(retain))
        return session.publish(message, now=time.monotonic())

    def _finish(self, ticket: int, qos: int) -> None:
        if qos:
            answer = self._answer(ticket)
        else:
            # Nothing is heard of it once it has left.
            self._flush()
            answer = self._answers.pop(ticket, None)
        if isinstance(answer, Acked):
            _check([answer.reason_code])
        elif isinstance(answer, Lost):
            raise MQTTException(0x80, answer.text)

    def _subscribe(self, topic: Text, qos: int) -> None:
        session = self._connected()[1]
        # As umqtt's servers saw it: retain says that a message was kept, not how it was published.
        wanted = TopicFilter(_text(topic), max_qos=_qos(qos), retain_as_published=False)
        answer = self._answer(session.subscribe(wanted))
        if isinstance(answer, Subscribed):
            _check(answer.packet.reason_codes)

    def _answer(self, ticket: int) -> object:
        self._until(lambda: isinstance(self._answers.get(ticket), (Acked, Lost, Subscribed, Unsubscribed, RequestLost)))
        return self._answers.pop(ticket)

    def _until(self, is_so: Callable[[], bool]) -> None:
        """Serve the connection until this is so. Messages go to the callback meanwhile, unless that is what waits."""
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        self._flush()
        while not is_so():
            if self._messages and not self._in_callback:
                self._dispatch()
                continue
            sock, _ = self._connected()
            self._read(sock, deadline)

    def _read(self, sock: socket.socket, deadline: float | None) -> int | None:
        """Read one packet, no byte more, so that whoever selects on the socket sees what has not come yet."""
        assert self._session is not None
        head = self._exactly(sock, 2, deadline)
        packet = bytearray(head)
        while packet[-1] & 0x80 and len(packet) < 5:
            packet += self._exactly(sock, 1, deadline)
        remaining = sum((byte & 0x7F) << (7 * at) for at, byte in enumerate(packet[1:]))
        self._session.receive(packet, time.monotonic())
        while remaining:
            part = self._exactly(sock, min(remaining, 65536), deadline)
            self._session.receive(part, time.monotonic())
            remaining -= len(part)
        self._flush()
        return None if packet[0] == 0xD0 else packet[0]

    def _exactly(self, sock: socket.socket, count: int, deadline: float | None) -> bytes:
        """Read so many bytes, and see to the session's deadlines meanwhile."""
        assert self._session is not None
        data = b""
        while len(data) < count:
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                self._drop()
                raise TimeoutError(errno.ETIMEDOUT, f"{self.server}:{self.port} did not answer in {self._timeout} s")
            due = self._session.next_timeout()
            until = min((at for at in (deadline, due) if at is not None), default=None)
            sock.settimeout(None if until is None else max(until - now, 0.001))
            try:
                part = sock.recv(count - len(data))
            except TimeoutError:
                self._session.handle_timeout(time.monotonic())
                self._flush()
                continue
            except OSError:
                self._drop()
                raise
            if not part:
                self._ended()
            data += part
        return data

    def _flush(self) -> None:
        """Send what the session has to say, and take in what has happened."""
        session = self._send()
        self._hear(session.events())
        if session.should_close:
            self._ended()

    def _send(self) -> ClientSession:
        sock, session = self._connected()
        while data := session.data_to_send(time.monotonic()):
            try:
                sock.settimeout(self._timeout)
                sock.sendall(data)
            except OSError:
                self._drop()
                raise
        return session

    def _hear(self, events: Iterable[object]) -> None:
        for event in events:
            match event:
                case Received():
                    self._messages.append(event)
                case Acked(ticket) | Lost(ticket) | Subscribed(ticket) | Unsubscribed(ticket) | RequestLost(ticket):
                    self._answers[ticket] = event
                case Connected():
                    pass

    def _ended(self) -> None:
        """Say why the connection is over."""
        session = self._session
        assert session is not None
        session.connection_lost(time.monotonic())
        events = session.events()
        self._hear(events)
        self._drop()
        for event in events:
            if isinstance(event, Disconnected):
                if not isinstance(event.packet, (type(None), DisconnectPacket)) and event.reason_code is not None:
                    raise MQTTException(int(event.reason_code), event.text)
                raise ConnectionResetError(errno.ECONNRESET, f"{self.server}:{self.port}: {event.text}")
        raise ConnectionResetError(errno.ECONNRESET, f"{self.server}:{self.port}: the connection has ended")

    def _drop(self) -> None:
        """Close the socket. The session goes on."""
        if self.sock is None:
            return
        self.sock.close()
        self.sock = None
        if self._session is not None:
            self._session.connection_lost(time.monotonic())
            self._hear(self._session.events())
        # What was not handed over is not acknowledged, and comes again.
        self._messages.clear()

    def _dispatch(self) -> int:
        """Give the oldest message to the callback, and acknowledge it when that returns."""
        received = self._messages.popleft()
        message, receipt = received.message, received.receipt
        session = self._session
        was_in_callback, self._in_callback = self._in_callback, True
        try:
            self._deliver(message.topic.encode(), message.payload)
        except BaseException:
            # The next messages do not wait for it.
            if receipt is not None and session is not None:
                session.reject(receipt, _IMPLEMENTATION_SPECIFIC_ERROR)
            raise
        finally:
            self._in_callback = was_in_callback
        if receipt is not None and session is not None:
            session.acknowledge(receipt)
            if self.sock is not None:
                self._flush()
        return 0x30 | message.qos << 1 | int(message.retain)

    def _deliver(self, topic: bytes, msg: bytes) -> None:
        if self.cb is not None:
            self.cb(topic, msg)


def _has_data(sock: socket.socket) -> bool:
    """Whether something can be read without waiting."""
    pending = getattr(sock, "pending", None)
    if pending is not None and pending():
        return True
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([sock], [], [], 0)[0])


def _check(reason_codes: Iterable[int]) -> None:
    for code in reason_codes:
        if code >= 0x80:
            raise MQTTException(int(code), f"refused by the server: {getattr(code, 'name', code)}")


def _text(value: Text) -> str:
    return value if isinstance(value, str) else bytes(value).decode()


def _bytes(value: Text) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def _qos(value: int) -> Any:
    return value
