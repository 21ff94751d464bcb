"""How the drop-in client connects, why it does not, what it hears of its connections, and how it makes them again."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import pytest

from clients import SOON, Inbox, Server, until
from ohmqtt import (
    AliasPolicy,
    Client,
    LostMessageError,
    MaxOutboundAliasError,
    MQTTConnAckPacket,
    MQTTConnAckProps,
    MQTTConnectProps,
    MQTTDisconnectPacket,
    MQTTDisconnectProps,
    MQTTError,
    MQTTPubAckPacket,
    MQTTPubAckProps,
    MQTTPublishPacket,
    MQTTPublishProps,
    MQTTQoS,
    MQTTReasonCode,
    MQTTSubAckPacket,
    MQTTSubscribePacket,
    MQTTWillProps,
)
from ohmqtt.broker import Broker
from ohmqtt.connection import InvalidStateError
from ohmqtt.connection.wslib import WebsocketError


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    with server.listener:
        yield server


@pytest.fixture
def client() -> Iterator[Client]:
    with Client() as client:
        yield client


@pytest.fixture
def broker(own_url: str) -> Iterator[Broker]:
    with Broker(own_url) as broker:
        yield broker


def test_connect_says_what_it_was_told(server: Server, client: Client) -> None:
    properties = MQTTConnectProps(UserProperty=[("k", "v")], SessionExpiryInterval=60, ReceiveMaximum=7)
    will_properties = MQTTWillProps(WillDelayInterval=3, ContentType="t")
    client.connect(
        server.url,
        client_id="me",
        clean_start=True,
        keepalive_interval=17,
        username="alice",
        password=b"s3cret",
        will_topic="will",
        will_payload=b"gone",
        will_qos=2,
        will_retain=True,
        will_properties=will_properties,
        connect_properties=properties,
    )
    peer, connect = server.accept(MQTTConnAckPacket())
    with peer.stream:
        assert (connect.client_id, connect.clean_start, connect.keep_alive) == ("me", True, 17)
        assert (connect.username, connect.password) == ("alice", b"s3cret")
        assert (connect.will_topic, connect.will_payload, connect.will_qos, connect.will_retain) == (
            "will",
            b"gone",
            2,
            True,
        )
        assert connect.will_props == will_properties
        sent = vars(connect.properties)
        assert list(sent)[:3] == ["UserProperty", "SessionExpiryInterval", "ReceiveMaximum"]
        assert {name: sent[name] for name in vars(properties)} == vars(properties)
        client.wait_for_connect(SOON)


def test_user_and_password_may_stand_in_the_address(server: Server, client: Client) -> None:
    client.connect(server.url.replace("//", "//bob:p%40ss@"))
    peer, connect = server.accept(MQTTConnAckPacket())
    with peer.stream:
        assert (connect.username, connect.password) == ("bob", b"p@ss")
        assert (connect.client_id, connect.clean_start, connect.keep_alive) == ("", False, 0)


def test_the_connack_is_there_with_all_its_properties(server: Server, client: Client) -> None:
    heard: Queue[tuple[Client, MQTTConnAckPacket]] = Queue()
    client.on_connect = lambda own, packet: heard.put((own, packet))
    assert client.connack is None
    client.connect(server.url)
    answer = MQTTConnAckPacket(
        properties=MQTTConnAckProps(
            AssignedClientIdentifier="you", ReasonString="welcome", ResponseInformation="r/", UserProperty=[("k", "v")]
        )
    )
    peer, _ = server.accept(answer)
    with peer.stream:
        client.wait_for_connect(SOON)
        assert client.connack == answer
        assert heard.get(timeout=SOON) == (client, answer)


def test_a_refusal_is_raised_with_the_servers_reason(server: Server, client: Client) -> None:
    client.connect(server.url)
    refusal = MQTTConnAckPacket(MQTTReasonCode.Banned, properties=MQTTConnAckProps(ReasonString="never again"))
    peer, _ = server.accept(refusal)
    with peer.stream, pytest.raises(MQTTError) as raised:
        client.wait_for_connect(SOON)
    assert raised.value.reason_code == MQTTReasonCode.Banned
    assert str(raised.value).endswith("(reason code: Banned{0x8a})")
    assert client.connack == refusal
    assert not client.is_connected()


def test_the_disconnect_of_the_server_is_there_with_its_reason(server: Server, client: Client) -> None:
    heard: Queue[Exception | None] = Queue()
    client.on_disconnect = lambda _, error: heard.put(error)
    client.connect(server.url)
    peer, _ = server.accept(MQTTConnAckPacket())
    client.wait_for_connect(SOON)
    last = MQTTDisconnectPacket(
        MQTTReasonCode.ServerShuttingDown, MQTTDisconnectProps(ReasonString="bye", UserProperty=[("k", "v")])
    )
    with peer.stream:
        peer.send(last)
        client.wait_for_disconnect(SOON)
    assert client.disconnect_packet == last
    error = heard.get(timeout=SOON)
    assert isinstance(error, MQTTError)
    assert error.reason_code == MQTTReasonCode.ServerShuttingDown


def test_disconnect_says_the_reason_and_properties_it_is_given(server: Server, client: Client) -> None:
    heard: Queue[Exception | None] = Queue()
    client.on_disconnect = lambda _, error: heard.put(error)
    client.connect(server.url)
    peer, _ = server.accept(MQTTConnAckPacket())
    with peer.stream:
        client.wait_for_connect(SOON)
        properties = MQTTDisconnectProps(ReasonString="done", UserProperty=[("k", "v")])
        client.disconnect(reason_code=MQTTReasonCode.DisconnectWithWillMessage, properties=properties)
        assert peer.receive() == MQTTDisconnectPacket(MQTTReasonCode.DisconnectWithWillMessage, properties)
        assert peer.receive() is None
    client.wait_for_disconnect(SOON)
    assert heard.get(timeout=SOON) is None
    assert client.disconnect_packet is None
    client.disconnect()


def test_an_acknowledgement_with_properties_is_there_whole(server: Server, client: Client) -> None:
    client.connect(server.url)
    peer, _ = server.accept(MQTTConnAckPacket())
    with peer.stream:
        client.wait_for_connect(SOON)
        handle = client.publish("a", b"x", qos=1)
        publish = peer.receive()
        assert isinstance(publish, MQTTPublishPacket)
        ack = MQTTPubAckPacket(
            publish.packet_id,
            MQTTReasonCode.QuotaExceeded,
            MQTTPubAckProps(ReasonString="full", UserProperty=[("a", "1")]),
        )
        peer.send(ack)
        with pytest.raises(MQTTError) as raised:
            handle.wait_for_ack(SOON)
        assert raised.value.reason_code == MQTTReasonCode.QuotaExceeded
        assert handle.exc is raised.value
        assert handle.ack == ack


def test_a_refused_subscription_is_told_by_its_codes(server: Server, client: Client) -> None:
    client.connect(server.url)
    peer, _ = server.accept(MQTTConnAckPacket())
    with peer.stream:
        client.wait_for_connect(SOON)
        handle = client.subscribe("a", Inbox(), user_properties=[("k", "v")])
        subscribe = peer.receive()
        assert isinstance(subscribe, MQTTSubscribePacket)
        assert subscribe.properties.UserProperty == [("k", "v")]
        peer.send(MQTTSubAckPacket(subscribe.packet_id, [MQTTReasonCode.NotAuthorized]))
        assert list(handle.wait_for_ack(SOON).reason_codes) == [MQTTReasonCode.NotAuthorized]
        assert handle.exc is None


def test_the_servers_limits_are_errors_before_anything_is_sent(server: Server, client: Client) -> None:
    client.connect(server.url)
    limits = MQTTConnAckProps(MaximumQoS=0, RetainAvailable=False, MaximumPacketSize=100, TopicAliasMaximum=1)
    peer, _ = server.accept(MQTTConnAckPacket(properties=limits))
    with peer.stream:
        client.wait_for_connect(SOON)
        with pytest.raises(MQTTError) as raised:
            client.publish("a", b"", qos=1)
        assert raised.value.reason_code == MQTTReasonCode.QoSNotSupported
        with pytest.raises(MQTTError) as raised:
            client.publish("a", b"", retain=True)
        assert raised.value.reason_code == MQTTReasonCode.RetainNotSupported
        with pytest.raises(MQTTError) as raised:
            client.publish("a", b"x" * 100)
        assert raised.value.reason_code == MQTTReasonCode.PacketTooLarge
        client.publish("a", b"1", alias_policy=AliasPolicy.ALWAYS)
        client.publish("a", b"2", alias_policy=AliasPolicy.TRY)
        client.publish("b", b"3", alias_policy=AliasPolicy.NEVER)
        with pytest.raises(MaxOutboundAliasError):
            client.publish("b", b"4", alias_policy=AliasPolicy.ALWAYS)
        with pytest.raises(ValueError, match="ALWAYS"):
            client.publish("a", b"5", qos=1, alias_policy=AliasPolicy.ALWAYS)
        sent = [peer.receive() for _ in range(3)]
        shown = [
            (packet.topic, packet.properties.TopicAlias) for packet in sent if isinstance(packet, MQTTPublishPacket)
        ]
        assert shown == [("a", 1), ("", 1), ("b", None)]


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("", ConnectionRefusedError),
        # Its first sign says that it is none: nobody else is asked.
        ("-no-such-host.invalid", socket.gaierror),
        ("unix:/no/such/socket", FileNotFoundError),
    ],
    ids=["refused", "host", "socket"],
)
def test_the_cause_of_a_failed_attempt_is_raised(
    client: Client, closed_url: str, address: str, error: type[Exception]
) -> None:
    client.connect(address or closed_url.removeprefix("mqtt://"))
    with pytest.raises(error):
        client.wait_for_connect(SOON)
    assert not client.is_connected()
    with pytest.raises(error):
        client.loop_until_connected(SOON)
    assert client.loop_until_connected(SOON) is False
    with pytest.raises(TimeoutError):
        client.wait_for_connect(SOON)


def test_a_server_that_says_nothing_runs_into_the_connect_timeout(server: Server, client: Client) -> None:
    client.connect(server.url, connect_timeout=0.2)
    with pytest.raises(TimeoutError):
        client.wait_for_connect(SOON)
    # Without one it goes on until it is not wanted any more.
    client.connect(server.url)
    with pytest.raises(TimeoutError):
        client.wait_for_connect(0.2)
    client.disconnect()
    client.wait_for_disconnect(SOON)


def test_a_server_without_tls_is_an_ssl_error(broker: Broker, client: Client) -> None:
    client.connect(broker.url.replace("mqtt:", "mqtts:"))
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        client.wait_for_connect(SOON)


@pytest.mark.parametrize("address", ["", "ftp://host", "mqtt://", "mqtt://host:port", "mqtt://host:70000", "unix:"])
def test_a_wrong_address_is_a_value_error(client: Client, address: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        client.connect(address)
    with pytest.raises(TimeoutError):
        client.wait_for_connect(SOON)


def test_wrong_values_are_value_errors(client: Client) -> None:
    for keepalive in (-1, 65536):
        with pytest.raises(ValueError, match="keepalive_interval"):
            client.connect("localhost", keepalive_interval=keepalive)
    with pytest.raises(ValueError, match="will_topic"):
        client.connect("localhost", will_topic="a/#")
    with pytest.raises(ValueError, match="will_qos"):
        client.connect("localhost", will_topic="a", will_qos=3)
    with pytest.raises(ValueError, match="Response Topic"):
        client.connect("localhost", will_topic="a", will_properties=MQTTWillProps(ResponseTopic="a/#"))


def test_a_server_that_speaks_no_websocket_is_a_websocket_error(server: Server, client: Client) -> None:
    client.connect(server.url.replace("mqtt:", "ws:"))
    stream = server.listener.accept()[0]
    with stream:
        stream.recv(65536)
        stream.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        with pytest.raises(WebsocketError, match="404"):
            client.wait_for_connect(SOON)


def test_all_plain_transports_carry_messages(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inbox = Inbox()
    client.subscribe("a", inbox)
    with Broker("mqtt://127.0.0.1:0", "ws://127.0.0.1:0/mqtt", f"unix:{tmp_path}/broker.sock") as broker:
        for url in (
            *broker.urls,
            "unix:broker.sock",
            broker.url.removeprefix("mqtt:"),
            broker.url.removeprefix("mqtt://"),
        ):
            client.connect(url)
            client.wait_for_connect(SOON)
            client.publish("a", url, qos=1).wait_for_ack(SOON)
            assert inbox.next().payload == url.encode()
            client.disconnect()
            client.wait_for_disconnect(SOON)


def test_what_is_kept_is_bounded(server: Server, client: Client) -> None:
    mebibyte = bytes(1024 * 1024)

    def fill() -> None:
        for _ in range(65):
            client.publish("a", mebibyte, qos=1)

    with pytest.raises(MQTTError, match="outbox is full") as raised:
        fill()
    assert raised.value.reason_code == MQTTReasonCode.QuotaExceeded
    # With a connection it waits for room.
    client.connect(server.url)
    peer, _ = server.accept(MQTTConnAckPacket())
    client.wait_for_connect(SOON)
    waiting = threading.Thread(target=client.publish, args=("a", mebibyte), kwargs={"qos": 1})
    waiting.start()
    with peer.stream:
        first = peer.receive()
        assert isinstance(first, MQTTPublishPacket)
        assert waiting.is_alive()
        for number in range(10):
            peer.send(MQTTPubAckPacket(first.packet_id + number))
        waiting.join(SOON)
        assert not waiting.is_alive()
        peer.stream.shutdown(socket.SHUT_RDWR)


def test_a_second_connect_is_an_invalid_state(broker: Broker, client: Client) -> None:
    client.connect(broker.url)
    with pytest.raises(InvalidStateError):
        client.connect(broker.url)
    client.wait_for_connect(SOON)
    with pytest.raises(InvalidStateError, match="disconnect first"):
        client.connect(broker.url)
    client.disconnect()
    client.wait_for_disconnect(SOON)
    client.connect(broker.url)
    client.wait_for_connect(SOON)


def test_a_connection_that_stood_is_made_again(broker: Broker, client: Client) -> None:
    inbox = Inbox()
    heard: Queue[str] = Queue()
    client.on_connect = lambda *_: heard.put("connected")
    client.on_disconnect = lambda *_: heard.put("disconnected")
    properties = MQTTConnectProps(SessionExpiryInterval=60)
    client.connect(broker.url, client_id="me", reconnect_delay=1, connect_properties=properties)
    client.subscribe("a", inbox).wait_for_ack(SOON)
    broker.stop()
    client.wait_for_disconnect(SOON)
    assert not client.is_connected()
    broker.start()
    client.wait_for_connect(SOON)
    client.publish("a", b"again", qos=1)
    assert inbox.next().payload == b"again"
    until(lambda: heard.qsize() == 3)
    assert list(heard.queue) == ["connected", "disconnected", "connected"]


def test_a_connection_is_not_made_again_unless_it_is_to_be(server: Server, client: Client, closed_url: str) -> None:
    client.connect(server.url)
    peer, _ = server.accept(MQTTConnAckPacket())
    client.wait_for_connect(SOON)
    peer.stream.close()
    client.wait_for_disconnect(SOON)
    with pytest.raises(ConnectionError):
        client.wait_for_connect(SOON)
    # Nor is one that never stood.
    client.connect(closed_url, reconnect_delay=1)
    with pytest.raises(ConnectionRefusedError):
        client.wait_for_connect(SOON)


def test_waiting_to_connect_again_ends_by_disconnect_and_by_connect(server: Server, client: Client) -> None:
    for again in (False, True):
        client.connect(server.url, reconnect_delay=3600)
        peer, _ = server.accept(MQTTConnAckPacket())
        client.wait_for_connect(SOON)
        peer.stream.close()
        client.wait_for_disconnect(SOON)
        if again:
            client.connect(server.url)
            peer, _ = server.accept(MQTTConnAckPacket())
            with peer.stream:
                client.wait_for_connect(SOON)
        else:
            client.disconnect()
            with pytest.raises(TimeoutError):
                client.wait_for_connect(SOON)


def test_messages_in_flight_are_sent_again_and_lost_with_their_session(server: Server, client: Client) -> None:
    properties = MQTTConnectProps(SessionExpiryInterval=60)
    client.connect(server.url, client_id="me", reconnect_delay=1, connect_properties=properties)
    peer, _ = server.accept(MQTTConnAckPacket())
    client.wait_for_connect(SOON)
    handle = client.publish("a", b"x", qos=1)
    first = peer.receive()
    peer.stream.close()
    peer, connect = server.accept(MQTTConnAckPacket(session_present=True))
    assert not connect.clean_start
    again = peer.receive()
    assert isinstance(first, MQTTPublishPacket)
    assert isinstance(again, MQTTPublishPacket)
    assert (first.dup, again.dup) == (False, True)
    assert (again.packet_id, again.payload) == (first.packet_id, b"x")
    assert handle.ack is None
    peer.stream.close()
    peer, _ = server.accept(MQTTConnAckPacket(session_present=False))
    with peer.stream, pytest.raises(LostMessageError):
        handle.wait_for_ack(SOON)


def test_a_message_is_acknowledged_when_its_callback_has_returned(server: Server, client: Client) -> None:
    client.connect(server.url)
    peer, _ = server.accept(MQTTConnAckPacket())
    go, order = threading.Event(), []

    def slowly(_: Client, packet: MQTTPublishPacket) -> None:
        assert go.wait(SOON)
        order.append(packet.topic)

    with peer.stream:
        handle = client.subscribe("a", slowly)
        subscribe = peer.receive()
        assert isinstance(subscribe, MQTTSubscribePacket)
        peer.send(MQTTSubAckPacket(subscribe.packet_id, [MQTTReasonCode.GrantedQoS2]))
        handle.wait_for_ack(SOON)
        peer.send(MQTTPublishPacket("a", b"", MQTTQoS.Q1, packet_id=9))
        # It answers while the callback runs, and not with the acknowledgement.
        client.publish("b", b"")
        between = peer.receive()
        assert isinstance(between, MQTTPublishPacket)
        go.set()
        assert peer.receive() == MQTTPubAckPacket(9)
        assert order == ["a"]


def test_large_messages_go_both_ways(broker: Broker, client: Client) -> None:
    inbox = Inbox()
    client.connect(broker.url)
    client.subscribe("a", inbox).wait_for_ack(SOON)
    payload = bytes(range(256)) * 6_000
    client.publish("a", payload, qos=2, properties=MQTTPublishProps(ContentType="t")).wait_for_ack(SOON)
    assert inbox.next().payload == payload
