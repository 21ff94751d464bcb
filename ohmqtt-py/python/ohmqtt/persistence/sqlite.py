"""A store of messages in an SQLite file, which outlives the process."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Sequence
from typing import Final

from ohmqtt.handles import Handle, PublishHandle
from ohmqtt.mqtt_spec import MAX_PACKET_ID, MQTTQoS
from ohmqtt.packet import (
    MQTTPubAckPacket,
    MQTTPubCompPacket,
    MQTTPublishPacket,
    MQTTPubRecPacket,
    MQTTPubRelPacket,
)
from ohmqtt.persistence.base import (
    LostMessageError,
    Persistence,
    RenderedPacket,
    SchemaError,
    check_message,
    check_received,
    check_step,
    refusal,
)
from ohmqtt.property import MQTTPublishProps
from ohmqtt.topic_alias import AliasPolicy

__all__ = ["SCHEMA_VERSION", "SQLitePersistence", "SchemaError"]

SCHEMA_VERSION: Final = 0
"""The `user_version` of the files this module reads and writes."""

_TABLES: Final = """
    CREATE TABLE IF NOT EXISTS messages (
        id INTEGER PRIMARY KEY,
        topic TEXT NOT NULL,
        payload BLOB NOT NULL,
        qos INTEGER NOT NULL,
        retain INTEGER NOT NULL,
        properties BLOB,
        alias_policy INTEGER NOT NULL,
        dup INTEGER DEFAULT 0,
        received INTEGER DEFAULT 0,
        packet_id INTEGER UNIQUE DEFAULT NULL,
        inflight INTEGER DEFAULT 0
    ) STRICT;
    CREATE TABLE IF NOT EXISTS received (packet_id INTEGER PRIMARY KEY) STRICT;
    CREATE TABLE IF NOT EXISTS client_id (
        id INTEGER PRIMARY KEY CHECK (id = 0),
        client_id TEXT DEFAULT NULL
    ) STRICT;
