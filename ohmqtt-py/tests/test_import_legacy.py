"""The database of ohmqtt 1.x, opened by the drop-in client: what is in it goes on, once, and its tables stay."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from clients import SOON, Inbox, Peer, Server
from ohmqtt import (
    Client,
    LostMessageError,
    MQTTConnAckPacket,
    MQTTConnectProps,
    MQTTPacket,
    MQTTPubAckPacket,
    MQTTPubCompPacket,
    MQTTPublishPacket,
    MQTTPublishProps,
    MQTTPubRecPacket,
    MQTTPubRelPacket,
    MQTTQoS,
    MQTTReasonCode,
    MQTTSubAckPacket,
    MQTTSubscribePacket,
)
from ohmqtt.persistence.sqlite import SchemaError
from test_logs import Listener, listener

__all__ = ["listener"]

FIXTURE = Path(__file__).parent / "data/ohmqtt-1.2.1.db"
"""What is in it is told in the README beside it."""

LASTING = MQTTConnectProps(SessionExpiryInterval=0xFFFFFFFF)

ALL = MQTTPublishProps(
    PayloadFormatIndicator=1,
    MessageExpiryInterval=3600,
    ContentType="text/plain",
    ResponseTopic="plant/replies",
    CorrelationData=b"\x00\x01\xff",
    UserProperty=[("unit", "°C"), ("unit", "K")],
)
SENT_AGAIN = [
    (3, "plant/1/door", b"open", 2, False, True, ALL),
    (4, "plant/1/temp", b"20.6", 1, True, True, MQTTPublishProps()),
    (5, "plant/1/door", b"shut", 2, False, True, MQTTPublishProps()),
]
SENT_FIRST = [
    ("plant/1/temp", "20.7 °C".encode(), 1, False, False, ALL),
    ("plant/1/door", bytes(range(256)), 2, False, False, MQTTPublishProps(ContentType="bin")),
    ("plant/1/état", b"", 1, True, False, MQTTPublishProps()),
]


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    with server.listener:
        yield server


@pytest.fixture
def db_path(tmp_path: Path) -> Path:
    return Path(shutil.copy(FIXTURE, tmp_path / "ohmqtt.db"))


def rows(db_path: Path, *tables: str) -> list[list[tuple[Any, ...]]]:
    """Read the tables of 1.x."""
    with closing(sqlite3.connect(db_path)) as database:
        return [database.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in tables]


def change(db_path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(db_path)) as database, database:
        for statement in statements:
            database.execute(statement)


def told(packet: MQTTPacket | None) -> tuple[Any, ...]:
    """Everything of a message. Its expiry counts from when it was taken over, which was just now."""
    assert isinstance(packet, MQTTPublishPacket)
    properties = packet.properties
    expiry = properties.MessageExpiryInterval
    if expiry is not None:
        assert 3000 < expiry <= 3600
        properties.MessageExpiryInterval = 3600
    return (packet.packet_id, packet.topic, packet.payload, packet.qos, packet.retain, packet.dup, properties)


def answer(peer: Peer, count: int) -> list[MQTTPacket]:
    """Acknowledge all that comes, until so many messages are done with."""
    heard: list[MQTTPacket] = []
    while count:
        packet = peer.receive()
        assert packet is not None
        heard.append(packet)
        if isinstance(packet, MQTTPublishPacket) and packet.qos == MQTTQoS.Q2:
            peer.send(MQTTPubRecPacket(packet.packet_id))
        elif isinstance(packet, MQTTPublishPacket):
            peer.send(MQTTPubAckPacket(packet.packet_id))
            count -= 1
        elif isinstance(packet, MQTTPubRelPacket):
            peer.send(MQTTPubCompPacket(packet.packet_id))
            count -= 1
    return heard


def test_what_was_in_flight_comes_first_and_then_what_was_queued(db_path: Path, server: Server) -> None:
    with Client(str(db_path)) as client:
        client.connect(server.url, client_id="gateway-7", connect_properties=LASTING)
        peer, connect = server.accept(MQTTConnAckPacket(session_present=True))
        with peer.stream:
            assert (connect.client_id, connect.clean_start) == ("gateway-7", False)
            heard = answer(peer, 7)
            client.wait_for_connect(SOON)
            client.publish("a", b"now", qos=0)
            assert told(peer.receive())[1:3] == ("a", b"now")
            client.disconnect()
            client.wait_for_disconnect(SOON)
    assert heard[0] == MQTTPubRelPacket(2)
    messages = [told(packet) for packet in heard if isinstance(packet, MQTTPublishPacket)]
    assert messages[:3] == SENT_AGAIN
    assert [message[1:] for message in messages[3:]] == SENT_FIRST
    # Identifiers are not given twice.
    identifiers = [message[0] for message in messages]
    assert len({2, *identifiers}) == 7
    released = {packet.packet_id for packet in heard if isinstance(packet, MQTTPubRelPacket)}
    assert released == {2, *(message[0] for message in messages if message[3] == 2)}


def test_it_is_taken_over_once_and_its_tables_stay(db_path: Path, server: Server) -> None:
    tables = ("messages", "received", "client_id")
    before = rows(db_path, *tables)
    assert rows(FIXTURE, *tables) == before
    with Client(str(db_path)) as client:
        client.connect(server.url, client_id="gateway-7", connect_properties=LASTING)
        peer, _ = server.accept(MQTTConnAckPacket(session_present=True))
        with peer.stream:
            answer(peer, 7)
            # It stands behind all of them.
            handle = client.publish("a", b"", qos=1)
            answer(peer, 1)
            handle.wait_for_ack(SOON)
            client.disconnect()
            client.wait_for_disconnect(SOON)
    assert rows(db_path, *tables) == before
    with Client(str(db_path)) as client:
        client.publish("a", b"first", qos=1)
        client.connect(server.url, client_id="gateway-7", connect_properties=LASTING)
        peer, _ = server.accept(MQTTConnAckPacket(session_present=True))
        with peer.stream:
            assert [packet.payload for packet in answer(peer, 1) if isinstance(packet, MQTTPublishPacket)] == [b"first"]
    assert rows(db_path, *tables) == before


def test_what_was_not_acknowledged_is_there_for_the_next_to_open_it(db_path: Path, server: Server) -> None:
    for _ in range(2):
        with Client(str(db_path)) as client:
            client.connect(server.url, client_id="gateway-7", connect_properties=LASTING)
            peer, _ = server.accept(MQTTConnAckPacket(session_present=True))
            with peer.stream:
                assert peer.receive() == MQTTPubRelPacket(2)
                assert [told(peer.receive()) for _ in SENT_AGAIN] == SENT_AGAIN
            client.shutdown()


@pytest.mark.parametrize("packet_id", [10, 65535])
def test_what_had_been_received_is_not_called_back_with_again(db_path: Path, server: Server, packet_id: int) -> None:
    inbox = Inbox()
    with Client(str(db_path)) as client:
        client.connect(server.url, client_id="gateway-7", connect_properties=LASTING)
        peer, _ = server.accept(MQTTConnAckPacket(session_present=True))
        with peer.stream:
            answer(peer, 7)
            handle = client.subscribe("#", inbox)
            subscribe = peer.receive()
            assert isinstance(subscribe, MQTTSubscribePacket)
            peer.send(MQTTSubAckPacket(subscribe.packet_id, [MQTTReasonCode.GrantedQoS2]))
            handle.wait_for_ack(SOON)
            peer.send(MQTTPublishPacket("a", b"again", MQTTQoS.Q2, packet_id=packet_id, dup=True))
            assert peer.receive() == MQTTPubRecPacket(packet_id)
            peer.send(MQTTPubRelPacket(packet_id))
            assert peer.receive() == MQTTPubCompPacket(packet_id)
            # Once it is released the identifier is another message's.
            peer.send(MQTTPublishPacket("a", b"new", MQTTQoS.Q2, packet_id=packet_id))
            assert inbox.next().payload == b"new"
            client.shutdown()
    assert inbox.packets.empty()


def test_a_server_that_has_forgotten_the_session_gets_nothing_of_it(db_path: Path, server: Server) -> None:
    """As for every session that is lost: what is published behind it goes out."""
    with Client(str(db_path)) as client:
        client.connect(server.url, client_id="gateway-7", connect_properties=LASTING)
        peer, _ = server.accept(MQTTConnAckPacket(session_present=False))
        with peer.stream:
            client.wait_for_connect(SOON)
            handle = client.publish("a", b"mine", qos=1)
            messages = [packet for packet in answer(peer, 1) if isinstance(packet, MQTTPublishPacket)]
            assert [(packet.topic, packet.payload) for packet in messages] == [("a", b"mine")]
            handle.wait_for_ack(SOON)
            client.shutdown()


def test_another_client_identifier_loses_it_and_what_was_published_since(db_path: Path, server: Server) -> None:
    with Client(str(db_path)) as client:
        lost = client.publish("a", b"lost", qos=1)
        client.connect(server.url, client_id="another", connect_properties=LASTING)
        peer, connect = server.accept(MQTTConnAckPacket())
        with peer.stream:
            assert connect.client_id == "another"
            with pytest.raises(LostMessageError):
                lost.wait_for_ack(SOON)
            handle = client.publish("a", b"mine", qos=1)
            messages = [packet for packet in answer(peer, 1) if isinstance(packet, MQTTPublishPacket)]
            assert [packet.payload for packet in messages] == [b"mine"]
            handle.wait_for_ack(SOON)
            client.shutdown()
    assert len(rows(db_path, "messages")[0]) == 7


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("PRAGMA user_version = 7", "user_version is 7"),
        ("CREATE TABLE more (id INTEGER)", "more"),
        ("DROP TABLE received", "received"),
        ("ALTER TABLE messages ADD COLUMN more TEXT", "messages"),
    ],
)
def test_what_is_not_as_1_made_it_is_refused_and_untouched(db_path: Path, statement: str, complaint: str) -> None:
    change(db_path, statement)
    before = db_path.read_bytes()
    with pytest.raises(SchemaError, match=complaint) as raised:
        Client(str(db_path))
    assert db_path.name in str(raised.value)
    assert db_path.read_bytes() == before


def test_rows_that_cannot_be_sent_are_left_and_told(db_path: Path, server: Server, listener: Listener) -> None:
    change(
        db_path,
        "INSERT INTO messages (topic, payload, qos, retain, alias_policy) VALUES ('secret/#', x'00', 1, 0, 0)",
        "INSERT INTO messages (topic, payload, qos, retain, alias_policy) VALUES ('a', x'00', 7, 0, 0)",
        "INSERT INTO received VALUES (70000)",
    )
    before = rows(db_path, "messages", "received")
    with Client(str(db_path)) as client:
        record = listener.wait_for("left")
        assert record.name == "ohmqtt"
        assert record.levelname == "WARNING"
        for row in ("table messages, row 9", "table messages, row 10", "table received, row 70000"):
            assert row in record.getMessage()
        assert "secret" not in record.getMessage()
        # The others go on.
        client.connect(server.url, client_id="gateway-7", connect_properties=LASTING)
        peer, _ = server.accept(MQTTConnAckPacket(session_present=True))
        with peer.stream:
            assert len([packet for packet in answer(peer, 7) if isinstance(packet, MQTTPublishPacket)]) == 6
            client.shutdown()
    assert rows(db_path, "messages", "received") == before


def test_two_clients_that_open_it_at_once_take_it_over_once(db_path: Path, server: Server) -> None:
    opened: list[Client] = []
    refused: list[OSError] = []

    def open_it() -> None:
        try:
            opened.append(Client(str(db_path)))
        except OSError as error:
            refused.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert (len(opened), len(refused)) == (1, 1)
    with opened[0] as client:
        client.connect(server.url, client_id="gateway-7", connect_properties=LASTING)
        peer, _ = server.accept(MQTTConnAckPacket(session_present=True))
        with peer.stream:
            assert len(answer(peer, 7)) == 10
            client.shutdown()
