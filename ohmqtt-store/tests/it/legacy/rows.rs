//! Rows that 1.x does not write, or would fail to send.

use ohmqtt_codec::Qos;
use ohmqtt_session::{Backlog, Record};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::{option, sample};

use super::{Legacy, id, import, message, record, records, tables};

type AnyRow = (
    i64,
    String,
    Vec<u8>,
    i64,
    i64,
    Option<Vec<u8>>,
    Option<i64>,
    Option<i64>,
);

fn any_row() -> impl Strategy<Value = AnyRow> {
    let properties = prop_oneof![
        sample::select(vec![
            vec![0],
            vec![2, 1, 1],
            vec![3, 0x23, 0, 1],
            vec![2, 0x0b, 5]
        ]),
        vec(any::<u8>(), 0..8),
    ];
    (
        any::<i64>(),
        ".{0,6}",
        vec(any::<u8>(), 0..6),
        -1..4_i64,
        any::<i64>(),
        option::of(properties),
        option::of(0..3_i64),
        option::of(-1..70_000_i64),
    )
}

/// The others keep their order.
#[test]
fn a_row_that_cannot_be_sent_is_left_and_named() {
    let legacy = Legacy::new(false);
    let bad: [(&str, u8, Option<&[u8]>, &str); 11] = [
        ("a/#", 1, None, "'#'"),
        ("", 1, None, "topic name"),
        ("a\0b", 1, None, "U+0000"),
        ("a", 0, None, "QoS 0"),
        ("a", 3, None, "QoS 3"),
        ("a", 1, Some(b""), "packet"),
        ("a", 1, Some(&[5, 2, 0]), "propert"),
        ("a", 1, Some(&[0, 1]), "longer than they say"),
        ("a", 1, Some(&[2, 1, 9]), "Payload Format"),
        ("a", 1, Some(&[2, 0xff, 0]), "propert"),
        (
            "a",
            1,
            Some(&[6, 8, 0, 3, b'a', b'/', b'+']),
            "Response Topic",
        ),
    ];
    legacy.add("first", b"", 1, None);
    for (topic, qos, properties, _) in bad {
        legacy.add(topic, b"secret", qos, properties);
    }
    let long = "t".repeat(65_536);
    legacy.add(&long, b"", 1, None);
    legacy.run(
        "INSERT INTO messages (topic, payload, qos, retain, alias_policy, received) VALUES ('a', x'', 2, 0, 0, 1);
         INSERT INTO messages (topic, payload, qos, retain, alias_policy, received, packet_id) VALUES ('a', x'', 1, 0, 0, 1, 77);",
    );
    legacy.add("last", b"", 1, None);
    legacy.run(
        "INSERT INTO received VALUES (0), (1), (65536), (-1);
         UPDATE client_id SET client_id = 'a' || char(0) || 'b'",
    );
    let (_folder, path) = legacy.close();
    let before = tables(&path);
    let (store, imported) = import(&path);
    assert_eq!((imported.messages, imported.released), (2, 0));
    assert_eq!((imported.received, imported.client_id), (1, None));
    assert_eq!(imported.left, bad.len() as u64 + 3 + 3 + 1);
    let bad = (2..).zip(bad.map(|(.., why)| why));
    let more = [
        (13, "65536 bytes"),
        (14, "without a Packet Identifier"),
        (15, "at QoS 1"),
    ];
    for ((row, why), reason) in bad.chain(more).zip(&imported.reasons) {
        let named = format!("table messages, row {row}: ");
        assert!(
            reason.starts_with(&named) && reason.contains(why),
            "{why}: {reason}"
        );
    }
    // The others are in the count alone.
    assert_eq!(imported.reasons.len(), 16);
    assert!(imported.reasons[14].starts_with("table received, row -1: "));
    assert!(!format!("{:?}", imported.reasons).contains("secret"));

    let (client_id, records) = records(&store);
    assert_eq!(client_id, None);
    let want = [
        record(0, None, message("first", b"", Qos::AtLeastOnce)),
        record(1, None, message("last", b"", Qos::AtLeastOnce)),
        Record::Received { packet_id: id(1) },
    ];
    assert_eq!(records[1..], want);
    drop(store);
    assert_eq!(tables(&path), before);
}

/// One whose client identifier no packet can have is as one that was never connected.
#[test]
fn a_client_identifier_that_is_none_is_left_and_named() {
    let legacy = Legacy::new(false);
    legacy.run("UPDATE client_id SET client_id = 'a' || char(0) || 'b'");
    let (_folder, path) = legacy.close();
    let (store, imported) = import(&path);
    assert_eq!((imported.client_id, imported.left), (None, 1));
    let reason = &imported.reasons[0];
    assert!(reason.starts_with("table client_id: "), "{reason}");
    assert_eq!(records(&store), (None, Vec::new()));
}

/// 1.x sent in order. Had it not, what was sent is found all the same, and what is before it.
#[test]
fn what_was_sent_is_never_among_what_is_only_counted() {
    let legacy = Legacy::new(false);
    for n in 0..10_u8 {
        legacy.add("a", &[n], 1, None);
    }
    legacy.run("UPDATE messages SET packet_id = 700 WHERE id = 6");
    let (_folder, path) = legacy.close();
    let (store, _) = import(&path);
    let behind = Backlog {
        first: 6,
        next: 10,
        messages: 4,
        bytes: 4 * message("a", b"n", Qos::AtLeastOnce).size() as u64,
    };
    let (_, records) = records(&store);
    assert_eq!(records[0], Record::Backlog(behind));
    assert_eq!(
        records[6],
        record(5, Some(700), message("a", &[5], Qos::AtLeastOnce))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is in the tables: no panic, each row is taken over or left, and all that is taken over can be read.
    #[test]
    fn any_row_is_taken_over_or_left(
        rows in vec(any_row(), 0..10),
        received in vec(-1..70_000_i64, 0..4),
        client_id in option::of(".{0,5}"),
    ) {
        let legacy = Legacy::new(false);
        let mut all = 0;
        for (id, topic, payload, qos, retain, properties, flag, packet_id) in rows {
            let insert = "INSERT OR IGNORE INTO messages VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, NULL, ?7, ?8, 0)";
            let row = (id, topic, payload, qos, retain, properties, flag, packet_id);
            all += legacy.connection.execute(insert, row).unwrap();
        }
        for id in received {
            let insert = "INSERT OR IGNORE INTO received VALUES (?1)";
            all += legacy.connection.execute(insert, (id,)).unwrap();
        }
        legacy.connection.execute("UPDATE client_id SET client_id = ?1", (client_id,)).unwrap();
        let (_folder, path) = legacy.close();
        let before = tables(&path);
        let (store, imported) = import(&path);
        let (client_id, records) = records(&store);
        prop_assert_eq!(client_id, imported.client_id.map(|id| id.as_str().to_owned()));
        let is_backlog = |record: &&Record| matches!(record, Record::Backlog(_));
        let taken = imported.messages + imported.released + imported.received;
        prop_assert_eq!(records.iter().filter(|record| !is_backlog(record)).count() as u64, taken);
        let left = imported.left - u64::from(imported.reasons.iter().any(|why| why.starts_with("table client_id")));
        prop_assert_eq!(taken + left, all as u64);
        drop(store);
        prop_assert_eq!(tables(&path), before);
    }
}
