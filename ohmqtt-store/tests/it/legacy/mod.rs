//! Databases of ohmqtt 1.x: what becomes of them.

#[cfg(unix)]
pub(crate) mod crash;
mod refused;
mod rows;
mod session;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use ohmqtt_codec::{Binary, MqttString, PacketId, PublishProperties, Qos, TopicName};
use ohmqtt_session::{Backlog, Instant, Message, Record};
use ohmqtt_store::{Durability, Imported, Prefix, SqliteStore, Store, decode_record};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::files::{batch, contents, count};

/// The tables as 1.0 to 1.2 make them.
const TABLES: &str = "
    PRAGMA user_version = 0;
    BEGIN;
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
    CREATE TABLE IF NOT EXISTS client_id (id INTEGER PRIMARY KEY CHECK (id = 0), client_id TEXT DEFAULT NULL) STRICT;
    INSERT OR IGNORE INTO client_id (id) VALUES (0);
    COMMIT;";

/// What ohmqtt 1.2.1 wrote. The file beside it says how.
const FIXTURE: &str = "../ohmqtt-py/tests/data/ohmqtt-1.2.1.db";

/// A database of 1.x that is in use.
pub(crate) struct Legacy {
    pub(crate) folder: TempDir,
    pub(crate) connection: Connection,
}

impl Legacy {
    /// One that was just made. With `fast` it has a log, as with `db_fast`.
    pub(crate) fn new(fast: bool) -> Self {
        let folder = TempDir::new().unwrap();
        let connection = Connection::open(folder.path().join("store")).unwrap();
        if fast {
            let set =
                connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
            set.unwrap();
        }
        connection.execute_batch(TABLES).unwrap();
        Self { folder, connection }
    }

    pub(crate) fn run(&self, sql: &str) {
        self.connection.execute_batch(sql).unwrap();
    }

    /// Publishes a message, as long as there is no connection.
    pub(crate) fn add(&self, topic: &str, payload: &[u8], qos: u8, properties: Option<&[u8]>) {
        let insert = "INSERT INTO messages (topic, payload, qos, retain, properties, alias_policy)
            VALUES (?1, ?2, ?3, 0, ?4, 0)";
        let added = self
            .connection
            .execute(insert, (topic, payload, qos, properties));
        added.unwrap();
    }

    /// Sends the first messages up to this row.
    pub(crate) fn send(&self, upto: u64) {
        self.run(&format!(
            "UPDATE messages SET inflight = 1, packet_id = (id - 1) % 65535 + 1 WHERE id <= {upto}"
        ));
    }

    /// The program ends, in order.
    pub(crate) fn close(self) -> (TempDir, PathBuf) {
        let path = self.folder.path().join("store");
        self.connection.close().unwrap();
        (self.folder, path)
    }

    /// What a killed program leaves.
    pub(crate) fn kill(&self) -> (TempDir, PathBuf) {
        let folder = TempDir::new().unwrap();
        for name in ["store", "store-wal", "store-journal"] {
            let from = self.folder.path().join(name);
            if from.exists() {
                fs::copy(from, folder.path().join(name)).unwrap();
            }
        }
        let path = folder.path().join("store");
        (folder, path)
    }
}

/// Takes over what stands there.
fn import(path: &Path) -> (SqliteStore, Imported) {
    let (store, imported) = SqliteStore::open_or_import(path).unwrap();
    (store, imported.expect("it is a database of 1.x"))
}

