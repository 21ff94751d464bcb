//! Records as bytes: the bytes themselves, the way there and back, and what is no record.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use ohmqtt_codec::{MqttString, PacketId, PublishProperties, Qos, TopicFilter, TopicName};
use ohmqtt_session::{Instant, Key, Message, Record, StoreOp};
use ohmqtt_store::{Batch, Encoder, Op, Prefix, StoreError, decode_record};
use proptest::prelude::*;

/// What version 0.1 wrote, and every later version reads: key, value, record.
fn golden() -> Vec<(&'static str, &'static str, Record)> {
    let mut message = Message::new(TopicName::new("a/b").unwrap(), "hello");
    let plain = Record::Message {
        seq: 1,
        packet_id: None,
        accepted: Instant::from_unix_micros(1),
        deadline: None,
        via: None,
        message: message.clone(),
    };
    message.qos = Qos::ExactlyOnce;
    message.retain = true;
    message.properties.set_message_expiry_interval(60);
    message
        .properties
        .add_user_property(&string("k"), &string("v"));
    let full = Record::Message {
        seq: 0x0102_0304_0506_0708,
        packet_id: Some(id(300)),
        accepted: Instant::from_unix_micros(1_700_000_000_000_000),
        deadline: Some(Instant::from_unix_micros(1_700_000_060_000_000)),
        via: None,
        message,
    };
    let shared = Record::Message {
        seq: 3,
        packet_id: None,
        accepted: Instant::from_unix_micros(1),
        deadline: None,
        via: Some(Arc::new(TopicFilter::new("$share/g/a/+").unwrap())),
        message: Message::new(TopicName::new("a/b").unwrap(), "hello"),
    };
    vec![
        (
            "73 0003 616263 10 0000000000000003",
            "02 00 00 00 01 00 000c 2473686172652f672f612f2b 300b 0003612f62 00 68656c6c6f",
            shared,
        ),
        (
            "73 0003 616263 10 0000000000000001",
            "01 00 00 00 01 00 300b 0003612f62 00 68656c6c6f",
            plain,
        ),
        (
            "73 0003 616263 10 0102030405060708",
            "01 00 02 01ac02 8080f9c0c1c48203 01808ec7ddc1c48203
             3117 0003612f62 0c 020000003c 2600016b000176 68656c6c6f",
            full,
        ),
        (
            "73 0003 616263 10 0000000000000002",
            "01 01 ffff03",
            Record::Released {
                seq: 2,
                packet_id: id(65_535),
            },
        ),
        (
            "73 0003 616263 20 000000000000000a",
            "01 02",
            Record::Received { packet_id: id(10) },
        ),
    ]
}

#[test]
fn records_are_written_as_version_0_1_writes_them() {
    for (key, value, record) in golden() {
        let (written_key, written_value) = written(&prefix("abc"), &record);
        assert_eq!(
            hex(&written_key),
            key.replace(char::is_whitespace, ""),
            "{record:?}"
        );
        assert_eq!(
            hex(&written_value),
            value.replace(char::is_whitespace, ""),
            "{record:?}"
        );
    }
}

#[test]
fn what_version_0_1_wrote_is_read() {
    for (key, value, record) in golden() {
        assert_eq!(decode_record(&unhex(key), &unhex(value)).unwrap(), record);
    }
}

#[test]
fn a_delete_names_the_key_of_its_record() {
    let mut batch = Batch::new();
    let prefix = prefix("abc");
    for (_, _, record) in golden() {
        Encoder::new()
            .encode(&prefix, &StoreOp::Delete(record.key()), &mut batch)
            .unwrap();
    }
    let keys: Vec<_> = golden().into_iter().map(|(key, _, _)| unhex(key)).collect();
    assert_eq!(
        batch.iter().collect::<Vec<_>>(),
        keys.iter()
            .map(|key| Op::Delete { key })
            .collect::<Vec<_>>()
    );
}

#[test]
fn every_shortened_record_is_damaged() {
    for (key, value, _) in golden() {
        let (key, value) = (unhex(key), unhex(value));
        for len in 0..value.len() {
            let result = decode_record(&key, &value[..len]);
            assert!(
                matches!(result, Err(StoreError::Damaged { .. })),
                "{len}: {result:?}"
            );
        }
        for len in 0..key.len() {
            let result = decode_record(&key[..len], &value);
            assert!(
                matches!(result, Err(StoreError::Damaged { .. })),
                "{len}: {result:?}"
            );
        }
    }
}

#[test]
fn a_newer_format_is_told_from_damage() {
    let (key, value, _) = golden().remove(1);
    let mut value = unhex(value);
    value[0] = 3;
    let error = decode_record(&unhex(key), &value).unwrap_err();
    assert_eq!(
        error.to_string(),
        "outgoing message 1 of session \"abc\" is in format 3 and this version reads formats up to 2: \
         use the version that wrote it, or a newer one"
    );
}

