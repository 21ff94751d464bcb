from __future__ import annotations

import pickle
import random

import pytest

import ohmqtt.sansio
from ohmqtt.codec import (
    ConnAckPacket,
    ConnAckReasonCode,
    ConnectPacket,
    DisconnectPacket,
    DisconnectReasonCode,
    PubAckReasonCode,
    PublishPacket,
    QoS,
    SubAckReasonCode,
    TopicFilter,
    UnsubAckReasonCode,
    Will,
    read,
    read_many,
)
from ohmqtt.sansio import (
    Acked,
    AliasPolicy,
    Cause,
    ClientDisconnected,
    ClientEvent,
    ClientSession,
    Connected,
    ConnectRequest,
    Disconnected,
    Loss,
    Lost,
    Message,
    OutboxFullError,
    Overflow,
    Receipt,
    Received,
    RequestLost,
    Sent,
    ServerEvent,
    ServerSession,
    Subscribed,
    Subscription,
    Unsubscribed,
)
from sansio_pair import CONNECT, Pair

ALL = [Subscription(TopicFilter("#"))]


@pytest.mark.parametrize("seed", range(6))
def test_messages_of_every_qos_arrive_both_ways_however_the_bytes_are_cut(seed: int) -> None:
    pair = Pair(seed=seed)
    pair.connect()
    chance = random.Random(seed)
    sent = [
        Message(f"t/{n}", chance.randbytes(chance.choice([0, 1, 100, 70_000])), qos=chance.choice(list(QoS)))
        for n in range(60)
    ]
    up = [pair.client.publish(message) for message in sent]
    down = [pair.server.deliver(message, ALL, track=True) for message in sent]
    pair.run()
    for came in (pair.came_to_client(), pair.came_to_server()):
        for qos in QoS:
            assert [m for m in came if m.qos is qos] == [m for m in sent if m.qos is qos]
    for told, tickets in ((pair.told_client, up), (pair.told_server, down)):
        assert [event.ticket for event in told if isinstance(event, Sent)] == tickets
        acked = {event.ticket: event.reason_code for event in told if isinstance(event, Acked)}
        above_0 = [ticket for ticket, message in zip(tickets, sent, strict=True) if message.qos]
        assert acked == dict.fromkeys(above_0, PubAckReasonCode.SUCCESS)
    for side in (pair.client, pair.server):
        assert (side.queued, side.in_flight, side.unacknowledged) == ((0, 0), 0, 0)


def test_subscriptions_are_asked_for_and_answered() -> None:
    pair = Pair()
    pair.connect()
    asked = pair.client.subscribe("a/#", TopicFilter("b", max_qos=1), subscription_id=7, user_properties=[("k", "v")])
    pair.run()
    gone = pair.client.unsubscribe("a/#", "b")
    pair.run()
    subscribed, unsubscribed = pair.told_client[-2:]
    match subscribed:
        case Subscribed(ticket, packet):
            assert (ticket, packet.reason_codes) == (asked, (SubAckReasonCode(2), SubAckReasonCode(1)))
        case _:
            pytest.fail(repr(subscribed))
    assert isinstance(unsubscribed, Unsubscribed)
    assert unsubscribed.ticket == gone
    assert unsubscribed.packet.reason_codes == (UnsubAckReasonCode.SUCCESS,) * 2
    assert "TopicFilter('b', max_qos=QoS.AT_LEAST_ONCE)" in repr(pair.told_server[1])


def test_a_request_without_an_answer_is_lost_with_its_connection() -> None:
    pair = Pair()
    pair.connect()
    asked = pair.client.subscribe("a")
    pair.client.data_to_send()
    pair.cut()
    assert pair.told_client[-2:] == [
        RequestLost(asked),
        Disconnected(Cause.STREAM_ENDED, "the connection ended without a DISCONNECT"),
    ]


