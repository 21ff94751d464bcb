//! Bytes of no good will: nothing panics, nothing loops, time is linear.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use ohmqtt_codec::{
    Filters, Limits, MqttString, Packet, Publish, PublishProperties, SubscriptionOptions,
    TopicFilter, TopicName, decode,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::generate::any_packet;
use crate::wire::{decode_one, encode, packet, prefixed, varint, with_properties};

/// Decodes all there is, looks at all of each packet, and finds that it encodes to what decodes to it again.
fn drain(bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut buf = BytesMut::from(bytes);
    loop {
        let before = buf.len();
        let Ok(Some(packet)) = decode(&mut buf, &Limits::default()) else {
            return Ok(());
        };
        prop_assert!(buf.len() < before);
        let _ = format!("{packet:?}");
        let encoded = encode(&packet);
        prop_assert_eq!(packet.encoded_len(), encoded.len());
        prop_assert!(encoded.len() <= before - buf.len());
        prop_assert_eq!(decode_one(&encoded).unwrap(), packet);
    }
}

#[derive(Debug, Clone)]
enum Edit {
    Put(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Put(at, byte)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        any::<Index>().prop_map(Edit::Remove),
        any::<Index>().prop_map(Edit::Cut),
    ]
}

fn edited(mut bytes: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        if bytes.is_empty() {
            break;
        }
        let len = bytes.len();
        match edit {
            Edit::Put(at, byte) => bytes[at.index(len)] = *byte,
            Edit::Insert(at, byte) => bytes.insert(at.index(len), *byte),
            Edit::Remove(at) => drop(bytes.remove(at.index(len))),
            Edit::Cut(at) => bytes.truncate(at.index(len)),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        drain(&bytes)?;
    }

    #[test]
    fn an_arbitrary_body_after_a_whole_header_never_panics(
        first in any::<u8>(),
        body in vec(prop_oneof![any::<u8>(), 0..4u8], 0..60),
    ) {
        drain(&packet(first, &body))?;
    }

    #[test]
    fn edited_packets_never_panic(packet in any_packet(), edits in vec(edit(), 1..4)) {
        drain(&edited(encode(&packet), &edits))?;
    }

    #[test]
    fn edited_bodies_in_a_header_that_fits_never_panic(packet in any_packet(), edits in vec(edit(), 1..4)) {
        let bytes = encode(&packet);
        let header = 1 + bytes[1..].iter().take_while(|byte| **byte >= 0x80).count() + 1;
        let body = edited(bytes[header..].to_vec(), &edits);
        drain(&crate::wire::packet(bytes[0], &body))?;
    }
}

/// Far more than linear time takes, far less than quadratic time would.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn many_user_properties_take_linear_time() {
    let start = Instant::now();
    let block: Vec<u8> = [0x26, 0, 1, b'n', 0, 0].repeat(1 << 18);
    let Packet::Publish(publish) = decode_one(&with_properties("PUBLISH", &block)).unwrap() else {
        panic!("no PUBLISH")
    };
    assert_eq!(publish.properties.user_properties().count(), 1 << 18);
    assert_eq!(publish.properties.content_type(), None);

    let (name, value) = (MqttString::try_from("n").unwrap(), MqttString::default());
    let mut properties = PublishProperties::default();
    for _ in 0..1 << 18 {
        properties.add_user_property(&name, &value);
    }
    assert_eq!(properties, publish.properties);
    assert!(properties.remove_user_properties());
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
}

#[test]
fn many_filters_take_linear_time() {
    let start = Instant::now();
    let filter = TopicFilter::new("a/+").unwrap();
    let mut filters = Filters::new(&filter, SubscriptionOptions::default()).unwrap();
    for _ in 1..1 << 18 {
        filters
            .push(&filter, SubscriptionOptions::default())
            .unwrap();
    }
    let entries = [prefixed(b"a/+"), vec![0]].concat().repeat(1 << 18);
    let Packet::Subscribe(subscribe) =
        decode_one(&packet(0x82, &[vec![0, 1, 0], entries].concat())).unwrap()
    else {
        panic!("no SUBSCRIBE")
    };
    assert_eq!(subscribe.filters, filters);
    assert_eq!(filters.iter().count(), filters.len());
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
}

/// [MQTT-1.5.5-1]
#[test]
fn malformed_is_not_taken_for_incomplete() {
    for bytes in [
        &[0x00][..],
        &[0x36],
        &[0x38],
        &[0x41],
        &[0x30, 0x80, 0x80, 0x80, 0x80],
        &[0x30, 0x80, 0x00],
        &[0xC0, 1],
    ] {
        let mut buf = BytesMut::from(bytes);
        assert!(
            decode(&mut buf, &Limits::default()).is_err(),
            "{bytes:02X?}"
        );
    }
    // A length inside the packet that points beyond its end is no reason to wait.
    let mut buf = BytesMut::from(&[0x30, 0x03, 0x00, 0x05, b'a'][..]);
    assert!(decode(&mut buf, &Limits::default()).is_err());
    assert_eq!(varint(128), [0x80, 0x01]);
}

#[test]
fn a_packet_too_large_for_the_format_is_not_encoded() {
    let topic = TopicName::new("a").unwrap();
    // All zeros of one allocation, which no page of is touched.
    let publish = Publish::new(topic.clone(), vec![0; 268_435_455 - 3]);
    let size = publish.payload.len() + 4;
    let mut out = ohmqtt_codec::EncodeBuf::new();
    Packet::PingReq.encode(&mut out).unwrap();
    let error = Packet::Publish(publish.clone())
        .encode(&mut out)
        .unwrap_err();
    assert_eq!(error.size, size);
    assert_eq!(out.len(), 2);
    let largest = Publish::new(topic, publish.payload.slice(1..));
    Packet::Publish(largest.clone()).encode(&mut out).unwrap();
    assert_eq!(out.len(), 2 + 268_435_460);
    assert_eq!(largest.encoded_len(), 268_435_460);
}
