from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from ohmqtt.codec import (
    ConnAckPacket,
    ConnAckReasonCode,
    ConnectPacket,
    DisconnectPacket,
    DisconnectReasonCode,
    PingRespPacket,
    PublishPacket,
    SubAckPacket,
    SubscribePacket,
    TopicFilter,
    read_many,
)
from ohmqtt.sansio import (
    Cause,
    ClientDisconnected,
    ClientSession,
    ConnectRequest,
    Disconnected,
    Message,
    Received,
    ServerSession,
    Subscription,
)
from packets import ALL as PACKETS
from sansio_pair import CONNECT, Pair

CODE = DisconnectReasonCode


def connected(max_packet_size: int | None = None) -> Pair:
    pair = Pair(ClientSession(CONNECT), ServerSession(max_packet_size=max_packet_size))
    pair.connect()
    return pair


FROM_CLIENT = [
    (b"\x00\x00", CODE.MALFORMED_PACKET, "packet type: type 0 is reserved"),
    (CONNECT.write(), CODE.PROTOCOL_ERROR, "unexpected CONNECT"),
    (PingRespPacket().write(), CODE.PROTOCOL_ERROR, "unexpected PINGRESP"),
    (PublishPacket("t", b"", subscription_ids=[1]).write(), CODE.PROTOCOL_ERROR, "only the other side may send"),
    (PublishPacket("t", b"", topic_alias=3).write(), CODE.TOPIC_ALIAS_INVALID, "our maximum is 0"),
    (PublishPacket("t", bytes(200)).write(), CODE.PACKET_TOO_LARGE, "207 bytes are over the limit of 100"),
]


@pytest.mark.parametrize(("data", "code", "text"), FROM_CLIENT)
def test_a_client_that_breaks_a_rule_is_disconnected(data: bytes, code: DisconnectReasonCode, text: str) -> None:
    pair = connected(max_packet_size=100)
    pair.server.receive(data + PingRespPacket().write() * 3)
    assert read_many(pair.server.data_to_send())[0] == [DisconnectPacket(reason_code=code)]
    assert pair.server.should_close
    assert not pair.server.wants_data
    pair.server.receive(b"more, while it closes")
    pair.server.connection_lost()
    gone = pair.server.events()[-1]
    assert isinstance(gone, ClientDisconnected)
    assert (gone.cause, gone.reason_code) == (Cause.PROTOCOL_ERROR, code)
    assert gone.text.startswith("the other side broke the protocol: ")
    assert text in gone.text


FROM_SERVER = [
    (b"\x20\x00", CODE.MALFORMED_PACKET),
    (ConnAckPacket().write(), CODE.PROTOCOL_ERROR),
    (SubAckPacket(5, [0]).write(), CODE.PROTOCOL_ERROR),
    (SubscribePacket(1, [TopicFilter("a")]).write(), CODE.PROTOCOL_ERROR),
]


@pytest.mark.parametrize(("data", "code"), FROM_SERVER)
def test_a_server_that_breaks_a_rule_is_left(data: bytes, code: DisconnectReasonCode) -> None:
    pair = connected()
    pair.client.receive(data)
    assert read_many(pair.client.data_to_send())[0] == [DisconnectPacket(reason_code=code)]
    assert pair.client.should_close
    pair.client.connection_lost()
    told = pair.client.events()[-1]
    assert isinstance(told, Disconnected)
    assert (told.cause, told.reason_code, told.packet) == (Cause.PROTOCOL_ERROR, code, None)