/// All records of a store: the client identifier, and the others as if they had been accepted long ago.
pub(crate) fn records(store: &SqliteStore) -> (Option<String>, Vec<Record>) {
    let prefix = Prefix::session(&MqttString::default());
    let client_id_key = prefix.attachment(0, b"");
    let (mut client_id, mut records) = (None, Vec::new());
    let scanned = store.scan(b"", b"", &mut |key, value| {
        if key == client_id_key {
            client_id = Some(String::from_utf8(value.to_vec()).unwrap());
        } else {
            assert!(key.starts_with(prefix.as_bytes()));
            let mut record = decode_record(key, value).unwrap();
            if let Record::Message { accepted, .. } = &mut record {
                *accepted = LONG_AGO;
            }
            records.push(record);
        }
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    (client_id, records)
}

const LONG_AGO: Instant = Instant::from_unix_micros(0);

fn id(packet_id: u16) -> PacketId {
    PacketId::new(packet_id).unwrap()
}

fn record(seq: u64, packet_id: Option<u16>, message: Message) -> Record {
    Record::Message {
        seq,
        packet_id: packet_id.map(id),
        accepted: LONG_AGO,
        deadline: None,
        via: None,
        message,
    }
}

fn message(topic: &str, payload: &[u8], qos: Qos) -> Message {
    let payload = Bytes::copy_from_slice(payload);
    let mut message = Message::new(TopicName::new(topic).unwrap(), payload);
    message.qos = qos;
    message
}

fn string(text: &str) -> MqttString {
    MqttString::try_from(text).unwrap()
}

/// What stands in the tables of 1.x.
pub(crate) fn tables(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let dump = "SELECT sql FROM sqlite_schema WHERE tbl_name <> 'records'
        UNION ALL SELECT concat_ws('|', id, topic, hex(payload), qos, retain, quote(properties), alias_policy, dup, received,
            quote(packet_id), inflight) FROM messages
        UNION ALL SELECT 'received ' || packet_id FROM received
        UNION ALL SELECT concat_ws('|', 'client_id', id, quote(client_id)) FROM client_id";
    let mut rows = connection.prepare(dump).unwrap();
    let rows = rows.query_map((), |row| row.get::<_, Option<String>>(0));
    rows.unwrap().map(|row| format!("{row:?}")).collect()
}

/// Properties as bytes, and as 1.x writes them.
fn full() -> (PublishProperties, Vec<u8>) {
    let mut properties = PublishProperties::default();
    properties.set_payload_format_indicator(true);
    properties.set_message_expiry_interval(3600);
    properties.set_content_type(&string("text/plain"));
    properties.set_response_topic(&TopicName::new("plant/replies").unwrap());
    properties.set_correlation_data(&Binary::try_from(&[0, 1, 0xff][..]).unwrap());
    properties.add_user_property(&string("unit"), &string("°C"));
    properties.add_user_property(&string("unit"), &string("K"));
    let bytes = properties.as_bytes();
    let len = u8::try_from(bytes.len()).unwrap();
    assert!(len < 0x80);
    let written = [&[len], bytes].concat();
    (properties, written)
}

#[test]
fn what_1_2_1_wrote_is_taken_over_whole() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(FIXTURE), &path).unwrap();
    let before = tables(&path);
    let (store, imported) = import(&path);
    assert_eq!(imported.client_id, Some(string("gateway-7")));
    let counts = (imported.messages, imported.released, imported.received);
    assert_eq!(counts, (6, 1, 2));
    assert_eq!((imported.left, imported.reasons), (0, Vec::new()));

    let with = |mut message: Message, properties: &PublishProperties, retain| {
        message.properties = properties.clone();
        message.retain = retain;
        message
    };
    let (full, none) = (full().0, PublishProperties::default());
    let mut kind = PublishProperties::default();
    kind.set_content_type(&string("bin"));
    let (qos1, qos2) = (Qos::AtLeastOnce, Qos::ExactlyOnce);
    let all: Vec<u8> = (0..=255).collect();
    let queued = [
        with(
            message("plant/1/temp", "20.7 °C".as_bytes(), qos1),
            &full,
            false,
        ),
        with(message("plant/1/door", &all, qos2), &kind, false),
        with(message("plant/1/état", b"", qos1), &none, true),
    ];
    let backlog = Backlog {
        first: 4,
        next: 7,
        messages: 3,
        bytes: queued.iter().map(|message| message.size() as u64).sum(),
    };
    let mut want = vec![
        Record::Backlog(backlog),
        Record::Released {
            seq: 0,
            packet_id: id(2),
        },
        record(
            1,
            Some(3),
            with(message("plant/1/door", b"open", qos2), &full, false),
        ),
        record(
            2,
            Some(4),
            with(message("plant/1/temp", b"20.6", qos1), &none, true),
        ),
        record(
            3,
            Some(5),
            with(message("plant/1/door", b"shut", qos2), &none, false),
        ),
    ];
    want.extend(
        queued
            .into_iter()
            .zip(4..)
            .map(|(message, seq)| record(seq, None, message)),
    );
    want.extend([10, 65535].map(|n| Record::Received { packet_id: id(n) }));
    assert_eq!(records(&store), (Some("gateway-7".to_owned()), want));
    drop(store);
    assert_eq!(tables(&path), before);
}

