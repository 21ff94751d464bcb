"""The drop-in client with a database: what it was given survives it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients import SOON, Inbox, Server
from ohmqtt import (
    Client,
    LostMessageError,
    MQTTConnAckPacket,
    MQTTConnectProps,
    MQTTPublishPacket,
    MQTTPublishProps,
    MQTTPubRecPacket,
    MQTTPubRelPacket,
    MQTTQoS,
    MQTTSubscribePacket,
    StoreError,
)
from ohmqtt.broker import Broker
from ohmqtt.persistence.sqlite import SchemaError

LASTING = MQTTConnectProps(SessionExpiryInterval=0xFFFFFFFF)


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


@pytest.fixture
def db_path(tmp_path: Path) -> str:
    return str(tmp_path / "ohmqtt.db")


@pytest.mark.parametrize("db_fast", [False, True])
def test_messages_of_one_client_are_delivered_by_the_next(broker: Broker, db_path: str, db_fast: bool) -> None:
    inbox = Inbox()
    with Client(db_path, db_fast=db_fast) as client:
        for number in range(50):
            properties = MQTTPublishProps(ContentType=str(number))
            client.publish("a", str(number), qos=1 + number % 2, properties=properties)
    with Client() as reader:
        reader.connect(broker.url)
        reader.subscribe("a", inbox).wait_for_ack(SOON)
        with Client(db_path, db_fast=db_fast) as client:
            client.connect(broker.url, client_id="me", connect_properties=LASTING)
            client.wait_for_connect(SOON)
            client.publish("a", b"last", qos=2).wait_for_ack(SOON)
        packets = [inbox.next() for _ in range(51)]
        assert [packet.payload for packet in packets][:-1] == [str(number).encode() for number in range(50)]
        assert [packet.properties.ContentType for packet in packets][:-1] == [str(number) for number in range(50)]


KILLED = """
import sys
from ohmqtt import Client

client = Client(sys.argv[1])
for number in range(10_000):
    client.publish("a", str(number), qos=1)
    print(number, flush=True)
"""


def test_what_a_killed_process_published_is_delivered(broker: Broker, db_path: str) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, db_path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(20):
            published = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
    published = max([published, *map(int, rest)])
    inbox = Inbox()
    with Client() as reader:
        reader.connect(broker.url)
        reader.subscribe("a", inbox).wait_for_ack(SOON)
        with Client(db_path) as client:
            client.connect(broker.url, client_id="me", connect_properties=LASTING)
            client.wait_for_connect(SOON)
        assert inbox.payloads(published + 1) == [str(number).encode() for number in range(published + 1)]


def test_another_client_id_loses_what_was_kept_for_the_first(broker: Broker, db_path: str) -> None:
    with Client(db_path) as client:
        client.connect(broker.url, client_id="first", connect_properties=LASTING)
        client.wait_for_connect(SOON)
        client.disconnect()
        client.wait_for_disconnect(SOON)
        handle = client.publish("a", b"x", qos=1)
        client.connect(broker.url, client_id="second", connect_properties=LASTING)
        with pytest.raises(LostMessageError):
            handle.wait_for_ack(SOON)


def test_a_database_that_cannot_be_opened_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as raised:
        Client(str(tmp_path / "no" / "such" / "folder.db"))
    assert isinstance(raised.value, OSError)
    no_database = tmp_path / "text.db"
    no_database.write_text("this is no database, but a text of more than a few words\n" * 100)
    before = no_database.read_bytes()
    with pytest.raises(SchemaError, match=r"text\.db"):
        Client(str(no_database))
    assert no_database.read_bytes() == before


def test_a_database_serves_one_client_at_a_time(db_path: str) -> None:
    with Client(db_path), pytest.raises(StoreError):
        Client(db_path)
    with Client(db_path) as client:
        client.publish("a", b"x", qos=1)


LEGACY = Path(__file__).parent / "data/ohmqtt-1.2.1.db"
"""A database that ohmqtt 1.2.1 wrote: see the README beside it."""


def test_a_database_of_ohmqtt_1_goes_on_where_it_was_left(tmp_path: Path) -> None:
    db_path = str(shutil.copy(LEGACY, tmp_path / "ohmqtt.db"))
    inbox, server = Inbox(), Server()
    with server.listener, Client(db_path) as client:
        client.connect(server.url, client_id="gateway-7", connect_properties=LASTING)
        peer, _ = server.accept(MQTTConnAckPacket(session_present=True))
        with peer.stream:
            assert peer.receive() == MQTTPubRelPacket(2)
            sent = [peer.receive() for _ in range(6)]
            packets = [packet for packet in sent if isinstance(packet, MQTTPublishPacket)]
            assert [packet.payload for packet in packets] == [
                b"open",
                b"20.6",
                b"shut",
                "20.7 °C".encode(),
                bytes(range(256)),
                b"",
            ]
            assert [packet.packet_id for packet in packets][:3] == [3, 4, 5]
            assert [packet.dup for packet in packets] == [True] * 3 + [False] * 3
            assert [packet.qos for packet in packets] == [2, 1, 2, 1, 2, 1]
            assert [packet.retain for packet in packets] == [False, True, False, False, False, True]
            assert packets[3].properties.UserProperty == [("unit", "°C"), ("unit", "K")]
            assert packets[4].properties.TopicAlias is None
            # What had come before comes only once.
            client.subscribe("#", inbox)
            assert isinstance(peer.receive(), MQTTSubscribePacket)
            peer.send(MQTTPublishPacket("a", b"twice", MQTTQoS.Q2, packet_id=10, dup=True))
            assert peer.receive() == MQTTPubRecPacket(10)
            peer.send(MQTTPublishPacket("a", b"once"))
            assert inbox.next().payload == b"once"
            peer.stream.close()


def test_a_database_of_ohmqtt_1_is_another_clients_no_more(tmp_path: Path, broker: Broker) -> None:
    db_path = str(shutil.copy(LEGACY, tmp_path / "ohmqtt.db"))
    inbox = Inbox()
    with Client() as reader, Client(db_path) as client:
        reader.connect(broker.url)
        reader.subscribe("#", inbox).wait_for_ack(SOON)
        client.connect(broker.url, client_id="somebody-else", connect_properties=LASTING)
        client.wait_for_connect(SOON)
        client.publish("a", b"mine", qos=1).wait_for_ack(SOON)
        assert inbox.next().payload == b"mine"
