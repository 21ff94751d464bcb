//! The tables of the specification as this suite reads them: statements, properties, reason codes.

use std::sync::LazyLock;

const STATEMENTS: &str = include_str!("../../spec/normative-statements.tsv");
const PROPERTIES: &str = include_str!("../../spec/properties.tsv");
const REASONS: &str = include_str!("../../spec/reason-codes.tsv");

/// The type of a property's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Byte,
    Two,
    Four,
    Variable,
    Text,
    Binary,
    Pair,
}

/// A row of table 2-4.
#[derive(Debug)]
pub(crate) struct Property {
    pub(crate) id: u8,
    pub(crate) name: &'static str,
    pub(crate) kind: Type,
    packets: Vec<&'static str>,
    /// In a PUBLISH a server may repeat the Subscription Identifier too.
    pub(crate) may_repeat: bool,
}

impl Property {
    pub(crate) fn may_stand_in(&self, packet: &str) -> bool {
        self.packets.contains(&packet)
    }
}

/// The 27 properties.
pub(crate) static PROPERTY: LazyLock<Vec<Property>> = LazyLock::new(|| {
    rows(PROPERTIES)
        .filter_map(|row| {
            let kind = match row[3] {
                "Byte" => Type::Byte,
                "Two Byte Integer" => Type::Two,
                "Four Byte Integer" => Type::Four,
                "Variable Byte Integer" => Type::Variable,
                "UTF-8 String" => Type::Text,
                "Binary Data" => Type::Binary,
                "UTF-8 String Pair" => Type::Pair,
                _ => return None,
            };
            Some(Property {
                id: row[0].parse().ok()?,
                name: row[2],
                kind,
                packets: row[4].split(',').collect(),
                may_repeat: row[6] == "yes",
            })
        })
        .collect()
});

/// The names of the packet types, by their number.
pub(crate) const NAMES: [&str; 16] = [
    "a reserved packet",
    "CONNECT",
    "CONNACK",
    "PUBLISH",
    "PUBACK",
    "PUBREC",
    "PUBREL",
    "PUBCOMP",
    "SUBSCRIBE",
    "SUBACK",
    "UNSUBSCRIBE",
    "UNSUBACK",
    "PINGREQ",
    "PINGRESP",
    "DISCONNECT",
    "AUTH",
];

/// Whether a packet may say this.
pub(crate) fn is_reason(packet: &str, code: u8) -> bool {
    let mut codes = rows(REASONS);
    codes.any(|row| row[1].parse() == Ok(code) && row[3].split(',').any(|name| name == packet))
}

/// The statements that a server can uphold or break, without `MQTT-`: all but those of clients.
pub(crate) fn statements() -> Vec<&'static str> {
    rows(STATEMENTS)
        .filter(|row| row[1] != "client")
        .filter_map(|row| row[0].strip_prefix("MQTT-"))
        .collect()
}

fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    let lines = table.lines().skip(1).filter(|line| !line.is_empty());
    lines.map(|line| line.split('\t').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_read_whole() {
        assert_eq!(PROPERTY.len(), 27);
        assert_eq!(statements().len(), 224);
        assert!(is_reason("SUBACK", 2) && !is_reason("UNSUBACK", 2));
    }
}
