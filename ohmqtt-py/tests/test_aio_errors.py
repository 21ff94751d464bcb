"""What a client says when something is wrong."""

from __future__ import annotations

import pickle
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from aioclients import CERTIFICATE, IDENTITY, bounded
from ohmqtt import LostMessageError, MQTTError, MQTTReasonCode, StoreError
from ohmqtt.aio import Client
from ohmqtt.broker import Broker, Listener
from ohmqtt.codec import ConnAckPacket, ConnAckReasonCode

pytestmark = pytest.mark.anyio


@pytest.fixture
def url() -> Iterator[str]:
    with Broker() as broker:
        yield broker.url


@bounded
async def test_nobody_listens(closed_url: str) -> None:
    with pytest.raises(ConnectionRefusedError, match="is a broker listening there") as caught:
        async with Client(closed_url):
            pass
    assert caught.value.errno
    assert closed_url in str(caught.value)


@bounded
async def test_a_fallback_is_tried(closed_url: str, url: str) -> None:
    async with Client(closed_url, url) as client:
        assert client.state.name == "connected"
    with pytest.raises(ConnectionRefusedError):
        async with Client(closed_url, closed_url.removeprefix("mqtt://"), backoff=(0, 0)):
            pass


@bounded
async def test_a_host_without_an_address() -> None:
    with pytest.raises(socket.gaierror, match=r"no-such-host\.invalid") as caught:
        # Its first sign says so: nobody else is asked.
        async with Client("mqtt://-no-such-host.invalid"):
            pass
    assert caught.value.errno == socket.EAI_NONAME


@bounded
async def test_a_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
        async with Client(f"127.0.0.1:{silent.getsockname()[1]}", connect_timeout=0.2):
            pass


@asynccontextmanager
async def serve(answer: bytes) -> AsyncIterator[str]:
    """Answer everyone with these bytes, and hang up."""

    async def talk(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(answer)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, talk)
        yield f"127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
        tasks.cancel_scope.cancel()