def test_no_more_is_under_way_than_each_side_takes() -> None:
    pair = Pair(ClientSession(ConnectPacket("c", clean_start=True, receive_max=2)), ServerSession(receive_max=3))
    held: list[Receipt] = []
    pair.connect()
    pair.on_server = lambda event: held.append(event.receipt) if isinstance(event, Received) and event.receipt else None
    for n in range(8):
        pair.client.publish(Message("up", bytes([n]), qos=QoS(1 + n % 2)))
    pair.run()
    assert (pair.server.unacknowledged, pair.client.in_flight, pair.client.queued[0]) == (3, 3, 8)
    pair.server.acknowledge(held[0])
    pair.run()
    assert [message.payload[0] for message in pair.came_to_server()] == [0, 1, 2, 3]
    pair.on_server = pair.serve
    for receipt in held:
        pair.server.acknowledge(receipt)
    pair.run()
    assert [message.payload[0] for message in pair.came_to_server()] == list(range(8))
    pair.on_client = lambda _: None
    for n in range(8):
        pair.server.deliver(Message("down", bytes([n]), qos=1), ALL)
    pair.run()
    assert [message.payload[0] for message in pair.came_to_client()] == [0, 1]


def test_a_topic_alias_takes_the_place_of_the_topic() -> None:
    pair = Pair(server=ServerSession(topic_alias_max=1))
    pair.connect()
    for _ in range(3):
        pair.client.publish(Message("long/topic", b"x", qos=1), alias=AliasPolicy.TRY)
    packets, _ = read_many(data := pair.client.data_to_send())
    assert [packet.topic for packet in packets if isinstance(packet, PublishPacket)] == ["long/topic", "", ""]
    pair.server.receive(data)
    pair.run()
    assert {message.topic for message in pair.came_to_server()} == {"long/topic"}
    pair.client.publish(Message("long/topic", b"x"), alias=AliasPolicy.ALWAYS)
    with pytest.raises(RuntimeError, match="no topic alias is left"):
        pair.client.publish(Message("other", b"x"), alias=AliasPolicy.ALWAYS)
    with pytest.raises(ValueError, match="an alias cannot be kept above QoS 0"):
        pair.client.publish(Message("long/topic", b"x", qos=1), alias=AliasPolicy.ALWAYS)


def test_a_refused_message_is_acknowledged_with_the_error() -> None:
    pair = Pair()
    pair.connect()

    def on_server(event: ServerEvent) -> None:
        if isinstance(event, Received) and event.receipt:
            pair.server.acknowledge(event.receipt, PubAckReasonCode.NOT_AUTHORIZED)

    pair.on_server = on_server
    tickets = [pair.client.publish(Message("t", b"", qos=qos)) for qos in (1, 2)]
    pair.run()
    acked = [event for event in pair.told_client if isinstance(event, Acked)]
    assert acked == [Acked(ticket, PubAckReasonCode.NOT_AUTHORIZED) for ticket in tickets]
    pair.on_server = pair.serve

    def on_client(event: ClientEvent) -> None:
        if isinstance(event, Received) and event.receipt:
            pair.client.reject(event.receipt)

    pair.on_client = on_client
    ticket = pair.server.deliver(Message("t", b"", qos=2), ALL, track=True)
    pair.run()
    assert pair.told_server[-1] == Acked(ticket, PubAckReasonCode.UNSPECIFIED_ERROR)


def test_what_can_no_longer_be_sent_is_lost() -> None:
    pair = Pair()
    offline = pair.client.publish(Message("t", b""))
    kept = pair.client.publish(Message("t", b"kept"), keep_offline=True)
    late = pair.client.publish(Message("t", b"", qos=1), deadline=1005.0, now=1000.0)
    expired = pair.client.publish(Message("t", b"", qos=1, message_expiry_interval=5))
    assert pair.client.next_timeout() == 1005.0
    pair.client.handle_timeout(1005.0)
    pair.now = 1006.0
    pair.connect()
    told = [event for event in pair.told_client if isinstance(event, Lost)]
    assert [(event.ticket, event.loss) for event in told] == [
        (offline, Loss.OFFLINE),
        (late, Loss.DEADLINE_PASSED),
        (expired, Loss.EXPIRED),
    ]
    assert told[0].text == "not connected, and a QoS 0 message is only kept when asked"
    assert Sent(kept) in pair.told_client
    assert [message.payload for message in pair.came_to_server()] == [b"kept"]