"""


class SQLitePersistence(Persistence):
    """A store in an SQLite file, ":memory:" for none.

    A message is on disk before `add` returns. With `db_fast` the file is written ahead (WAL) and not synced each time:
    a crash of the process loses nothing, a loss of power perhaps the last moments.
    """

    __slots__ = ("_cond", "_db", "_handles", "_last_packet_id")

    def __init__(self, db_path: str, *, db_fast: bool = False) -> None:
        """Open the file, or create it; SchemaError when it is something else."""
        self._cond = threading.Condition(threading.RLock())
        self._handles: weakref.WeakValueDictionary[int, PublishHandle] = weakref.WeakValueDictionary()
        self._last_packet_id = 0
        self._db = sqlite3.connect(db_path, check_same_thread=False)
        try:
            self._prepare(db_path, db_fast)
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, db_path: str, db_fast: bool) -> None:
        try:
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
        except sqlite3.DatabaseError as error:
            raise SchemaError(f"{db_path}: {error}") from error
        if version != SCHEMA_VERSION:
            raise SchemaError(f"{db_path}: its version is {version}, only {SCHEMA_VERSION} is known: use another file")
        self._db.execute(f"PRAGMA journal_mode = {'WAL' if db_fast else 'DELETE'}")
        self._db.execute(f"PRAGMA synchronous = {'NORMAL' if db_fast else 'FULL'}")
        self._db.executescript(_TABLES)

    def __len__(self) -> int:
        """Count the messages that are not acknowledged."""
        with self._cond:
            count: int = self._db.execute("SELECT count(*) FROM messages").fetchone()[0]
            return count

    def add(
        self,
        topic: str,
        payload: bytes,
        qos: MQTTQoS,
        retain: bool,
        properties: MQTTPublishProps,
        alias_policy: AliasPolicy,
    ) -> PublishHandle:
        """Store a message."""
        packet = MQTTPublishPacket(topic, payload, MQTTQoS(qos), retain, MAX_PACKET_ID, properties)
        check_message(packet, alias_policy)
        handle: PublishHandle = Handle(self._cond)
        block = properties.encode() if properties else None
        with self._cond, self._db:
            row = self._db.execute(
                "INSERT INTO messages (topic, payload, qos, retain, properties, alias_policy)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (topic, bytes(payload), int(qos), int(retain), block, int(alias_policy)),
            )
            if row.lastrowid is not None:
                self._handles[row.lastrowid] = handle
        return handle

    def get(self, count: int) -> Sequence[int]:
        """Give the identifiers of at most so many messages that are to be sent now."""
        query = "SELECT id FROM messages WHERE inflight = 0 ORDER BY received DESC, id LIMIT ?"
        with self._cond:
            return [number for (number,) in self._db.execute(query, (count,))]

    def ack(self, packet: MQTTPubAckPacket | MQTTPubRecPacket | MQTTPubCompPacket) -> None:
        """Take an acknowledgement."""
        with self._cond, self._db:
            query = "SELECT id, qos, received FROM messages WHERE packet_id = ?"
            row = self._db.execute(query, (packet.packet_id,)).fetchone()
            if row is None:
                raise ValueError(f"Unknown packet_id: {packet.packet_id}")
            number, qos, received = row
            check_step(packet, qos, received == 1)
            error = refusal(packet)
            if isinstance(packet, MQTTPubRecPacket) and error is None:
                self._db.execute("UPDATE messages SET received = 1, inflight = 0 WHERE id = ?", (number,))
                return
            self._db.execute("DELETE FROM messages WHERE id = ?", (number,))
            handle = self._handles.pop(number, None)
            if handle is not None:
                handle.ack, handle.exc = packet, error
            self._cond.notify_all()

    def check_rec(self, packet: MQTTPublishPacket) -> bool:
        """Tell whether an incoming message of QoS 2 is new."""
        check_received(packet)
        query = "SELECT 1 FROM received WHERE packet_id = ?"
        with self._cond:
            return self._db.execute(query, (packet.packet_id,)).fetchone() is None

    def set_rec(self, packet: MQTTPublishPacket) -> None:
        """Remember that an incoming message of QoS 2 was received."""
        check_received(packet)
        with self._cond, self._db:
            self._db.execute("INSERT OR IGNORE INTO received (packet_id) VALUES (?)", (packet.packet_id,))

    def rel(self, packet: MQTTPubRelPacket) -> None:
        """Forget an incoming message."""
        with self._cond, self._db:
            self._db.execute("DELETE FROM received WHERE packet_id = ?", (packet.packet_id,))

    def render(self, message_id: int) -> RenderedPacket:
        """Give the packet that is to be sent for a message."""
        with self._cond, self._db:
            row = self._db.execute(
                "SELECT topic, payload, qos, retain, properties, alias_policy, dup, received, packet_id"
                " FROM messages WHERE id = ?",
                (message_id,),
            ).fetchone()
            if row is None:
                raise KeyError(message_id)
            topic, payload, qos, retain, block, alias_policy, dup, received, packet_id = row
            if packet_id is None:
                packet_id = self._free_packet_id()
            query = "UPDATE messages SET inflight = 1, packet_id = ? WHERE id = ?"
            self._db.execute(query, (packet_id, message_id))
        if received:
            return RenderedPacket(MQTTPubRelPacket(packet_id), AliasPolicy.NEVER)
        properties = MQTTPublishProps.decode(block)[0] if block else MQTTPublishProps()
        packet = MQTTPublishPacket(topic, payload, MQTTQoS(qos), retain == 1, packet_id, properties, dup == 1)
        return RenderedPacket(packet, AliasPolicy(alias_policy))

    def _free_packet_id(self) -> int:
        query = "SELECT packet_id FROM messages WHERE packet_id IS NOT NULL"
        used = {packet_id for (packet_id,) in self._db.execute(query)}
        for ahead in range(MAX_PACKET_ID):
            packet_id = (self._last_packet_id + ahead) % MAX_PACKET_ID + 1
            if packet_id not in used:
                self._last_packet_id = packet_id
                return packet_id
        raise ValueError(f"all {MAX_PACKET_ID} packet identifiers are in use: wait for acknowledgements")

    def clear(self) -> None:
        """Forget everything."""
        with self._cond, self._db:
            self._db.execute("DELETE FROM messages")
            self._db.execute("DELETE FROM received")
            for handle in list(self._handles.values()):
                handle.exc = LostMessageError("the message was lost with its session")
            self._handles.clear()
            self._cond.notify_all()

    def open(self, client_id: str, clear: bool = False) -> None:
        """Begin a connection."""
        with self._cond, self._db:
            row = self._db.execute("SELECT client_id FROM client_id WHERE id = 0").fetchone()
            known = row[0] if row is not None else None
            if clear or known not in (None, client_id):
                self.clear()
            self._db.execute("INSERT OR REPLACE INTO client_id (id, client_id) VALUES (0, ?)", (client_id,))
            self._db.execute("UPDATE messages SET dup = 1 WHERE inflight = 1 AND received = 0")
            self._db.execute("UPDATE messages SET inflight = 0")

    def close(self) -> None:
        """Close the file."""
        with self._cond:
            self._db.close()