@bounded
async def test_a_server_that_speaks_something_else() -> None:
    async with serve(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        with pytest.raises(MQTTError, match="is it an MQTT 5"):
            async with Client(url):
                pass


@bounded
async def test_certificates() -> None:
    with Broker("mqtts://127.0.0.1:0", identity=IDENTITY) as broker:
        by_name = broker.url.replace("127.0.0.1", "localhost")
        with pytest.raises(ssl.SSLCertVerificationError, match="certificate") as caught:
            async with Client(by_name):
                pass
        assert isinstance(caught.value, OSError)
        async with Client(by_name, ca_file=CERTIFICATE) as client:
            assert client.state.name == "connected"
        async with Client(by_name, ca_file=str(CERTIFICATE), server_name="localhost", alpn=["mqtt"]):
            pass
        with pytest.raises(ssl.SSLCertVerificationError):
            async with Client(by_name, ca_file=CERTIFICATE, server_name="elsewhere"):
                pass
        async with Client(broker.url, verify=False):
            pass


@bounded
async def test_a_server_that_wants_a_certificate() -> None:
    listener = Listener(url="mqtts://127.0.0.1:0", identity=IDENTITY, client_authorities=CERTIFICATE)
    with Broker(listener) as broker:
        with pytest.raises(ssl.SSLError, match="certificate"):
            async with Client(broker.url, verify=False):
                pass
        cert, key = IDENTITY
        async with Client(broker.url, verify=False, cert_file=cert, key_file=key) as client:
            assert client.state.name == "connected"


@bounded
async def test_tls_where_there_is_none(url: str) -> None:
    # It says nothing of TLS, and hangs up.
    with pytest.raises(ConnectionResetError, match="handshake mqtts"):
        async with Client(url.replace("mqtt://", "mqtts://"), verify=False):
            pass


@bounded
async def test_a_refusal_has_a_reason_code() -> None:
    refusal = ConnAckPacket(reason_code=ConnAckReasonCode.NOT_AUTHORIZED).write()
    async with serve(refusal) as url:
        with pytest.raises(MQTTError, match="check user name and password") as caught:
            async with Client(url, user_name="me", password="secret"):
                pass
        assert caught.value.reason_code is MQTTReasonCode.NotAuthorized
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("urls", "options", "error", "match"),
    [
        (["http://localhost"], {}, ValueError, "unknown scheme `http`"),
        (["mqtt://localhost:x"], {}, ValueError, "bad port `x`"),
        (["localhost", "mqtt://"], {}, ValueError, "no host"),
        ([7], {}, TypeError, "str"),
        (["localhost"], {"keep_alive": "x"}, TypeError, "keep_alive: "),
        (["localhost"], {"keep_alive": -1}, ValueError, "keep_alive: cannot be negative"),
        (["localhost"], {"keep_alive": float("nan")}, ValueError, "keep_alive: not a number"),
        (["localhost"], {"receive_maximum": 70_000}, ValueError, "receive_maximum: 70000 is not from 0 to 65535"),
        (["localhost"], {"topic_alias_maximum": -1}, ValueError, "topic_alias_maximum: -1 is not from 0 to 65535"),
        (["localhost"], {"request_problem_information": "x"}, TypeError, "request_problem_information: "),
        (["localhost"], {"bind": "localhost"}, ValueError, "bind: invalid IP address"),
        (["localhost"], {"ciphers": "ECDHE"}, TypeError, "ciphers: "),
        (["localhost"], {"client_id": b"x"}, TypeError, "client_id: "),
        (["localhost"], {"outbox": 5}, TypeError, "outbox: "),
        (["localhost"], {"outbox": (-1, 5)}, ValueError, "outbox: "),
        (["localhost"], {"overflow": "x"}, ValueError, "overflow: 'x' is not one of 'refuse', 'drop_oldest'"),
        (["localhost"], {"will": "x"}, TypeError, "will: "),
        (["localhost"], {"proxy": "x"}, ValueError, "proxy: "),
        (["localhost"], {"store": "outbox"}, ValueError, r"store: outbox: end the name of the file with \.redb"),
        (["localhost"], {"key_file": "key.pem"}, ValueError, "key_file: give the certificate's cert_file with it"),
        (["localhost"], {"ca_file": "no/such.pem"}, FileNotFoundError, "no/such.pem"),
        (["localhost"], {"ca_file": __file__}, ValueError, "test_aio_errors.py: "),
        (["localhost"], {"headers": {"a b": "c"}}, ValueError, "headers: bad header `a b`"),
        (["localhost"], {"user_properties": "ab"}, TypeError, "user_properties: "),
        (["localhost"], {"colour": "red"}, TypeError, "there is no option 'colour'"),
    ],
)
def test_wrong_options_are_told_when_the_client_is_made(
    urls: list[Any], options: dict[str, Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        Client(*urls, **options)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"client_id": "a\0"}, ValueError, "client_id: "),
        ({"receive_maximum": 0}, ValueError, "receive_maximum: must not be 0"),
        ({"store": "here.redb"}, ValueError, "a store needs a client identifier"),
        ({"store": "no/such/folder.redb", "client_id": "a"}, StoreError, "has no folder to stand in"),
    ],
)
@bounded
async def test_wrong_options_are_told_when_the_client_is_entered(
    options: dict[str, Any], error: type[Exception], match: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=match):
        async with Client("localhost", **options):
            pass


def test_a_store_error_is_an_os_error() -> None:
    error = StoreError(28, "full")
    assert isinstance(error, OSError)
    assert error.errno == 28
    assert pickle.loads(pickle.dumps(error)).args == error.args


@bounded
async def test_wrong_messages(url: str) -> None:
    async with Client(url) as client:
        wrong: list[tuple[str, Any, dict[str, Any], type[Exception], str]] = [
            ("a/#", b"", {}, ValueError, "publish: "),
            ("", b"", {}, ValueError, "publish: "),
            ("a", 5, {}, TypeError, "payload: expected str, bytes, bytearray or a memoryview of bytes, not 'int'"),
            ("a", b"", {"qos": 3}, ValueError, "qos: 3 is not from 0 to 2"),
            ("a", b"", {"alias": "sometimes"}, ValueError, "alias: 'sometimes' is not one of"),
            ("a", b"", {"response_topic": "a/+"}, ValueError, "response_topic: "),
            ("a", b"", {"correlation_data": "x"}, TypeError, "correlation_data: "),
            ("a", b"", {"deadline": "soon"}, TypeError, "deadline: "),
            ("a", b"", {"colour": "red"}, TypeError, "there is no option 'colour'"),
            (5, b"", {}, TypeError, "topic: "),  # type: ignore[list-item]
        ]
        for topic, payload, options, error, match in wrong:
            with pytest.raises(error, match=match):
                await client.publish(topic, payload, **options)
            with pytest.raises(error, match=match):
                client.publish_nowait(topic, payload, **options)
        for filters, more, error, match in [
            (("a/#/b",), {}, ValueError, "filters: "),
            ((), {}, TypeError, "give a topic filter"),
            ((7,), {}, TypeError, "filters: "),
            (("a",), {"retain_handling": 3}, ValueError, "retain_handling: "),
            (("a",), {"capacity": -1}, ValueError, "capacity: "),
            (("$share/g/a",), {"no_local": True}, ValueError, "subscribe"),
        ]:
            with pytest.raises(error, match=match):
                async with client.subscribe(*filters, **more):  # type: ignore[arg-type]
                    pass
        with pytest.raises(RuntimeError, match="not subscribed yet"):
            await anext(client.subscribe("a"))
        async with client.subscribe("a") as messages:
            await client.publish("a")
            message = await anext(messages)
            with pytest.raises(ValueError, match="it names no response topic"):
                await message.reply("b")
            with pytest.raises(ValueError, match="is no refusal"):
                message.reject(0)
            with pytest.raises(RuntimeError, match="entered once"):
                await messages.__aenter__()