def test_a_client_of_another_version_is_told_so() -> None:
    server = ServerSession()
    server.connection_made(0)
    server.receive(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00")
    answer = ConnAckPacket(reason_code=ConnAckReasonCode.UNSUPPORTED_PROTOCOL_VERSION)
    assert read_many(server.data_to_send())[0] == [answer]
    assert server.should_close
    server.connection_lost()
    gone = server.events()[-1]
    assert isinstance(gone, ClientDisconnected)
    assert gone.reason_code is ConnAckReasonCode.UNSUPPORTED_PROTOCOL_VERSION


@pytest.mark.parametrize("seed", range(40))
def test_nothing_that_comes_makes_an_exception(seed: int) -> None:
    chance = random.Random(seed)
    pair = connected()
    for side in (pair.client, pair.server):
        for _ in range(20):
            data = bytearray(chance.choice(PACKETS).write())
            if chance.random() < 0.5:
                data[chance.randrange(len(data))] = chance.randrange(256)
            side.receive(data)
            side.events()
            side.data_to_send()
            if side.should_close:
                side.connection_lost()
                assert isinstance(side.events()[-1], Disconnected)
                side.connection_made(pair.now)
        side.connection_lost()


def test_without_a_connection_there_is_nothing_to_receive() -> None:
    for side in (ClientSession(CONNECT), ServerSession()):
        with pytest.raises(RuntimeError, match="call connection_made first"):
            side.receive(b"")
        assert side.data_to_send() == b""
        assert side.events() == []
        assert not side.wants_data
        assert not side.should_close
        side.connection_lost()
        assert side.events() == []


def test_requests_before_the_connection_are_runtime_errors() -> None:
    client = ClientSession(CONNECT)
    with pytest.raises(RuntimeError, match="not connected: subscribe once the server has accepted"):
        client.subscribe("a")
    with pytest.raises(RuntimeError, match="not connected"):
        client.unsubscribe("a")
    client.disconnect()
    assert repr(client) == '<ClientSession "c", not connected>'


def test_answers_to_nothing_are_runtime_errors() -> None:
    server = ServerSession()
    error = ConnAckPacket(reason_code=0x80)
    calls: list[Callable[[], object]] = [server.accept, lambda: server.refuse(error)]
    for call in calls:
        with pytest.raises(RuntimeError, match="answers, once, a ConnectRequest or Authenticate event"):
            call()
    with pytest.raises(RuntimeError, match="no client was accepted"):
        server.take_flows()
    with pytest.raises(RuntimeError, match="this session serves no client"):
        server.deliver(Message("t", b"", qos=1), [Subscription(TopicFilter("#"))])
    pair = connected()
    with pytest.raises(RuntimeError, match="accept answers, once"):
        pair.server.accept()
    flows = pair.server.take_flows()
    for expected in (None, "these flows have gone to a session already"):
        server = ServerSession()
        server.connection_made(0)
        server.receive(ConnectPacket("c").write())
        assert isinstance(server.events()[0], ConnectRequest)
        if expected is None:
            server.accept(flows=flows)
        else:
            with pytest.raises(RuntimeError, match=expected):
                server.accept(flows=flows)
            server.accept()


def test_wrong_values_are_value_errors() -> None:
    pair = Pair()
    wrong: list[tuple[Callable[[], object], str]] = [
        (lambda: pair.server.accept(packet=ConnAckPacket(reason_code=0x80)), "an error accepts nobody: use refuse"),
        (lambda: pair.server.accept(packet=ConnAckPacket(session_present=True)), "the session says that itself"),
        (lambda: pair.server.refuse(ConnAckPacket()), "SUCCESS refuses nobody: use accept"),
        (lambda: pair.server.suback(SubscribePacket(1, [TopicFilter("a")]), [0, 1]), "the request wants 1, .* not 2"),
        (lambda: pair.server.suback(SubscribePacket(1, [TopicFilter("a")]), [0x11]), "is not for SUBACK"),
        (lambda: pair.client.subscribe(), "topic_filters: give at least one"),
        (lambda: pair.client.subscribe("a/#/b"), "pattern: "),
        (lambda: pair.client.unsubscribe(), "patterns: give at least one"),
        (lambda: pair.client.publish(Message("a", b"", subscription_ids=[1])), "no Subscription Identifier of its own"),
        (lambda: pair.client.publish(Message("a", b""), alias=3), "alias: 3 is no AliasPolicy"),  # type: ignore[arg-type]
        (lambda: Message("a/+", b""), "topic: "),
        (lambda: ClientSession(CONNECT, overflow=7), "overflow: 7 is no Overflow"),  # type: ignore[arg-type]
        (lambda: ClientSession(CONNECT, session_loss=7), "session_loss: 7 is no SessionLossPolicy"),  # type: ignore[arg-type]
        (lambda: ServerSession(receive_max=0), "receive_max: 0 is not from 1 to 65535"),
        (lambda: pair.client.data_to_send(max_bytes=0), "max_bytes: give at least 1"),
    ]
    pair.on_server = lambda _: None
    pair.connect()
    for call, text in wrong:
        with pytest.raises(ValueError, match=text):
            call()
    # None of that was an answer.
    pair.server.accept()


def test_wrong_types_are_type_errors() -> None:
    pair = connected()
    wrong: list[Callable[[], object]] = [
        lambda: pair.client.receive("text"),  # type: ignore[arg-type]
        lambda: pair.client.publish("topic"),  # type: ignore[arg-type]
        lambda: pair.client.subscribe(5),  # type: ignore[arg-type]
        lambda: pair.client.acknowledge(1),  # type: ignore[arg-type]
        lambda: pair.client.handle_timeout("now"),  # type: ignore[arg-type]
        lambda: pair.client.connection_made(),  # type: ignore[call-arg]
        lambda: ClientSession("c"),  # type: ignore[arg-type]
        lambda: pair.server.deliver(Message("t", b""), [TopicFilter("t")]),  # type: ignore[list-item]
    ]
    for call in wrong:
        with pytest.raises(TypeError):
            call()


def test_a_receipt_is_for_the_session_that_gave_it() -> None:
    one, other = connected(), connected()
    one.on_server = lambda _: None
    one.client.publish(Message("t", b"", qos=1))
    one.run()
    (receipt,) = [event.receipt for event in one.told_server if isinstance(event, Received)]
    assert receipt is not None
    assert len({receipt, receipt}) == 1
    for session in (other.server, other.client, one.client):
        with pytest.raises(ValueError, match="the receipt is of another session"):
            session.acknowledge(receipt)
    one.server.acknowledge(receipt)
    one.server.acknowledge(receipt)
    with pytest.raises(ValueError, match="is no error: use acknowledge"):
        one.client.reject(receipt, 0)
