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

    #[test]
    fn payloads_large_and_small_leave_whole_in_steps_of_any_size(
        sizes in vec(prop_oneof![0..100usize, EncodeBuf::CHAIN..3 * EncodeBuf::CHAIN], 1..12),
        steps in vec(1..3 * EncodeBuf::CHAIN, 1..20),
    ) {
        let mut out = EncodeBuf::new();
        let (mut want, mut written) = (Vec::new(), Vec::new());
        let mut steps = steps.iter().cycle();
        for (size, letter) in sizes.iter().zip(b'a'..) {
            let packet = message(vec![letter; *size]);
            packet.encode(&mut out).unwrap();
            want.extend(encode(&packet));
            leave(&mut out, &mut written, *steps.next().unwrap());
        }
        while out.has_remaining() {
            leave(&mut out, &mut written, *steps.next().unwrap());
        }
        prop_assert_eq!(out.slices().count(), 0);
        prop_assert_eq!(written, want);
    }
}

/// What a writer takes that was offered all of it and takes so many bytes.
fn leave(out: &mut EncodeBuf, written: &mut Vec<u8>, step: usize) {
    let left = out.remaining() - step.min(out.remaining());
    written.extend(out.slices().flatten().take(step));
    Buf::advance(out, step.min(out.remaining()));
    assert_eq!(out.remaining(), left);
    assert_eq!(out.slices().flatten().count(), left);
}

#[test]
fn a_buffer_that_is_never_empty_does_not_grow() {
    let mut out = EncodeBuf::new();
    let packet = encode(&message(vec![b'x'; 1_000]));
    for _ in 0..10 {
        message(vec![b'x'; 1_000]).encode(&mut out).unwrap();
    }
    for _ in 0..1_000 {
        message(vec![b'x'; 1_000]).encode(&mut out).unwrap();
        assert_eq!(&out.chunk()[..packet.len()], packet);
        out.advance(packet.len());
        assert_eq!(out.len(), 10 * packet.len());
    }
    let last = Vec::from(out.into_bytes());
    // What has left lies before it in the same memory.
    assert!(last.capacity() < 100 * packet.len(), "{}", last.capacity());
}

#[test]
fn a_large_payload_is_let_go_when_its_last_byte_has_left() {
    let payload = Bytes::from(vec![7; EncodeBuf::CHAIN]);
    let mut out = EncodeBuf::new();
    message(payload.clone()).encode(&mut out).unwrap();
    let len = out.len();
    Packet::PingReq.encode(&mut out).unwrap();
    out.advance(len - 1);
    assert!(!payload.is_unique());
    out.advance(1);
    assert!(payload.is_unique());
    assert_eq!(out.into_bytes(), Bytes::from_static(&[0xC0, 0]));
}

#[test]
fn what_is_left_of_one_large_payload_is_not_copied() {
    let payload = Bytes::from(vec![7; EncodeBuf::CHAIN]);
    let mut out = EncodeBuf::new();
    message(payload.clone()).encode(&mut out).unwrap();
    let header = out.len() - payload.len();
    out.advance(header);
    assert_eq!(out.len(), payload.len());
    let left = out.into_bytes();
    assert_eq!(left, payload);
    assert_eq!(left.as_ptr(), payload.as_ptr());
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
