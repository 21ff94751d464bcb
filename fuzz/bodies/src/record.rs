//! Records as they stand in a store: a file that somebody else may have written to.

use ohmqtt_codec::MqttString;
use ohmqtt_session::{Key, StoreOp};
use ohmqtt_store::{Batch, Encoder, Op, Prefix, decode_record};

/// A record that can be read is written as what reads the same; the others are errors that say which one.
///
/// The first byte chooses the key: below 3 one of a session's own, above that the bytes up to the next of the same value.
pub(crate) fn run(data: &[u8]) {
    let Some((&first, data)) = data.split_first() else {
        return;
    };
    let prefix = Prefix::session(&MqttString::try_from("fuzz").expect("a text"));
    let (key, value) = match first {
        0 => (prefix.key(Key::Backlog), data),
        1 => (prefix.key(Key::Outgoing(7)), data),
        2 => match ohmqtt_codec::PacketId::new(9) {
            Some(id) => (prefix.key(Key::Received(id)), data),
            None => return,
        },
        stop => {
            let at = data.iter().position(|byte| *byte == stop);
            let (key, value) = data.split_at(at.unwrap_or(data.len()));
            (key.to_vec(), value)
        }
    };
    let record = match decode_record(&key, value) {
        Ok(record) => record,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let (_, prefix, _) = Prefix::of_key(&key).expect("a record has a session");
    assert_eq!(prefix.key(record.key()), key);
    let mut batch = Batch::new();
    Encoder::new()
        .encode(&prefix, &StoreOp::Put(record.clone()), &mut batch)
        .expect("what was read can be written");
    let written: Vec<_> = batch.iter().collect();
    let [Op::Put { key, value }] = written[..] else {
        panic!("one record is one operation, not {written:?}");
    };
    assert_eq!(decode_record(key, value).expect("what was written"), record);
}