def test_a_full_outbox_refuses_or_makes_room() -> None:
    client = ClientSession(CONNECT, max_messages=1)
    client.publish(Message("t", b"1", qos=1))
    with pytest.raises(OutboxFullError, match="the outbox is full") as raised:
        client.publish(Message("t", b"2", qos=1))
    assert isinstance(raised.value, RuntimeError)
    client = ClientSession(CONNECT, max_messages=1, overflow=Overflow.DROP_OLDEST)
    first = client.publish(Message("t", b"1", qos=1))
    client.publish(Message("t", b"2", qos=1))
    assert [(event.ticket, event.loss) for event in client.events() if isinstance(event, Lost)] == [
        (first, Loss.DROPPED)
    ]
    with pytest.raises(ValueError, match="the outbox holds 10"):
        ClientSession(CONNECT, max_bytes=10).publish(Message("t", b"long enough", qos=1))


def test_a_large_output_can_be_taken_in_parts() -> None:
    pair = Pair()
    pair.connect()
    for _ in range(10):
        pair.client.publish(Message("t", bytes(1000)))
    parts = [len(pair.client.data_to_send(max_bytes=1500)) for _ in range(6)]
    assert parts == [2 * 1007] * 5 + [0]


def test_a_server_that_is_asked_looks_at_nothing_else() -> None:
    client, server = ClientSession(CONNECT), ServerSession()
    client.connection_made(0)
    server.connection_made(0)
    assert server.wants_data
    server.receive(client.data_to_send() + b"\xc0\x00")
    assert not server.wants_data
    assert [type(event) for event in server.events()] == [ConnectRequest]
    assert not server.wants_data
    server.accept()
    assert server.wants_data
    packets, _ = read_many(server.data_to_send())
    assert [type(packet).__name__ for packet in packets] == ["ConnAckPacket", "PingRespPacket"]


def test_what_the_server_says_at_connack_is_upheld() -> None:
    pair = Pair()
    offer = ConnAckPacket(
        max_qos=1, retain_available=False, wildcard_subscription_available=False, assigned_client_id="given"
    )
    pair.on_server = lambda event: pair.server.accept(packet=offer) if isinstance(event, ConnectRequest) else None
    pair.connect()
    assert isinstance(pair.told_client[0], Connected)
    assert pair.told_client[0].packet.max_qos is QoS.AT_LEAST_ONCE
    assert pair.client.client_id == "given"
    with pytest.raises(ValueError, match="Maximum QoS is 1"):
        pair.client.publish(Message("t", b"", qos=2))
    with pytest.raises(ValueError, match="does not support retained messages"):
        pair.client.publish(Message("t", b"", retain=True))
    with pytest.raises(ValueError, match="does not support wildcard subscriptions"):
        pair.client.subscribe("#")


def test_a_refused_client_is_told_why() -> None:
    pair = Pair()
    answer = ConnAckPacket(reason_code=ConnAckReasonCode.BANNED, reason_str="go away")
    pair.on_server = lambda event: pair.server.refuse(answer) if isinstance(event, ConnectRequest) else None
    pair.connect()
    assert pair.client.should_close
    assert pair.server.should_close
    pair.cut()
    text = "the server refused the connection: Banned (0x8A)"
    assert pair.told_client == [Disconnected(Cause.REFUSED, text, ConnAckReasonCode.BANNED, answer)]
    gone = pair.told_server[-1]
    assert isinstance(gone, ClientDisconnected)
    assert (gone.cause, gone.reason_code) == (Cause.BY_US, ConnAckReasonCode.BANNED)


