//! `--store FILE`: which store a file is, by its ending.

use std::path::Path;

use ohmqtt_broker::Builder;
use ohmqtt_client::{ClientBuilder, Durability, RedbStore, SqliteStore};

use crate::failure::Failure;

/// What a file's name says it is.
enum Kind {
    Redb,
    Sqlite,
}

fn kind(file: &Path) -> Result<Kind, Failure> {
    let ending = file.extension().unwrap_or_default();
    match ending.to_str() {
        Some("redb") => Ok(Kind::Redb),
        Some("sqlite" | "sqlite3" | "db") => Ok(Kind::Sqlite),
        _ => {
            let file = file.display();
            Err(Failure::usage(format!(
                "--store '{file}': a store is a file that ends in .redb or .sqlite; give it such a name"
            )))
        }
    }
}

/// Keeps a client's outbox in the file.
pub(crate) fn for_client(builder: ClientBuilder, file: &Path) -> Result<ClientBuilder, Failure> {
    let wrong = |error| Failure::new(1, format!("--store: {error}"));
    Ok(match kind(file)? {
        Kind::Redb => builder.store(RedbStore::open(file).map_err(wrong)?, Durability::Safe),
        Kind::Sqlite => builder.store(SqliteStore::open(file).map_err(wrong)?, Durability::Safe),
    })
}

/// Keeps what a broker is to keep in the file.
pub(crate) fn for_broker(builder: Builder, file: &Path, fast: bool) -> Result<Builder, Failure> {
    let wrong = |error| Failure::new(1, format!("--store: {error}"));
    let durability = if fast {
        Durability::Fast
    } else {
        Durability::Safe
    };
    Ok(match kind(file)? {
        Kind::Redb => builder.store(RedbStore::open(file).map_err(wrong)?, durability),
        Kind::Sqlite => builder.store(SqliteStore::open(file).map_err(wrong)?, durability),
    })
}
