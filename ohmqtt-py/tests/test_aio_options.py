"""What a client can be told: each transport, who it is, what it keeps; and a broker that is not ours."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from ipaddress import IPv4Address
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.tls import TLSAttribute, TLSListener, TLSStream

from aioclients import CERTIFICATE, IDENTITY, bounded, eventually
from clients import mosquitto
from ohmqtt import LostMessageError, MQTTError, MQTTReasonCode
from ohmqtt.aio import Client, Reauthenticated
from ohmqtt.broker import Broker, Limits, Login
from ohmqtt.codec import ConnectPacket, QoS

pytestmark = pytest.mark.anyio


async def exchange(client: Client) -> None:
    """Send a message there and back, at each QoS."""
    async with client.subscribe("a") as messages:
        for qos in QoS:
            publication = await client.publish("a", f"{qos}", qos=qos)
            assert (await anext(messages)).text == f"{qos}"
            assert not (await publication).is_error


@pytest.mark.parametrize("scheme", ["mqtt", "mqtts", "ws", "wss", "quic", "unix"])
@bounded
async def test_each_transport(scheme: str, tmp_path: Path) -> None:
    place = f"unix:{tmp_path}/broker.sock" if scheme == "unix" else f"{scheme}://127.0.0.1:0"
    with Broker(place, identity=IDENTITY) as broker:
        url = broker.url.replace("127.0.0.1", "localhost")
        async with Client(url, ca_file=CERTIFICATE, headers={"X-Device": "7"}) as client:
            await exchange(client)


@bounded
async def test_mosquitto(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as url:
        async with Client(url, client_id="a", user_properties=[("b", "c")]) as client:
            await exchange(client)


@bounded
async def test_the_version_and_the_ciphers_of_tls() -> None:
    with Broker("mqtts://127.0.0.1:0", identity=IDENTITY) as broker:
        url = broker.url.replace("127.0.0.1", "localhost")
        async with Client(url, ca_file=CERTIFICATE, only_tls_1_3=True, ciphers=["TLS_AES_128_GCM_SHA256"]) as client:
            await exchange(client)
        with pytest.raises(ValueError, match="no-such-suite"):
            async with Client(url, ca_file=CERTIFICATE, ciphers=["no-such-suite"]):
                pass


def tls_of(version: ssl.TLSVersion) -> ssl.SSLContext:
    """Make a server's context that speaks this version alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*IDENTITY)
    context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize("only_tls_1_3", [False, True])
@bounded
async def test_only_tls_1_3_leaves_out_1_2(only_tls_1_3: bool) -> None:
    spoken: list[str] = []

    async def greet(stream: TLSStream) -> None:
        async with stream:
            spoken.append(stream.extra(TLSAttribute.tls_version))

    plain = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    listener = TLSListener(plain, tls_of(ssl.TLSVersion.TLSv1_2), standard_compatible=False)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, greet)
        url = f"mqtts://127.0.0.1:{plain.extra(SocketAttribute.local_port)}"
        with pytest.raises((OSError, MQTTError)):
            async with Client(url, verify=False, only_tls_1_3=only_tls_1_3):
                pass
        tasks.cancel_scope.cancel()
    assert spoken == ([] if only_tls_1_3 else ["TLSv1.2"])


@pytest.mark.parametrize("form", [str, IPv4Address])
@bounded
async def test_the_address_to_connect_from(form: Callable[[str], str | IPv4Address]) -> None:
    with Broker() as broker:
        async with Client(broker.url, bind=form("127.0.0.1")) as client:
            await exchange(client)
        # It is for documentation, and no machine has it.
        with pytest.raises(OSError, match="an address that is not one of its own"):
            async with Client(broker.url, bind=form("192.0.2.1")):
                pass


@bounded
async def test_problem_information_is_what_the_client_asks_for() -> None:
    with Broker() as broker:
        faults = broker.faults()
        for client_id, wanted in [("a", None), ("b", True), ("c", False)]:
            async with Client(broker.url, client_id=client_id, request_problem_information=wanted):
                connect = faults.sent_by(client_id)[0]
                assert isinstance(connect, ConnectPacket)
                assert connect.request_problem_info is (wanted is not False)


@asynccontextmanager
async def proxy(asked: list[str]) -> AsyncIterator[str]:
    """Run a proxy that speaks HTTP CONNECT."""

    async def pump(source: SocketStream, to: SocketStream) -> None:
        # Either may go while there is something on its way to it.
        with suppress(anyio.BrokenResourceError):
            async for data in source:
                await to.send(data)

    async def serve(stream: SocketStream) -> None:
        async with stream:
            request = (await stream.receive()).decode()
            asked.append(request.split()[1])
            host, port = asked[-1].split(":")
            async with await anyio.connect_tcp(host, int(port)) as target, anyio.create_task_group() as tasks:
                await stream.send(b"HTTP/1.1 200 OK\r\n\r\n")
                tasks.start_soon(pump, target, stream)
                await pump(stream, target)
                tasks.cancel_scope.cancel()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
        tasks.cancel_scope.cancel()