def test_the_will_comes_with_the_end_unless_it_is_revoked() -> None:
    will = Will("gone", payload=b"bye")
    for packet, expected in (
        (DisconnectPacket(), None),
        (DisconnectPacket(reason_code=DisconnectReasonCode.DISCONNECT_WITH_WILL_MESSAGE), will),
        (None, will),
    ):
        pair = Pair(ClientSession(ConnectPacket("c", clean_start=True, will=will, session_expiry_interval=9)))
        pair.connect()
        if packet is not None:
            pair.client.disconnect(packet)
            pair.run()
            assert pair.client.should_close
        pair.cut()
        gone = pair.told_server[-1]
        assert isinstance(gone, ClientDisconnected)
        assert (gone.will, gone.session_expiry_interval) == (expected, 9)
        assert gone.cause is (Cause.STREAM_ENDED if packet is None else Cause.BY_PEER)
        assert gone.packet == packet


def test_a_server_that_ends_says_so() -> None:
    for finish in (False, True):
        pair = Pair()
        pair.connect()
        said = DisconnectPacket(reason_code=DisconnectReasonCode.SERVER_SHUTTING_DOWN)
        (pair.server.finish if finish else pair.server.disconnect)(said)
        pair.run()
        assert pair.server.should_close
        pair.cut()
        assert pair.told_client[-1] == Disconnected(
            Cause.BY_PEER,
            "disconnected by the other side: Server shutting down (0x8B)",
            DisconnectReasonCode.SERVER_SHUTTING_DOWN,
            said,
        )


def test_a_message_is_as_frozen_as_a_packet() -> None:
    message = Message(
        "t",
        bytearray(b"x" * 100),
        qos=2,
        retain=True,
        payload_format_indicator=1,
        message_expiry_interval=5,
        content_type="text/plain",
        response_topic="r",
        correlation_data=b"c",
        subscription_ids=[1, 2],
        user_properties=[("a", "b"), ("a", "c")],
    )
    assert pickle.loads(pickle.dumps(message)) == message
    assert len({message, pickle.loads(pickle.dumps(message)), Message("t", b"")}) == 2
    assert repr(Message("t", b"x", qos=1)) == "Message('t', b'x', qos=QoS.AT_LEAST_ONCE)"
    match message:
        case Message(topic, payload):
            assert (topic, payload) == ("t", b"x" * 100)
        case _:
            pytest.fail("does not match")
    with pytest.raises(AttributeError):
        message.topic = "u"  # type: ignore[misc]
    one = Subscription(TopicFilter("a/+", max_qos=1), subscription_id=3)
    assert pickle.loads(pickle.dumps(one)) == one
    assert repr(one) == "Subscription(TopicFilter('a/+', max_qos=QoS.AT_LEAST_ONCE), subscription_id=3)"


def test_events_are_frozen_and_hide_secrets() -> None:
    pair = Pair(ClientSession(ConnectPacket("c", username="u", password=b"secret", clean_start=True)))
    pair.connect()
    assert "secret" not in repr([pair.told_server, pair.told_client])
    with pytest.raises(AttributeError):
        pair.told_client[0].packet = None  # type: ignore[misc, union-attr]
    assert read(b"\xc0\x00")[1] == 2


def test_a_delivery_is_what_the_subscriptions_make_of_it() -> None:
    pair = Pair()
    pair.connect()
    granted = [
        Subscription(TopicFilter("a", max_qos=1, retain_as_published=False), subscription_id=1),
        Subscription(TopicFilter("#", max_qos=0, no_local=True, retain_as_published=False), subscription_id=2),
    ]
    message = Message("a", b"x", qos=2, retain=True)
    assert pair.server.deliver(message, granted) == 0
    assert pair.server.deliver(message, granted[1:], own=True, track=True) > 0
    pair.server.deliver(message, granted[:1], retained=True)
    pair.run()
    assert pair.came_to_client() == [
        Message("a", b"x", qos=1, subscription_ids=[1, 2]),
        Message("a", b"x", qos=1, retain=True, subscription_ids=[1]),
    ]


def test_every_name_has_a_docstring() -> None:
    for name in ohmqtt.sansio.__all__:
        assert getattr(ohmqtt.sansio, name).__doc__, name
    for session in (ClientSession, ServerSession):
        for name in dir(session):
            assert name.startswith("_") or getattr(session, name).__doc__, name