#[test]
fn it_happens_once_and_then_the_file_is_a_store() {
    for fast in [false, true] {
        let legacy = Legacy::new(fast);
        legacy.add("a", b"1", 1, None);
        let (folder, path) = legacy.close();
        let (mut store, imported) = import(&path);
        assert_eq!(imported.messages, 1);
        store.apply(&batch(0..3), Durability::Safe).unwrap();
        drop(store);
        let left: Vec<_> = contents(folder.path()).into_keys().collect();
        assert_eq!(left, std::slice::from_ref(&path), "fast: {fast}");

        // What 1.x would write now is not looked at: it refuses the file by its `user_version`.
        let connection = Connection::open(&path).unwrap();
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0));
        assert_eq!(version, Ok(1));
        connection.execute("DELETE FROM messages", ()).unwrap();
        connection.close().unwrap();
        let (store, imported) = SqliteStore::open_or_import(&path).unwrap();
        assert_eq!(imported, None);
        assert_eq!(count_all(&store), 2 + 3);
        drop(store);
        assert_eq!(count_all(&SqliteStore::open(&path).unwrap()), 2 + 3);
    }
}

fn count_all(store: &SqliteStore) -> usize {
    let mut found = 0;
    let scanned = store.scan(b"", b"", &mut |_, _| {
        found += 1;
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    found
}

#[test]
fn what_a_killed_1_x_left_is_taken_over() {
    // All of it is in the log.
    let legacy = Legacy::new(true);
    legacy.add("a", b"1", 1, None);
    legacy.add("a", b"2", 2, None);
    let (_folder, path) = legacy.kill();
    let (store, imported) = import(&path);
    assert_eq!(imported.messages, 2);
    assert_eq!(records(&store).1.len(), 3);

    // What was not committed is not there: pages of it are in the database already, and the journal has what stood there.
    let legacy = Legacy::new(false);
    let payload = vec![7; 10_000];
    for _ in 0..100 {
        legacy.add("a", &payload, 1, None);
    }
    legacy.run("PRAGMA cache_size = 10; BEGIN; UPDATE messages SET payload = zeroblob(10000), topic = 'b'; DELETE FROM client_id;");
    let (folder, path) = legacy.kill();
    assert!(folder.path().join("store-journal").exists());
    let (store, imported) = import(&path);
    assert_eq!(imported.messages, 100);
    for record in &records(&store).1[1..] {
        assert!(
            matches!(record, Record::Message { message, .. } if *message.topic.as_str() == *"a" && message.payload == payload)
        );
    }
}

#[test]
fn a_new_path_and_a_store_have_nothing_to_take_over() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    let (mut store, imported) = SqliteStore::open_or_import(&path).unwrap();
    assert_eq!(imported, None);
    store.apply(&batch(0..3), Durability::Safe).unwrap();
    drop(store);
    let (store, imported) = SqliteStore::open_or_import(&path).unwrap();
    assert_eq!(imported, None);
    assert_eq!(count(&store).unwrap(), 3);
}

#[test]
fn one_that_was_never_connected_keeps_its_messages() {
    let legacy = Legacy::new(false);
    let (_folder, path) = legacy.close();
    let (store, imported) = import(&path);
    assert_eq!(imported, Imported::default());
    assert_eq!(records(&store), (None, Vec::new()));

    let legacy = Legacy::new(false);
    let (properties, written) = full();
    legacy.add("a", b"1", 2, Some(&written));
    legacy.run("DELETE FROM client_id");
    let (_folder, path) = legacy.close();
    let (store, imported) = import(&path);
    assert_eq!(imported.client_id, None);
    let mut want = message("a", b"1", Qos::ExactlyOnce);
    want.properties = properties;
    let (client_id, records) = records(&store);
    assert_eq!(client_id, None);
    assert_eq!(records[1..], [record(0, None, want)]);
}

/// Its Message Expiry Interval counts from there.
#[test]
fn a_message_counts_as_accepted_when_it_is_taken_over() {
    let legacy = Legacy::new(false);
    legacy.add("a", b"1", 1, None);
    let (_folder, path) = legacy.close();
    let micros = || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        u64::try_from(now.unwrap().as_micros()).unwrap()
    };
    let before = micros();
    let (store, _) = import(&path);
    let after = micros();
    let mut accepted_at = Vec::new();
    let scanned = store.scan(b"", b"", &mut |key, value| {
        if let Record::Message { accepted, .. } = decode_record(key, value).unwrap() {
            accepted_at.push(accepted.unix_micros());
        }
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    assert!(
        matches!(accepted_at[..], [at] if (before..=after).contains(&at)),
        "{accepted_at:?}"
    );
}
