//! The database of ohmqtt 1.x, the Python package before this one: what it holds becomes records of ours, beside its tables.
//!
//! One transaction makes the file ours, numbers in its header included. As these are the sign that there is nothing to be taken over
//! any more, a crash leaves all of it or nothing, and it never happens twice.

mod rows;
mod schema;

use std::path::Path;
use std::time::SystemTime;

use ohmqtt_codec::MqttString;
use ohmqtt_session::{Backlog, Instant, Record};
use rusqlite::{Connection, Statement, Transaction, TransactionBehavior};

use super::{identity, store_error};
use crate::{Batch, Encoder, Op, Prefix, StoreError};

pub(super) use self::schema::check as check_schema;

/// The attachment that holds the client identifier.
const CLIENT_ID: u8 = 0;

/// How many rows are named that were left.
const NAMED: usize = 16;

/// What [`SqliteStore::open_or_import`](super::SqliteStore::open_or_import) took over from ohmqtt 1.x.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// Whose session it was, on the server too. `None`: it never was connected.
    pub client_id: Option<MqttString>,
    /// Messages that are to be sent, or sent again.
    pub messages: u64,
    /// Messages of QoS 2 that the server has received, and whose identifiers are to be released.
    pub released: u64,
    /// Identifiers of incoming messages of QoS 2 that the server has not released.
    pub received: u64,
    /// Rows that were not taken over, because no packet can be made of them. They stay in their tables.
    pub left: u64,
    /// The first few of these, and why: one line each, without topics and payloads.
    pub reasons: Vec<String>,
}

/// Takes over all there is. On an error there is nothing of it.
pub(super) fn import(connection: &mut Connection, path: &Path) -> Result<Imported, StoreError> {
    let imported = try_import(connection).map_err(|error| store_error(path, &error));
    if imported.is_err() {
        // What could not be written may stand in the database in part, and the journal has to be played back, as by the next to open
        // it. It goes then: there was none, or one that was done with. A database with a log has all that behind the log's end.
        let _ = connection.execute_batch(
            "PRAGMA locking_mode = NORMAL; SELECT 1 FROM sqlite_schema; BEGIN IMMEDIATE; ROLLBACK;",
        );
    }
    imported
}

fn try_import(connection: &mut Connection) -> rusqlite::Result<Imported> {
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF;",
    )?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    let imported = Import::run(&transaction)?;
    transaction.commit()?;
    Ok(imported)
}

/// One import.
struct Import<'a> {
    put: Statement<'a>,
    encoder: Encoder,
    /// One record at a time.
    batch: Batch,
    prefix: Prefix,
    backlog: Backlog,
    imported: Imported,
}

impl<'a> Import<'a> {
    fn run(transaction: &'a Transaction<'_>) -> rusqlite::Result<Imported> {
        identity::claim(transaction)?;
        let mut import = Self {
            put: transaction.prepare("INSERT INTO records (key, value) VALUES (?1, ?2)")?,
            encoder: Encoder::new(),
            batch: Batch::new(),
            // A program gives its client identifier when it connects, which is after the file is opened.
            prefix: Prefix::session(&MqttString::default()),
            backlog: Backlog::default(),
            imported: Imported::default(),
        };
        import.messages(transaction)?;
        import.received(transaction)?;
        import.client_id(transaction)?;
        Ok(import.imported)
    }

    fn messages(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        // When they were accepted, 1.x did not keep; nor did it let them expire.
        let now = now();
        let mut seq = 0;
        let mut rows = transaction.prepare(rows::MESSAGES)?;
        let mut rows = rows.query(())?;
        while let Some(row) = rows.next()? {
            let (id, record) = (row.get(0)?, rows::outgoing(row, seq, now));
            if let Some(record) = self.take("messages", Some(id), record)? {
                self.count(seq, &record);
                seq += 1;
            }
        }
        if self.backlog.messages > 0 {
            let backlog = Record::Backlog(self.backlog);
            self.take("messages", None, Ok(backlog))?;
        }
        Ok(())
    }

    /// Counts an outgoing message that was taken over.
    ///
    /// What was not sent is told in numbers, and read in its turn: there may be more of it than fits in memory. 1.x sent in order, so it
    /// is all behind what was sent.
    fn count(&mut self, seq: u64, record: &Record) {
        match record {
            Record::Message {
                packet_id: None,
                message,
                ..
            } => {
                self.backlog.next = seq + 1;
                self.backlog.messages += 1;
                self.backlog.bytes += message.size() as u64;
            }
            _ => {
                self.backlog = Backlog {
                    first: seq + 1,
                    next: seq + 1,
                    ..Backlog::default()
                };
            }
        }
        match record {
            Record::Message { .. } => self.imported.messages += 1,
            _ => self.imported.released += 1,
        }
    }

    fn received(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut rows = transaction.prepare(rows::RECEIVED)?;
        let mut rows = rows.query(())?;
        while let Some(row) = rows.next()? {
            let (id, record) = (row.get(0)?, rows::received(row));
            let taken = self.take("received", Some(id), record)?;
            self.imported.received += u64::from(taken.is_some());
        }
        Ok(())
    }

    fn client_id(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut rows = transaction.prepare(rows::CLIENT_ID)?;
        let mut rows = rows.query(())?;
        let Some(row) = rows.next()? else {
            return Ok(());
        };
        match rows::client_id(row) {
            Ok(Some(client_id)) => {
                let key = self.prefix.attachment(CLIENT_ID, b"");
                self.put.execute((key, client_id.as_bytes()))?;
                self.imported.client_id = Some(client_id);
            }
            Ok(None) => (),
            Err(why) => self.leave("client_id", None, &why),
        }
        Ok(())
    }

    /// Writes the record of this row of a table. `None`: it was left.
    fn take(
        &mut self,
        table: &str,
        row: Option<i64>,
        record: Result<Record, String>,
    ) -> rusqlite::Result<Option<Record>> {
        self.batch.clear();
        let encoded = record.and_then(|record| {
            let encoded = self
                .encoder
                .put(&self.prefix, &record, None, &mut self.batch);
            encoded.map_err(|error| error.to_string())?;
            Ok(record)
        });
        match encoded {
            Ok(record) => {
                for op in self.batch.iter() {
                    if let Op::Put { key, value } = op {
                        self.put.execute((key, value))?;
                    }
                }
                Ok(Some(record))
            }
            Err(why) => {
                self.leave(table, row, &why);
                Ok(None)
            }
        }
    }

    fn leave(&mut self, table: &str, row: Option<i64>, why: &str) {
        self.imported.left += 1;
        if self.imported.reasons.len() < NAMED {
            let row = row.map_or(String::new(), |row| format!(", row {row}"));
            let reason = format!("table {table}{row}: {why}");
            self.imported.reasons.push(reason);
        }
    }
}

fn now() -> Instant {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let micros = now.unwrap_or_default().as_micros();
    Instant::from_unix_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}
