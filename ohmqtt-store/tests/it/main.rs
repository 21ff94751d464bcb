//! Integration tests: the contract that every store keeps, records as bytes, and the writer.

mod contract;
mod gated;
mod memory;
mod records;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "sqlite")]
mod sqlite;
mod writer;
mod writer_faults;