@bounded
async def test_through_a_proxy() -> None:
    asked: list[str] = []
    with Broker() as broker:
        async with proxy(asked) as url, Client(broker.url, proxy=url) as client:
            await exchange(client)
        assert asked == [broker.url.removeprefix("mqtt://")]


@bounded
async def test_who_a_client_is() -> None:
    with Broker(scram={"me": "secret"}) as broker:
        async with Client(broker.url, client_id="gateway", scram=("me", "secret")) as client:
            events = client.events()
            await client.reauthenticate()
            assert isinstance(await anext(events), Reauthenticated)
            await exchange(client)
        with pytest.raises(MQTTError) as caught:
            async with Client(broker.url, scram=("me", "wrong")):
                pass
        assert caught.value.reason_code is MQTTReasonCode.NotAuthorized

    def who(login: Login) -> bool:
        return (login.client_id, login.username, login.password) == ("gateway", "me", b"secret")

    with Broker(authenticator=who) as broker:
        with_names = broker.url.replace("mqtt://", "mqtt://me:secret@")
        async with Client(with_names, client_id="gateway") as client:
            await exchange(client)
        async with Client(broker.url, client_id="gateway", user_name="me", password=b"secret") as client:
            await exchange(client)
        with pytest.raises(MQTTError, match="check user name and password") as caught:
            async with Client(broker.url, client_id="gateway", user_name="me", password="wrong"):
                pass
        assert caught.value.reason_code is MQTTReasonCode.BadUserNameOrPassword
    with Broker() as broker:
        async with Client(broker.url) as client:
            with pytest.raises(RuntimeError, match="has no authenticator"):
                await client.reauthenticate()


@bounded
async def test_what_the_server_does_not_allow_is_told_before_it_is_sent() -> None:
    limits = Limits(max_qos=1, packet_size=1000, wildcard_subscription_available=False)
    with Broker(limits=limits) as broker:
        async with Client(broker.url) as client:
            for payload, qos, code in [(b"", 2, "QoSNotSupported"), (bytes(2000), 1, "PacketTooLarge")]:
                with pytest.raises(MQTTError) as caught:
                    await client.publish("a", payload, qos=qos)
                assert caught.value.reason_code.name == code
            with pytest.raises(MQTTError, match="does not support"):
                async with client.subscribe("a/#"):
                    pass
            await (await client.publish("a", qos=1))


@bounded
async def test_what_gives_way_when_the_outbox_is_full(own_url: str) -> None:
    with Broker(own_url) as broker:
        url = broker.url
        broker.stop()
        options = {"wait": False, "outbox": (3, 10_000), "backoff": (0.02, 0.1)}
        async with Client(url, overflow="drop_oldest", **options) as client:  # type: ignore[arg-type]
            publications = [await client.publish("a", str(number), qos=1) for number in range(5)]
            for publication in publications[:2]:
                with pytest.raises(LostMessageError, match="a newer message took this one's place"):
                    await publication
            broker.start()
            for publication in publications[2:]:
                await publication
            assert client.metrics().lost == 2


@bounded
async def test_requests_have_a_place_for_their_answers() -> None:
    with Broker() as broker:
        service, client = Client(broker.url), Client(broker.url, client_id="b", response_prefix="there")
        async with service, client, service.subscribe("a") as requests, anyio.create_task_group() as tasks:

            async def answer() -> None:
                request = await anext(requests)
                assert request.response_topic == "there/b"
                await request.reply(b"c")

            tasks.start_soon(answer)
            assert (await client.request("a", timeout=60)).payload == b"c"


@bounded
async def test_a_session_outlives_its_connection() -> None:
    with Broker() as broker:
        first = Client(broker.url, client_id="a", session_expiry=60, keep_alive=5, receive_maximum=10)
        async with first, first.subscribe("a"):
            await first.close()
        async with Client(broker.url, client_id="a", clean_start=False) as client:
            assert client.state.session_present
            async with Client(broker.url) as other:
                await other.publish("a", "kept")
            async with client.subscribe("a") as messages:
                assert (await anext(messages)).text == "kept"
        async with Client(broker.url, client_id="a", session_expiry=0) as client:
            assert not client.state.session_present
            await eventually(lambda: client.metrics().received == 0)