@bounded
async def test_a_full_outbox(closed_url: str) -> None:
    async with Client(closed_url, wait=False, outbox=(2, 10_000), close_timeout=0) as client:
        for _ in range(2):
            client.publish_nowait("a", qos=1)
        with pytest.raises(MQTTError, match="the outbox is full") as caught:
            client.publish_nowait("a", qos=1)
        assert caught.value.reason_code is MQTTReasonCode.QuotaExceeded
        with anyio.move_on_after(0.05):
            await client.publish("a", qos=1)
            raise AssertionError("it waits for room")
        with pytest.raises(MQTTError, match="send less at once"):
            await client.publish("a", bytes(20_000), qos=1)
        assert "outbox is full" in str(client.health())
        assert client.metrics().queued_messages == 2
        assert (await client.close(0)).messages == 2


@bounded
async def test_a_message_that_is_lost(url: str, closed_url: str) -> None:
    async with Client(closed_url, wait=False, close_timeout=0) as client:
        publication = await client.publish("a", qos=1, deadline=0.05)
        with pytest.raises(LostMessageError, match="the deadline passed"):
            await publication
        with pytest.raises(LostMessageError, match="not connected"):
            await (await client.publish("a", qos=0))
        waiting = await client.publish("a", qos=1)
        with pytest.raises(TimeoutError, match="no answer within"):
            await client.request("a", timeout=0.05)
    with pytest.raises(LostMessageError, match="closed before"):
        await waiting
    async with Client(url) as client:
        with pytest.raises(MQTTError, match="nobody has subscribed") as caught:
            await client.request("a", timeout=30)
        assert caught.value.reason_code is MQTTReasonCode.NoMatchingSubscribers


@bounded
async def test_a_client_that_is_not_open(url: str) -> None:
    client = Client(url)
    with pytest.raises(RuntimeError, match="not entered: use `async with Client"):
        await client.publish("a")
    with pytest.raises(RuntimeError, match="not entered"):
        _ = client.state
    assert repr(client) == "<Client, not entered>"
    async with client:
        pass
    for call in (
        lambda: client.publish("a"),
        lambda: client.request("a", timeout=1),
        lambda: client.subscribe("a").__aenter__(),
        lambda: client.connected(),
        lambda: client.reauthenticate(),
    ):
        with pytest.raises(RuntimeError):
            await call()
    with pytest.raises(RuntimeError, match="the client is closed"):
        client.publish_nowait("a")
    assert (await client.close()).messages == 0
    with pytest.raises(RuntimeError, match="entered once"):
        async with client:
            pass
    assert [event async for event in client.events()] == []


@bounded
async def test_a_client_that_gave_up_says_why(url: str) -> None:
    async with Client(url, client_id="same") as first:
        async with first.subscribe("a") as messages, Client(url, client_id="same"):
            with pytest.raises(MQTTError, match="another client uses the same client identifier") as caught:
                await anext(messages)
            assert caught.value.reason_code is MQTTReasonCode.SessionTakenOver
            for call in (first.publish("a"), first.request("a", timeout=5), first.connected()):
                with pytest.raises(MQTTError, match="another client"):
                    await call
        assert first.state.name == "closed"
        assert isinstance(first.state.error, MQTTError)


def test_without_an_event_loop() -> None:
    client = Client("localhost")
    with pytest.raises(RuntimeError, match="no event loop runs here"):
        client.__aenter__().send(None)