#[test]
fn damage_is_told_with_the_record_and_the_fault() {
    const MESSAGE: &str = "73 0003 616263 10 0000000000000001";
    const RECEIVED: &str = "73 0003 616263 20 0000000000000001";
    check(
        MESSAGE,
        "",
        "outgoing message 1 of session \"abc\": the value is empty",
    );
    check(
        MESSAGE,
        "01 07",
        "outgoing message 1 of session \"abc\": envelope: ",
    );
    check(
        MESSAGE,
        "01 00 03 00 01 00 3003 0001 61",
        "the QoS is above 2",
    );
    check(
        MESSAGE,
        "01 00 01 0100 01 00 3003 0001 61",
        "the Packet Identifier is 0",
    );
    check(MESSAGE, "01 00 00 00 01 00 3005 0003612f62", "PUBLISH: ");
    check(
        MESSAGE,
        "01 00 00 00 01 00 3004 0001 61 00 ff",
        "bytes follow the packet",
    );
    check(
        MESSAGE,
        "01 00 00 00 01 00 3006 0001",
        "the packet is cut short",
    );
    check(
        MESSAGE,
        "01 00 00 00 01 00 c000",
        "PINGREQ in place of PUBLISH",
    );
    check(
        MESSAGE,
        "01 00 00 00 01 00 3206 0001 61 0001 00",
        "the packet is not at QoS 0",
    );
    check(
        MESSAGE,
        "01 00 00 00 01 00 3006 0000 03 230001",
        "the packet has no topic",
    );
    check(MESSAGE, "01 01 01 00", "bytes follow the record");
    check(
        MESSAGE,
        "01 02",
        "the record belongs under another kind of key",
    );
    check(
        RECEIVED,
        "01 01 01",
        "received identifier 1 of session \"abc\": the record belongs under another",
    );
    check(
        "73 0000 10 0000000000000001 00",
        "01 02",
        "the record under the key \"s\\x00\\x00\\x10\\x00",
    );
    check(
        "73 0000 20 0000000000010000",
        "01 02",
        "no record stands under such a key",
    );
    check(
        "73 0000 30 0000000000000001",
        "01 02",
        "no record stands under such a key",
    );
    check(
        "74 0000 20 0000000000000001",
        "01 02",
        "no record stands under such a key",
    );
}

fn check(key: &str, value: &str, want: &str) {
    let error = decode_record(&unhex(key), &unhex(value)).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains(want), "{error}");
}

#[test]
fn a_message_too_large_for_a_packet_leaves_the_batch_as_it_was() {
    let mut batch = Batch::new();
    batch.put(b"a", b"1");
    let mut message = Message::new(
        TopicName::new("t").unwrap(),
        Bytes::from(vec![0; 268_435_455]),
    );
    let mut encoder = Encoder::new();
    let result = encoder.encode(
        &prefix("c"),
        &StoreOp::Put(outgoing(1, message.clone())),
        &mut batch,
    );
    assert!(
        matches!(result, Err(StoreError::TooLarge { size }) if size > 268_435_455),
        "{result:?}"
    );
    assert_eq!((batch.len(), batch.bytes()), (1, 2));

    message.payload.clear();
    let record = outgoing(2, message);
    encoder
        .encode(&prefix("c"), &StoreOp::Put(record.clone()), &mut batch)
        .unwrap();
    let Some(Op::Put { key, value }) = batch.iter().last() else {
        panic!("no put")
    };
    assert_eq!(decode_record(key, value).unwrap(), record);
}

