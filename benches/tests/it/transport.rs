//! What the bench of the transports times.

use bytes::Bytes;
use ohmqtt_benches::transport::{LENGTHS, PAIRS};

#[test]
fn every_transport_and_its_library_carries_writes_of_each_length() {
    for pair in PAIRS {
        for connect in [pair.ours, pair.raw] {
            let mut transfer = connect().unwrap();
            for &len in LENGTHS {
                transfer(&Bytes::from(vec![0; len.try_into().unwrap()]), 10).unwrap();
            }
        }
    }
}
