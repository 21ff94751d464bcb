//! Payloads that are counted as long as somebody holds them: so it is seen what a session keeps in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use ohmqtt_codec::Qos;
use ohmqtt_session::{Message, Record, StoreOp};

/// How many payloads of one side are held.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payloads {
    held: Arc<AtomicUsize>,
}

struct Payload {
    bytes: Bytes,
    held: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        self.held.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Payloads {
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// From here on the payload of this message counts. QoS 0 is never anywhere but in memory.
    pub(crate) fn count(&self, message: &mut Message) {
        if message.qos == Qos::AtMostOnce {
            return;
        }
        self.held.fetch_add(1, Ordering::Relaxed);
        message.payload = Bytes::from_owner(Payload {
            bytes: message.payload.clone(),
            held: Arc::clone(&self.held),
        });
    }
}

/// The operation as bytes in a file would be: its payload is not the one in memory.
pub(crate) fn written(mut op: StoreOp) -> StoreOp {
    if let StoreOp::Put(Record::Message { message, .. }) = &mut op {
        message.payload = Bytes::copy_from_slice(&message.payload);
    }
    op
}
