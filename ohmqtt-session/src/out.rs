//! Where packets go that leave: to the caller as values, or encoded into its buffer.

use ohmqtt_codec::{EncodeBuf, Packet, PublishRef, TooLarge};

/// Takes one packet.
pub(crate) trait Out {
    fn packet(&mut self, packet: Packet);

    /// A message that stays where it is.
    fn publish(&mut self, publish: PublishRef<'_>);
}

/// The caller has it as a value.
impl Out for Option<Packet> {
    fn packet(&mut self, packet: Packet) {
        *self = Some(packet);
    }

    fn publish(&mut self, publish: PublishRef<'_>) {
        *self = Some(Packet::Publish(publish.to_publish()));
    }
}

/// The end of a buffer.
#[derive(Debug)]
pub(crate) struct Encoded<'a> {
    pub(crate) buf: &'a mut EncodeBuf,
    pub(crate) result: Result<(), TooLarge>,
}

impl Out for Encoded<'_> {
    fn packet(&mut self, packet: Packet) {
        self.result = packet.encode(self.buf);
    }

    fn publish(&mut self, publish: PublishRef<'_>) {
        self.result = publish.encode(self.buf);
    }
}
