//! The least that a client can do: the same bytes, written down by hand, with what is under way kept in a plain table.

use std::hint::black_box;

use super::null::{PAYLOAD, TOPIC, publish};
use super::wire::Wire;
use super::{RING, batches};
use crate::Run;

/// Publishes at this QoS, `RING` messages at a time.
pub(super) fn publishing<const QOS: u8>() -> Run {
    let wire = Wire::new();
    let payload = [b'x'; PAYLOAD];
    let mut out = Vec::with_capacity(RING * 512);
    let mut read = vec![0; 64 * 1024];
    let mut under_way = vec![false; 1 << 16];
    let mut id: u16 = 0;
    Box::new(move |n| {
        for count in batches(n, RING as u64) {
            out.clear();
            for _ in 0..count {
                put(&mut out, black_box(&payload), QOS, &mut id);
                under_way[usize::from(id)] = QOS > 0;
            }
            wire.null_broker_gets(&out);
            if QOS == 0 {
                continue;
            }
            let length = wire.null_broker_gives(&mut read);
            if QOS == 2 {
                out.clear();
                for pubrec in read[..length].chunks_exact(4) {
                    out.extend_from_slice(&[0x62, 2, pubrec[2], pubrec[3]]);
                }
                wire.null_broker_gets(&out);
                wire.null_broker_gives(&mut read);
            }
            for ack in read[..length].chunks_exact(4) {
                let id = usize::from(u16::from_be_bytes([ack[2], ack[3]]));
                assert!(std::mem::take(&mut under_way[id]));
            }
        }
    })
}

fn put(out: &mut Vec<u8>, payload: &[u8], qos: u8, id: &mut u16) {
    let identifier = if qos == 0 { 0 } else { 2 };
    let length = 2 + TOPIC.len() + identifier + 1 + payload.len();
    let [high, low] = u16::try_from(length).unwrap_or(0).to_be_bytes();
    let length = [low | 0x80, high << 1 | low >> 7];
    out.extend_from_slice(&[0x30 | qos << 1, length[0], length[1]]);
    out.extend_from_slice(&[0, 24]);
    out.extend_from_slice(TOPIC.as_bytes());
    if qos > 0 {
        *id = id.checked_add(1).unwrap_or(1);
        out.extend_from_slice(&id.to_be_bytes());
    }
    out.push(0);
    out.extend_from_slice(payload);
}

/// As many as are asked for at once.
const RECEIVED: usize = 500;

/// Gets messages of this QoS, and acknowledges them.
pub(super) fn receiving<const QOS: u8>() -> Run {
    let wire = Wire::new();
    let size = publish(QOS).len();
    let mut read = vec![0; RECEIVED * size];
    let mut out = Vec::with_capacity(4 * RECEIVED);
    Box::new(move |n| {
        for count in batches(n, RECEIVED as u64) {
            wire.null_broker_sends(count, QOS);
            let mut left = usize::try_from(count).expect("small") * size;
            while left > 0 {
                // What is sent lies in whole messages.
                let room = read.len() / size * size;
                let length = wire.null_broker_gives(&mut read[..room]);
                left -= length;
                out.clear();
                let mut rest = &read[..length];
                while let [_, low, high, body @ ..] = rest {
                    let (body, after) =
                        body.split_at(usize::from(low & 0x7F) | usize::from(*high) << 7);
                    let topic = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                    black_box(std::str::from_utf8(&body[2..topic]).expect("text"));
                    if QOS > 0 {
                        out.extend_from_slice(&[0x40, 2, body[topic], body[topic + 1]]);
                    }
                    black_box(&body[topic..]);
                    rest = after;
                }
                if QOS > 0 {
                    wire.null_broker_gets(&out);
                }
            }
        }
    })
}
