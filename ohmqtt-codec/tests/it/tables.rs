//! The tables of the specification in `spec/`, as rows by column.

use std::collections::BTreeMap;

pub(crate) type Row = BTreeMap<String, String>;

pub(crate) fn properties() -> Vec<Row> {
    rows("properties.tsv")
}

pub(crate) fn reason_codes() -> Vec<Row> {
    rows("reason-codes.tsv")
}

fn rows(name: &str) -> Vec<Row> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/").to_owned() + name;
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut lines = text.lines().map(|line| line.split('\t').map(str::to_owned));
    let columns: Vec<String> = lines.next().unwrap().collect();
    lines
        .map(|cells| columns.iter().cloned().zip(cells).collect())
        .collect()
}

/// The packets of a row, in the words of the specification.
pub(crate) fn packets(row: &Row) -> Vec<&str> {
    row["packets"].split(',').collect()
}
