//! Integration tests: the contract that every store keeps, records as bytes, and the writer.

#[cfg(any(feature = "sqlite", feature = "redb"))]
mod child;
mod contract;
#[cfg(any(feature = "sqlite", feature = "redb"))]
mod files;
#[cfg(all(unix, any(feature = "sqlite", feature = "redb")))]
mod full;
mod gated;
#[cfg(feature = "sqlite")]
mod legacy;
mod memory;
mod records;
#[cfg(feature = "redb")]
mod redb;
#[cfg(all(unix, any(feature = "sqlite", feature = "redb")))]
mod rights;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(all(unix, feature = "sqlite"))]
mod sqlite_power;
#[cfg(all(unix, feature = "sqlite"))]
mod sqlite_room;
mod writer;
mod writer_bodies;
mod writer_faults;
mod writer_parts;