#[test]
fn a_record_read_keeps_nothing_of_the_buffer_it_was_read_from() {
    let (key, value) = written(
        &prefix("c"),
        &outgoing(1, Message::new(TopicName::new("t").unwrap(), vec![7; 9000])),
    );
    let Record::Message { message, .. } = decode_record(&key, &value).unwrap() else {
        panic!("another record")
    };
    drop(value);
    assert_eq!(message.payload, vec![7; 9000]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_record_comes_back_as_it_was(client_id in any_string(), record in any_record()) {
        let (key, value) = written(&Prefix::session(&client_id), &record);
        prop_assert_eq!(decode_record(&key, &value).unwrap(), record);
    }

    #[test]
    fn keys_of_a_session_are_ordered_as_its_records(a in any_key(), b in any_key(), client_id in any_string()) {
        let prefix = Prefix::session(&client_id);
        prop_assert_eq!(prefix.key(a).cmp(&prefix.key(b)), a.cmp(&b));
        prop_assert!(prefix.key(a).starts_with(prefix.as_bytes()));
    }

    #[test]
    fn no_session_has_its_place_within_another(a in any_string(), b in any_string(), key in any_key()) {
        prop_assume!(a != b);
        let (a, b) = (Prefix::session(&a), Prefix::session(&b));
        prop_assert!(!a.key(key).starts_with(b.as_bytes()));
    }

    #[test]
    fn changed_bytes_never_panic(
        record in any_record(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (mut key, mut value) = written(&prefix("abc"), &record);
        for (at, byte) in changes {
            let at = at.index(key.len() + value.len());
            match at.checked_sub(key.len()) {
                Some(at) => value[at] = byte,
                None => key[at] = byte,
            }
        }
        // It may be another record now; what it is not is a panic, or an error that cannot be shown.
        if let Err(error) = decode_record(&key, &value) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(key in any::<Vec<u8>>(), mut value in any::<Vec<u8>>()) {
        let _ = decode_record(&key, &value);
        value.insert(0, 1);
        let _ = decode_record(&prefix("abc").key(Key::Outgoing(1)), &value);
    }
}

fn any_string() -> impl Strategy<Value = MqttString> {
    "[a-c\u{e9}\u{20ac}]{0,8}".prop_map(|text| string(&text))
}

fn any_id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(id)
}

fn any_key() -> impl Strategy<Value = Key> {
    prop_oneof![
        any::<u64>().prop_map(Key::Outgoing),
        (0..5_u64).prop_map(Key::Outgoing),
        any_id().prop_map(Key::Received)
    ]
}

fn any_instant() -> impl Strategy<Value = Instant> {
    any::<u64>().prop_map(Instant::from_unix_micros)
}

prop_compose! {
    fn any_properties()(
        expiry in any::<Option<u32>>(),
        utf8 in any::<Option<bool>>(),
        content_type in prop::option::of(any_string()),
        user in prop::collection::vec((any_string(), any_string()), 0..4),
    ) -> PublishProperties {
        let mut properties = PublishProperties::default();
        if let Some(expiry) = expiry {
            properties.set_message_expiry_interval(expiry);
        }
        if let Some(utf8) = utf8 {
            properties.set_payload_format_indicator(utf8);
        }
        if let Some(content_type) = &content_type {
            properties.set_content_type(content_type);
        }
        for (name, value) in &user {
            properties.add_user_property(name, value);
        }
        properties
    }
}

prop_compose! {
    fn any_message()(
        topic in "[a-z/]{1,20}",
        qos in prop::sample::select(vec![Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce]),
        retain in any::<bool>(),
        properties in any_properties(),
        payload in prop_oneof![9 => prop::collection::vec(any::<u8>(), 0..200), 1 => Just(vec![7; 5000])],
    ) -> Message {
        Message { topic: TopicName::new(topic).unwrap(), qos, retain, properties, payload: payload.into() }
    }
}

fn any_record() -> impl Strategy<Value = Record> {
    let message = (
        any::<u64>(),
        prop::option::of(any_id()),
        any_instant(),
        prop::option::of(any_instant()),
        prop::option::of(any_shared()),
        any_message(),
    );
    prop_oneof![
        4 => message.prop_map(|(seq, packet_id, accepted, deadline, via, message)| {
            Record::Message { seq, packet_id, accepted, deadline, via, message }
        }),
        1 => (any::<u64>(), any_id()).prop_map(|(seq, packet_id)| Record::Released { seq, packet_id }),
        1 => any_id().prop_map(|packet_id| Record::Received { packet_id }),
    ]
}

fn any_shared() -> impl Strategy<Value = Arc<TopicFilter>> {
    "\\$share/[a-z]{1,9}/[a-z/]{1,9}".prop_map(|text| Arc::new(TopicFilter::new(text).unwrap()))
}

fn outgoing(seq: u64, message: Message) -> Record {
    Record::Message {
        seq,
        packet_id: None,
        accepted: Instant::from_unix_micros(1),
        deadline: None,
        via: None,
        message,
    }
}

fn written(prefix: &Prefix, record: &Record) -> (Vec<u8>, Vec<u8>) {
    let mut batch = Batch::new();
    Encoder::new()
        .encode(prefix, &StoreOp::Put(record.clone()), &mut batch)
        .unwrap();
    match batch.iter().collect::<Vec<_>>()[..] {
        [Op::Put { key, value }] => (key.to_vec(), value.to_vec()),
        ref ops => panic!("one put expected, not {ops:?}"),
    }
}

fn prefix(client_id: &str) -> Prefix {
    Prefix::session(&string(client_id))
}

fn string(text: &str) -> MqttString {
    MqttString::try_from(text).unwrap()
}

fn id(n: u16) -> PacketId {
    PacketId::new(n).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let text = text.replace(char::is_whitespace, "");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}
