//! What a database of ohmqtt 1.x looks like. Versions 1.0 to 1.2 made the same one.

use std::path::Path;

use rusqlite::Connection;

use crate::sqlite::store_error;
use crate::{StoreError, file};

/// What 1.x has as `user_version`.
const VERSION: i32 = 0;

/// Its tables, all `STRICT`: names and types of their columns.
const TABLES: [(&str, &[(&str, &str)]); 3] = [
    (
        "messages",
        &[
            ("id", "INTEGER"),
            ("topic", "TEXT"),
            ("payload", "BLOB"),
            ("qos", "INTEGER"),
            ("retain", "INTEGER"),
            ("properties", "BLOB"),
            ("alias_policy", "INTEGER"),
            ("dup", "INTEGER"),
            ("received", "INTEGER"),
            ("packet_id", "INTEGER"),
            ("inflight", "INTEGER"),
        ],
    ),
    ("received", &[("packet_id", "INTEGER")]),
    ("client_id", &[("id", "INTEGER"), ("client_id", "TEXT")]),
];

/// It is an error when this is not, in all and nothing else, what 1.x makes.
pub(in crate::sqlite) fn check(
    connection: &Connection,
    path: &Path,
    version: i32,
) -> Result<(), StoreError> {
    if version != VERSION {
        let what = format!(
            "its user_version is {version}, and that of a database of ohmqtt 1.x is {VERSION}"
        );
        return Err(file::not_a_store(path, what));
    }
    match difference(connection).map_err(|error| store_error(path, &error))? {
        Some(what) => Err(file::not_a_store(path, what)),
        None => Ok(()),
    }
}

/// What is not as 1.x makes it.
fn difference(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let is_strict = "SELECT count(*) FROM pragma_table_list
        WHERE schema = 'main' AND type = 'table' AND name = ?1 AND strict";
    let columns = "SELECT name, type FROM pragma_table_info(?1) ORDER BY cid";
    for (table, want) in TABLES {
        let is_strict: bool = connection.query_row(is_strict, [table], |row| row.get(0))?;
        if !is_strict {
            let what = format!("it has no STRICT table {table:?}, as one of ohmqtt 1.x has");
            return Ok(Some(what));
        }
        let mut columns = connection.prepare(columns)?;
        let columns = columns.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let columns: Vec<(String, String)> = columns.collect::<Result<_, _>>()?;
        let is_same = columns.iter().map(|(name, kind)| (&name[..], &kind[..]));
        if !is_same.eq(want.iter().copied()) {
            let what = format!("the columns of its table {table:?} are not those of ohmqtt 1.x");
            return Ok(Some(what));
        }
    }
    // An index changes nothing of what is in it. Who has more in it than that would be locked out of it.
    let others = "SELECT type, name FROM sqlite_schema
        WHERE type <> 'index' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let mut others = connection.prepare(others)?;
    let mut others = others.query(())?;
    while let Some(row) = others.next()? {
        let (kind, name): (String, String) = (row.get(0)?, row.get(1)?);
        if !TABLES.iter().any(|(table, _)| *table == name) {
            let what =
                format!("it also has the {kind} {name:?}, which a database of ohmqtt 1.x has not");
            return Ok(Some(what));
        }
    }
    Ok(None)
}
