//! The buffer packets leave by.

use bytes::{Buf, Bytes};
use ohmqtt_codec::{EncodeBuf, Packet, Publish, TopicName};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::generate::any_packet;
use crate::wire::encode;

fn message(payload: impl Into<Bytes>) -> Packet {
    Packet::Publish(Publish::new(TopicName::new("a").unwrap(), payload))
}

proptest! {
    #[test]
    fn what_is_written_is_what_was_encoded_however_it_leaves(
        packets in vec(any_packet(), 0..12),
        steps in vec(0..6_000usize, 1..30),
    ) {
        let mut out = EncodeBuf::new();
        let mut want = Vec::new();
        let mut written = Vec::new();
        let mut steps = steps.iter().cycle();
        for packet in &packets {
            packet.encode(&mut out).unwrap();
            want.extend(encode(packet));
            let wait: Vec<u8> = out.slices().flatten().copied().collect();
            let step = *steps.next().unwrap();
            written.extend(wait.iter().take(step));
            out.advance(step);
            prop_assert_eq!(out.len(), wait.len().saturating_sub(step));
            prop_assert!(out.slices().all(|slice| !slice.is_empty()));
        }
        prop_assert_eq!(out.remaining(), out.len());
        prop_assert_eq!(out.has_remaining(), !out.is_empty());
        written.extend_from_slice(&out.into_bytes());
        prop_assert_eq!(written, want);
    }
}

#[test]
fn a_large_payload_is_chained_and_not_copied() {
    let payload = Bytes::from(vec![7; EncodeBuf::CHAIN]);
    let mut out = EncodeBuf::new();
    message(payload.clone()).encode(&mut out).unwrap();
    Packet::PingReq.encode(&mut out).unwrap();
    let slices: Vec<&[u8]> = out.slices().collect();
    assert_eq!(slices.len(), 3);
    assert_eq!(slices[1].as_ptr(), payload.as_ptr());

    let small = payload.slice(1..);
    let mut out = EncodeBuf::new();
    message(small).encode(&mut out).unwrap();
    assert_eq!(out.slices().count(), 1);
}

#[test]
fn a_drained_buffer_keeps_its_memory() {
    let mut out = EncodeBuf::new();
    message(vec![1; 1_000]).encode(&mut out).unwrap();
    let first = out.chunk().as_ptr();
    for _ in 0..100 {
        out.advance(out.len());
        message(vec![1; 1_000]).encode(&mut out).unwrap();
        assert_eq!(out.chunk().as_ptr(), first);
    }
}

#[test]
fn advancing_past_the_end_is_all() {
    let mut out = EncodeBuf::new();
    message(vec![1; 9_000]).encode(&mut out).unwrap();
    out.advance(usize::MAX);
    assert!(out.is_empty());
    assert_eq!(out.into_bytes(), Bytes::new());
}

#[test]
fn clearing_drops_what_waits() {
    let mut out = EncodeBuf::new();
    message(vec![1; 100_000]).encode(&mut out).unwrap();
    message(vec![1; 3_000]).encode(&mut out).unwrap();
    out.clear();
    assert_eq!(out.len(), 0);
    assert_eq!(out.slices().count(), 0);
    Packet::PingReq.encode(&mut out).unwrap();
    assert_eq!(out.into_bytes(), Bytes::from_static(&[0xC0, 0]));
}
