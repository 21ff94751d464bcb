from __future__ import annotations

import gc
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ohmqtt.error import MQTTError
from ohmqtt.handles import PublishHandle
from ohmqtt.mqtt_spec import MQTTQoS, MQTTReasonCode
from ohmqtt.packet import (
    MQTTPubAckPacket,
    MQTTPubCompPacket,
    MQTTPublishPacket,
    MQTTPubRecPacket,
    MQTTPubRelPacket,
)
from ohmqtt.persistence.base import LostMessageError, Persistence, RenderedPacket
from ohmqtt.persistence.in_memory import InMemoryPersistence
from ohmqtt.persistence.sqlite import SCHEMA_VERSION, SchemaError, SQLitePersistence
from ohmqtt.property import MQTTPubAckProps, MQTTPublishProps
from ohmqtt.topic_alias import AliasPolicy

Q1, Q2, TRY = MQTTQoS.Q1, MQTTQoS.Q2, AliasPolicy.TRY


@pytest.fixture(params=["memory", "sqlite", "sqlite-fast"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Persistence]:
    path = str(tmp_path / "a.db")
    opened: Persistence = InMemoryPersistence()
    if request.param != "memory":
        opened = SQLitePersistence(path, db_fast=request.param == "sqlite-fast")
    with opened:
        opened.open("client")
        yield opened


def add(store: Persistence, topic: str, qos: MQTTQoS = Q1) -> PublishHandle:
    return store.add(topic, b"payload", qos, False, MQTTPublishProps(), TRY)


def publish(topic: str, qos: MQTTQoS, packet_id: int, dup: bool = False) -> RenderedPacket:
    return RenderedPacket(MQTTPublishPacket(topic, b"payload", qos, packet_id=packet_id, dup=dup), TRY)


def test_a_message_of_qos_1_is_done_with_its_puback(store: Persistence) -> None:
    handle = add(store, "a")
    assert (len(store), store.get(10), handle.ack) == (1, [1], None)
    assert store.render(1) == publish("a", Q1, 1)
    assert (len(store), store.get(10)) == (1, [])
    ack = MQTTPubAckPacket(1)
    store.ack(ack)
    assert (len(store), handle.ack, handle.exc) == (0, ack, None)
    assert handle.wait_for_ack(0) == ack


def test_a_message_of_qos_2_is_done_with_its_pubcomp(store: Persistence) -> None:
    handle = add(store, "a", Q2)
    assert store.render(1) == publish("a", Q2, 1)
    store.ack(MQTTPubRecPacket(1))
    assert (len(store), store.get(10), handle.ack) == (1, [1], None)
    assert store.render(1) == RenderedPacket(MQTTPubRelPacket(1), AliasPolicy.NEVER)
    assert store.get(10) == []
    store.ack(MQTTPubCompPacket(1))
    assert (len(store), handle.ack, handle.exc) == (0, MQTTPubCompPacket(1), None)


def test_an_error_ends_a_message_with_the_packet_and_the_reason(store: Persistence) -> None:
    handles = [add(store, "a"), add(store, "b", Q2), add(store, "c", Q2)]
    for number in store.get(10):
        store.render(number)
    refusal = MQTTPubAckPacket(1, MQTTReasonCode.NotAuthorized, MQTTPubAckProps(ReasonString="not you"))
    store.ack(refusal)
    store.ack(MQTTPubRecPacket(2, MQTTReasonCode.QuotaExceeded))
    store.ack(MQTTPubRecPacket(3))
    store.ack(MQTTPubCompPacket(3, MQTTReasonCode.PacketIdentifierNotFound))
    assert len(store) == 0
    reasons = [handle.exc.reason_code for handle in handles if isinstance(handle.exc, MQTTError)]
    assert reasons == [0x87, 0x97, 0x92]
    assert handles[0].ack == refusal
    with pytest.raises(MQTTError, match="not you"):
        handles[0].wait_for_ack(0)


def test_messages_go_out_in_their_order_and_releases_before_them(store: Persistence) -> None:
    for topic in "abcd":
        add(store, topic, Q2)
    assert list(store.get(2)) == [1, 2]
    assert list(store.get(10)) == [1, 2, 3, 4]
    assert [store.render(number).packet.packet_id for number in (1, 2, 3)] == [1, 2, 3]
    store.ack(MQTTPubRecPacket(3))
    store.ack(MQTTPubRecPacket(2))
    assert list(store.get(10)) == [2, 3, 4]
    assert list(store.get(1)) == [2]


def test_a_packet_identifier_is_kept_until_the_message_is_done_and_used_again_late(store: Persistence) -> None:
    for topic in "abc":
        add(store, topic)
    # It is given when a message is first sent.
    assert store.render(3).packet.packet_id == 1
    assert store.render(1).packet.packet_id == 2
    store.ack(MQTTPubAckPacket(1))
    assert store.render(2).packet.packet_id == 3
    store.open("client")
    assert [store.render(number).packet.packet_id for number in store.get(10)] == [2, 3]


def test_what_a_message_has_is_what_is_sent(store: Persistence) -> None:
    props = MQTTPublishProps(
        UserProperty=[("n", "v")], ResponseTopic="r", CorrelationData=b"\x00", SubscriptionIdentifier={123}
    )
    store.add("a/b", b"\xff\x00", Q1, True, props, AliasPolicy.NEVER)
    wanted = MQTTPublishPacket("a/b", b"\xff\x00", Q1, True, 1, MQTTPublishProps(**vars(props)))
    # The caller's object is the caller's.
    props.ContentType = "later"
    packet, alias_policy = store.render(1)
    assert (packet, alias_policy) == (wanted, AliasPolicy.NEVER)
    assert list(vars(packet.properties)) == [
        "UserProperty",
        "ResponseTopic",
        "CorrelationData",
        "SubscriptionIdentifier",
    ]
    assert packet.encode() == wanted.encode()
    # And the sender's is the sender's.
    packet.properties.TopicAlias = 5
    store.open("client")
    assert store.render(1).packet.properties == wanted.properties


def test_what_was_in_flight_goes_out_again_as_a_duplicate(store: Persistence) -> None:
    for topic in "abc":
        add(store, topic, Q2)
    store.render(1)
    store.render(2)
    store.ack(MQTTPubRecPacket(2))
    store.render(2)
    store.open("client")
    assert list(store.get(10)) == [2, 1, 3]
    assert store.render(2).packet == MQTTPubRelPacket(2)
    assert store.render(1) == publish("a", Q2, 1, dup=True)
    assert store.render(3) == publish("c", Q2, 3)


@pytest.mark.parametrize(("client_id", "clear"), [("client", True), ("other", False)])
def test_with_its_session_everything_is_lost(store: Persistence, client_id: str, clear: bool) -> None:
    handle = add(store, "a")
    received = MQTTPublishPacket("in", qos=Q2, packet_id=7)
    store.set_rec(received)
    store.open(client_id, clear)
    assert (len(store), store.get(10), store.check_rec(received)) == (0, [], True)
    assert isinstance(handle.exc, LostMessageError)
    with pytest.raises(LostMessageError, match="lost with its session"):
        handle.wait_for_ack(0)


def test_what_came_before_the_first_connection_is_kept(tmp_path: Path) -> None:
    for store in (InMemoryPersistence(), SQLitePersistence(str(tmp_path / "a.db"))):
        with store:
            add(store, "a")
            store.open("client")
            assert len(store) == 1


def test_an_incoming_message_is_new_until_it_is_remembered_and_again_once_it_is_released(store: Persistence) -> None:
    packet = MQTTPublishPacket("a", qos=Q2, packet_id=1)
    assert store.check_rec(packet) is True
    store.set_rec(packet)
    store.set_rec(packet)
    assert store.check_rec(packet) is False
    assert store.check_rec(MQTTPublishPacket("a", qos=Q2, packet_id=2)) is True
    store.rel(MQTTPubRelPacket(1))
    store.rel(MQTTPubRelPacket(1))
    assert store.check_rec(packet) is True
    for remember in (store.check_rec, store.set_rec):
        with pytest.raises(ValueError, match="only messages of QoS 2"):
            remember(MQTTPublishPacket("a", qos=Q1, packet_id=1))


def test_an_acknowledgement_of_nothing_is_refused(store: Persistence) -> None:
    with pytest.raises(ValueError, match="Unknown packet_id: 42"):
        store.ack(MQTTPubAckPacket(42))
    add(store, "a")
    add(store, "b", Q2)
    store.render(1)
    store.render(2)
    for packet in (MQTTPubRecPacket(1), MQTTPubCompPacket(1), MQTTPubAckPacket(2), MQTTPubCompPacket(2)):
        with pytest.raises(ValueError, match=f"is not the answer to packet_id {packet.packet_id} now"):
            store.ack(packet)
    assert len(store) == 2
    with pytest.raises(KeyError):
        store.render(99)


@pytest.mark.parametrize(
    ("topic", "qos", "props", "alias_policy", "message"),
    [
        ("a", MQTTQoS.Q0, MQTTPublishProps(), TRY, "qos: a store is for QoS 1 and 2"),
        ("a", Q1, MQTTPublishProps(), AliasPolicy.ALWAYS, "alias_policy: ALWAYS is for QoS 0"),
        ("a/+", Q1, MQTTPublishProps(), TRY, "topic: .* contains the wildcard"),
        ("a", Q1, MQTTPublishProps(TopicAlias=99_999), TRY, "TopicAlias: 99999"),
    ],
)
def test_what_cannot_be_sent_is_not_stored(
    store: Persistence, topic: str, qos: MQTTQoS, props: MQTTPublishProps, alias_policy: AliasPolicy, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        store.add(topic, b"", qos, False, props, alias_policy)
    assert len(store) == 0


def test_a_handle_nobody_holds_costs_nothing(store: Persistence) -> None:
    add(store, "a")
    add(store, "b")
    gc.collect()
    store.render(1)
    store.ack(MQTTPubAckPacket(1))
    store.clear()
    assert len(store) == 0


def test_more_messages_wait_than_there_are_packet_identifiers() -> None:
    store = InMemoryPersistence()
    for _ in range(65_537):
        add(store, "a")
    for number in store.get(65_535):
        store.render(number)
    assert list(store.get(10)) == [65_536, 65_537]
    with pytest.raises(ValueError, match="all 65535 packet identifiers are in use"):
        store.render(65_536)
    store.ack(MQTTPubAckPacket(500))
    assert store.render(65_536).packet.packet_id == 500


def test_a_file_goes_on_where_the_process_left_it(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    received = MQTTPublishPacket("in", qos=Q2, packet_id=9)
    first = SQLitePersistence(path)
    first.open("client")
    add(first, "a")
    add(first, "b", Q2)
    first.render(1)
    first.set_rec(received)
    # What was stored is in the file, though nobody closed it.
    with SQLitePersistence(path) as second:
        second.open("client")
        assert (len(second), second.check_rec(received)) == (2, False)
        assert [second.render(number) for number in second.get(10)] == [
            publish("a", Q1, 1, dup=True),
            publish("b", Q2, 2),
        ]
        second.open("another")
        assert len(second) == 0
    first.close()


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    db = sqlite3.connect(path)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def test_the_file_is_as_safe_as_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    SQLitePersistence(str(path)).close()
    assert rows(path, "PRAGMA journal_mode") == [("delete",)]
    SQLitePersistence(str(path), db_fast=True).close()
    assert rows(path, "PRAGMA journal_mode") == [("wal",)]


def test_the_tables_are_those_that_programs_have(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with SQLitePersistence(str(path)) as store:
        store.open("client")
        store.add("a", b"p", Q2, True, MQTTPublishProps(ContentType="t"), TRY)
        store.render(1)
        store.set_rec(MQTTPublishPacket("in", qos=Q2, packet_id=9))
    columns = "id, topic, payload, qos, retain, properties, alias_policy, dup, received, packet_id, inflight"
    assert rows(path, f"SELECT {columns} FROM messages") == [
        (1, "a", b"p", 2, 1, b"\x04\x03\x00\x01t", 1, 0, 0, 1, 1),
    ]
    assert rows(path, "SELECT packet_id FROM received") == [(9,)]
    assert rows(path, "SELECT id, client_id FROM client_id") == [(0, "client")]
    assert rows(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]


def of_another_version(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 7")
    db.close()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (of_another_version, r"a\.db: its version is 7, only 0 is known"),
        (lambda path: path.write_bytes(b"not a database, not at all" * 100), r"a\.db: file is not a database"),
    ],
)
def test_another_file_is_refused_and_left_as_it_is(tmp_path: Path, spoil: Callable[[Path], None], message: str) -> None:
    path = tmp_path / "a.db"
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(SchemaError, match=message):
        SQLitePersistence(str(path))
    assert path.read_bytes() == before


def test_every_method_of_a_store_is_asked_for() -> None:
    assert Persistence.__abstractmethods__ == {
        *("__len__", "add", "get", "ack", "check_rec", "set_rec", "rel", "render", "clear", "open", "close"),
    }
    with pytest.raises(TypeError):
        Persistence()  # type: ignore[abstract]
