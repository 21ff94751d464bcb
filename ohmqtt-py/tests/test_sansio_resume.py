from __future__ import annotations

import random
from collections import Counter

import pytest

from ohmqtt.codec import ConnectPacket, DisconnectReasonCode, PublishPacket, QoS, TopicFilter, read_many
from ohmqtt.sansio import (
    Acked,
    Cause,
    ClientSession,
    Connected,
    Disconnected,
    Loss,
    Lost,
    Message,
    Received,
    ServerSession,
    SessionLossPolicy,
    SessionLost,
    Subscription,
)
from sansio_pair import CONNECT, Pair

ALL = [Subscription(TopicFilter("#"))]


def come_back(pair: Pair, *, keep: bool = True) -> Pair:
    """Return the client on a new connection, at a server that has kept its session or not."""
    again = Pair(pair.client, seed=pair.random.getrandbits(32), now=pair.now)
    again.flows = pair.server.take_flows() if keep else None
    again.told_client, again.told_server = pair.told_client, pair.told_server
    again.connect()
    return again


def test_what_was_under_way_goes_again_after_a_cut() -> None:
    pair = Pair()
    pair.connect()
    ticket = pair.client.publish(Message("t", b"1", qos=1))
    pair.client.data_to_send()
    pair.cut()
    pair.client.connection_made(pair.now)
    server = ServerSession()
    server.connection_made(pair.now)
    server.receive(pair.client.data_to_send())
    server.events()
    server.accept(flows=pair.server.take_flows())
    pair.client.receive(server.data_to_send())
    connected = pair.client.events()[-1]
    assert isinstance(connected, Connected)
    assert connected.packet.session_present
    assert pair.client.session_present is True
    (packet,), _ = read_many(data := pair.client.data_to_send())
    assert isinstance(packet, PublishPacket)
    assert packet.duplicate
    server.receive(data)
    (received,) = server.events()
    assert isinstance(received, Received)
    assert received.receipt is not None
    server.acknowledge(received.receipt)
    pair.client.receive(server.data_to_send())
    assert pair.client.events() == [Acked(ticket, received.message.qos * 0)]  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(25))
def test_nothing_is_lost_nor_qos_2_doubled_wherever_the_connection_is_cut(seed: int) -> None:
    chance = random.Random(seed)
    pair = Pair(seed=seed)
    pair.connect()
    messages = [Message("t", bytes([n]), qos=QoS(1 + n % 2)) for n in range(40)]
    up, down = iter(messages), iter(messages)
    for _ in range(12):
        for _ in range(chance.randrange(6)):
            if message := next(up, None):
                pair.client.publish(message)
            if message := next(down, None):
                pair.server.deliver(message, ALL)
        for _ in range(chance.randrange(5)):
            pair.step()
        # Bytes that have left and do not arrive.
        for side in (pair.client, pair.server):
            if chance.random() < 0.5:
                side.data_to_send(pair.now)
        pair.cut()
        pair = come_back(pair)
    for message in up:
        pair.client.publish(message)
    for message in down:
        pair.server.deliver(message, ALL)
    pair.run()
    for came in (pair.came_to_client(), pair.came_to_server()):
        counts = Counter(came)
        assert set(counts) == set(messages)
        assert all(counts[message] == 1 for message in messages if message.qos is QoS.EXACTLY_ONCE)
    assert (pair.client.queued, pair.server.queued) == ((0, 0), (0, 0))


def test_a_connection_is_taken_over_while_it_stands() -> None:
    old = Pair()
    old.connect()
    held: list[Received] = []
    old.on_server = lambda event: held.append(event) if isinstance(event, Received) else None
    ticket = old.client.publish(Message("t", b"1", qos=2))
    old.server.deliver(Message("d", b"2", qos=1), ALL)
    old.step()
    assert old.server.unacknowledged == 1
    (receipt,) = [event.receipt for event in held if event.receipt is not None]
    # The client is on a new connection before the old one has noticed.
    client, server = old.client, ServerSession()
    client.connection_made(old.now)
    server.connection_made(old.now)
    server.receive(client.data_to_send())
    server.events()
    flows = old.server.take_flows()
    assert flows.queued[0] == 1
    server.accept(flows=flows)
    with pytest.raises(RuntimeError, match="these flows have gone to a session already"):
        assert flows.queued
    said, _ = read_many(old.server.data_to_send())
    assert [getattr(packet, "reason_code", None) for packet in said] == [DisconnectReasonCode.SESSION_TAKEN_OVER]
    assert old.server.should_close
    with pytest.raises(ValueError, match="the receipt is of another session"):
        old.server.acknowledge(receipt)
    with pytest.raises(RuntimeError, match="there are no flows here"):
        old.server.take_flows()
    with pytest.raises(RuntimeError, match="this session serves no client"):
        old.server.deliver(Message("d", b"", qos=1), ALL)
    server.acknowledge(receipt)
    new = Pair(client, server)
    new.run()
    assert Acked(ticket, 0) in new.told_client  # type: ignore[arg-type]
    assert [message.payload for message in new.came_to_client()] == [b"2"]
    assert new.came_to_server() == []


