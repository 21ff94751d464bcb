//! The stream: packets that come in pieces, and sizes over the limit.

use bytes::BytesMut;
use ohmqtt_codec::{Limits, Packet, Publish, TopicName, decode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::generate::any_packet;
use crate::wire::{encode, hex};

proptest! {
    #[test]
    fn each_prefix_of_a_packet_needs_more_and_changes_nothing(packet in any_packet()) {
        let bytes = encode(&packet);
        for end in 0..bytes.len() {
            let mut buf = BytesMut::from(&bytes[..end]);
            prop_assert_eq!(decode(&mut buf, &Limits::default()), Ok(None));
            prop_assert_eq!(&buf[..], &bytes[..end]);
        }
    }

    #[test]
    fn any_split_of_a_stream_gives_the_same_packets(
        packets in vec(any_packet(), 1..8),
        splits in vec(any::<Index>(), 0..20),
    ) {
        let stream: Vec<u8> = packets.iter().flat_map(encode).collect();
        let mut ends: Vec<usize> = splits.iter().map(|split| split.index(stream.len())).collect();
        ends.push(stream.len());
        ends.sort_unstable();
        let mut buf = BytesMut::new();
        let mut decoded = Vec::new();
        let mut start = 0;
        for end in ends {
            buf.extend_from_slice(&stream[start..end]);
            start = end;
            while let Some(packet) = decode(&mut buf, &Limits::default()).unwrap() {
                decoded.push(packet);
            }
        }
        prop_assert!(buf.is_empty());
        prop_assert_eq!(decoded, packets);
    }

    #[test]
    fn a_packet_passes_a_limit_of_its_size_and_no_smaller_one(packet in any_packet()) {
        let bytes = encode(&packet);
        let size = u32::try_from(bytes.len()).unwrap();
        let mut buf = BytesMut::from(&bytes[..]);
        prop_assert_eq!(decode(&mut buf, &Limits::new(size)).unwrap(), Some(packet));
        let mut buf = BytesMut::from(&bytes[..]);
        let error = decode(&mut buf, &Limits::new(size - 1)).unwrap_err();
        prop_assert_eq!(u8::from(error.reason()), 0x95);
    }
}

#[test]
fn a_size_over_the_limit_is_refused_from_the_header_alone() {
    let mut buf = BytesMut::from(&hex("30 FF FF FF 7F")[..]);
    let error = decode(&mut buf, &Limits::new(1_000_000)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "PUBLISH: remaining length: 268435460 bytes are over the limit of 1000000"
    );
    assert_eq!(u8::from(error.reason()), 0x95);
}

#[test]
fn nothing_is_reserved_on_trust_of_a_length() {
    let mut buf = BytesMut::with_capacity(64);
    buf.extend_from_slice(&hex("30 FF FF FF 7F"));
    let capacity = buf.capacity();
    assert_eq!(decode(&mut buf, &Limits::default()), Ok(None));
    assert_eq!(buf.capacity(), capacity);
}

#[test]
fn a_packet_leaves_what_follows_it_in_the_buffer() {
    let mut buf = BytesMut::from(&hex("C0 00 D0 00 30")[..]);
    assert_eq!(
        decode(&mut buf, &Limits::default()),
        Ok(Some(Packet::PingReq))
    );
    assert_eq!(
        decode(&mut buf, &Limits::default()),
        Ok(Some(Packet::PingResp))
    );
    assert_eq!(decode(&mut buf, &Limits::default()), Ok(None));
    assert_eq!(&buf[..], [0x30]);
}

/// [MQTT-1.5.5-1]
#[test]
fn a_header_in_pieces_needs_more_however_long_its_length_is() {
    for length in ["7F", "FF 7F", "FF FF 7F", "FF FF FF 7F"] {
        let header = hex(&format!("30 {length}"));
        for end in 0..=header.len() {
            let mut buf = BytesMut::from(&header[..end]);
            assert_eq!(
                decode(&mut buf, &Limits::default()),
                Ok(None),
                "{length} {end}"
            );
        }
    }
}

#[test]
fn payloads_of_every_length_of_length_come_back() {
    for len in [
        0,
        1,
        118,
        119,
        127,
        128,
        16_374,
        16_375,
        16_383,
        16_384,
        1 << 20,
        2_097_142,
        2_097_143,
    ] {
        let publish = Publish::new(TopicName::new("a/b/c").unwrap(), vec![b'x'; len]);
        let packet = Packet::Publish(publish);
        let mut buf = BytesMut::from(&encode(&packet)[..]);
        assert_eq!(buf.len(), packet.encoded_len());
        assert_eq!(decode(&mut buf, &Limits::default()), Ok(Some(packet)));
        assert!(buf.is_empty());
    }
}
