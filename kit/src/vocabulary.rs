//! The words of a scenario: what a client may be told, sends and reports, with the fields of each. A `never` whose field is misspelt
//! would hold for every client, so a scenario with words that are none is refused.

use crate::table;
use crate::words::Words;

type Entry = (&'static str, &'static [&'static str]);

/// What an adapter takes.
pub(crate) const COMMANDS: &[Entry] = &[
    (
        "connect",
        &[
            "clean_start",
            "client_id",
            "connect_timeout",
            "keep_alive",
            "maximum_packet_size",
            "receive_maximum",
            "session_expiry",
            "topic_alias_maximum",
        ],
    ),
    ("publish", &["name", "payload", "qos", "retain", "topic"]),
    ("subscribe", &["filter", "name", "qos"]),
    ("close", &[]),
];

/// What an adapter tells.
pub(crate) const REPORTS: &[Entry] = &[
    ("acked", &["name", "reason"]),
    ("closed", &["why"]),
    ("connected", &["session"]),
    ("disconnected", &["why"]),
    ("failed", &["why"]),
    ("lost", &["name", "why"]),
    ("message", &["payload", "qos", "retain", "topic"]),
    ("refused", &["name", "why"]),
    ("subscribed", &["name", "reason"]),
    ("unsubscribed", &["name", "reason", "why"]),
];

/// What a client sends; properties are fields of all of them.
pub(crate) const PACKETS: &[Entry] = &[
    ("AUTH", &["reason"]),
    (
        "CONNECT",
        &["clean_start", "client_id", "keep_alive", "will"],
    ),
    ("DISCONNECT", &["reason"]),
    ("PINGREQ", &[]),
    ("PUBACK", &["id", "reason"]),
    ("PUBCOMP", &["id", "reason"]),
    (
        "PUBLISH",
        &["dup", "id", "payload", "qos", "retain", "topic"],
    ),
    ("PUBREC", &["id", "reason"]),
    ("PUBREL", &["id", "reason"]),
    ("SUBSCRIBE", &["codes", "filters", "id"]),
    ("UNSUBSCRIBE", &["codes", "filters", "id"]),
];

/// Gives the words if each head is in one of these tables, and each field is one of all its heads.
pub(crate) fn known(words: Words, tables: &[&[Entry]]) -> Result<Words, String> {
    for head in words.head.split('|') {
        let mut entries = tables.iter().copied().flatten();
        let entry = entries.find(|(name, _)| *name == head);
        let (_, fields) = entry.ok_or_else(|| format!("there is no {head} here"))?;
        let is_packet = PACKETS.iter().any(|(name, _)| *name == head);
        for (field, _) in &words.fields {
            let is_property = is_packet && table::named(field).is_some();
            if !is_property && !fields.contains(&&**field) {
                return Err(format!("{head} has no field {field}"));
            }
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, want: Result<(), &str>) {
        let got = known(Words::parse(line).unwrap(), &[PACKETS, REPORTS]);
        assert_eq!(got.map(drop), want.map_err(str::to_owned), "{line}");
    }

    #[test]
    fn what_no_client_says_is_refused() {
        check("PUBLISH topic=a topic_alias=1", Ok(()));
        check("failed|closed why=x", Ok(()));
        check("PUBLISH tpic=a", Err("PUBLISH has no field tpic"));
        check("acked|lost reason=0", Err("lost has no field reason"));
        check(
            "message topic_alias=1",
            Err("message has no field topic_alias"),
        );
        check("PUBLISHED", Err("there is no PUBLISHED here"));
        check("CONNACK", Err("there is no CONNACK here"));
    }
}
