//! What survives a crash: ordered keys and bytes, written in groups.
//!
//! A [`Store`] keeps bytes under ordered keys and knows nothing of MQTT. A [`Writer`] owns one store on a thread of its own,
//! takes the operations of one session or of a thousand, and writes all that has gathered in one atomic commit. Between the two
//! stand the records: [`Encoder`] and [`decode_record`] say how a [`Record`](ohmqtt_session::Record) of a session looks as bytes,
//! and [`Prefix`] where in the store a session has its place.
//!
//! What an operation means, when it is asked for and what waits for it is the business of `ohmqtt-session`.
//!
//! # Which store
//!
//! | store | feature | what it is | with [`Durability::Fast`] may be lost |
//! |---|---|---|---|
//! | [`MemoryStore`] | | a sorted map; for tests, and for bounds without a disk | everything, with the process |
//! | `SqliteStore` | `sqlite` | a file and its log; C is compiled; any SQLite tool reads it; opens at once after a crash | the last 50 ms, by a power cut |
//! | `RedbStore` | `redb` | a file; Rust alone, the smaller build; reads the whole file once after a crash | the last 50 ms, by a power cut or a crash |
//!
//! With [`Durability::Safe`], the default, neither of the two on disk loses anything that was answered with success. Each is for one
//! process at a time; each refuses a file that is in use, foreign, newer or damaged, and leaves it as it was. They take the same
//! records and nothing moves them from one to the other. Another is a type with the two methods of [`Store`].
//! `SqliteStore::open_or_import` takes over what the Python package ohmqtt 1.x has left in a file of its own.
//!
//! # Example
//!
//! ```
//! use std::sync::mpsc;
//!
//! use ohmqtt_codec::{MqttString, PacketId};
//! use ohmqtt_session::{Key, Load, Record, StoreOp};
//! use ohmqtt_store::{Durability, MemoryStore, Prefix, Writer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryStore::default();
//! let prefix = Prefix::session(&MqttString::try_from("sensor-7")?);
//! let record = Record::Received { packet_id: PacketId::new(10).ok_or("0 is no identifier")? };
//!
//! let writer = Writer::spawn(store.clone(), Durability::Safe)?;
//! writer.submit(&prefix, vec![StoreOp::Put(record.clone())], |stored| assert!(stored.is_ok()));
//! drop(writer); // everything submitted is written first
//!
//! // The next process finds it again.
//! let writer = Writer::spawn(store, Durability::Safe)?;
//! let (send, loaded) = mpsc::channel();
//! let all = Load { from: Key::Outgoing(0), to: None, max: 100, bytes: 1_000_000 };
//! writer.load(&prefix, all, move |result| {
//!     let _ = send.send(result);
//! });
//! assert_eq!(loaded.recv()??.records, [record]);
//! # Ok(())
//! # }
//! ```

mod batch;
mod error;
#[cfg(any(feature = "sqlite", feature = "redb"))]
mod file;
mod key;
mod memory;
mod record;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
mod writer;

pub use batch::{Batch, Op};
pub use error::StoreError;
pub use key::Prefix;
pub use memory::MemoryStore;
pub use record::{Encoder, decode_record};
#[cfg(feature = "redb")]
pub use redb::RedbStore;
#[cfg(feature = "sqlite")]
pub use sqlite::{Imported, SqliteStore};
pub use store::{Durability, Store, Visit};
pub use writer::Writer;