def test_a_receipt_whose_event_was_still_waiting_is_for_the_new_session() -> None:
    pair = Pair()
    pair.connect()
    pair.client.publish(Message("t", b"1", qos=1))
    pair.server.receive(pair.client.data_to_send())
    flows = pair.server.take_flows()
    (received,) = pair.server.events()
    assert isinstance(received, Received)
    assert received.receipt is not None
    pair.cut()
    again = Pair(pair.client, flows=flows)
    again.connect()
    again.server.acknowledge(received.receipt)


def test_an_ended_session_takes_deliveries_for_later() -> None:
    pair = Pair()
    pair.connect()
    pair.cut()
    pair.server.deliver(Message("t", b"0"), ALL)
    pair.server.deliver(Message("t", b"1", qos=1), ALL)
    pair = come_back(pair)
    assert [message.payload for message in pair.came_to_client()] == [b"1"]


def test_clean_start_begins_anew_whatever_was_kept() -> None:
    pair = Pair()
    pair.connect()
    pair.cut()
    pair.server.deliver(Message("t", b"1", qos=1), ALL)
    pair.client = ClientSession(CONNECT)
    pair = come_back(pair)
    assert pair.client.session_present is False
    assert pair.came_to_client() == []


@pytest.mark.parametrize("policy", SessionLossPolicy)
def test_a_lost_session_is_told_and_its_messages_go_as_asked(policy: SessionLossPolicy) -> None:
    pair = Pair(ClientSession(CONNECT, session_loss=policy))
    pair.connect()
    sent = pair.client.publish(Message("t", b"sent", qos=2))
    pair.client.data_to_send()
    pair.cut()
    unsent = pair.client.publish(Message("t", b"unsent", qos=1))
    pair = come_back(pair, keep=False)
    (lost,) = [event for event in pair.told_client if isinstance(event, SessionLost)]
    assert (lost.messages, lost.sent) == (2, 1)
    losses = {event.ticket: event.loss for event in pair.told_client if isinstance(event, Lost)}
    expected = {
        SessionLossPolicy.FAIL: ({sent: Loss.SESSION_LOST}, [b"unsent"]),
        SessionLossPolicy.RESEND: ({}, [b"sent", b"unsent"]),
        SessionLossPolicy.CLEAR: ({sent: Loss.SESSION_LOST, unsent: Loss.SESSION_LOST}, []),
    }
    assert (losses, [message.payload for message in pair.came_to_server()]) == expected[policy]


def test_an_abandoned_message_comes_again_on_the_next_connection() -> None:
    pair = Pair()
    pair.connect()
    pair.on_client = lambda event: (
        pair.client.abandon(event.receipt) if isinstance(event, Received) and event.receipt else None
    )
    pair.server.deliver(Message("t", b"", qos=2), ALL)
    pair.run()
    assert pair.client.unacknowledged == 1
    pair.cut()
    pair = come_back(pair)
    assert len(pair.came_to_client()) == 2
    assert pair.server.queued == (0, 0)


def test_the_credentials_of_the_next_connect_are_those_set_last() -> None:
    pair = Pair(ClientSession(ConnectPacket("c", username="old", password=b"1")))
    pair.client.set_credentials("new", b"2")
    pair.connect()
    packet = pair.told_server[0].packet  # type: ignore[union-attr]
    assert isinstance(packet, ConnectPacket)
    assert (packet.username, packet.password) == ("new", b"2")
    pair.cut()
    last = pair.told_client[-1]
    assert isinstance(last, Disconnected)
    assert last.cause is Cause.STREAM_ENDED
