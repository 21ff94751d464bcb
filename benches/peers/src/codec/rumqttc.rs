//! The codec inside rumqttc.

use rumqttc::v5::mqttbytes::v5::Packet;

use super::{Out, Stream, debug};
use crate::Result;

pub(super) struct Codec(Stream, Out);

impl super::Codec for Codec {
    type Packet = Packet;

    fn new(stream: &[u8]) -> Self {
        Self(Stream::new(stream), Out::new())
    }

    fn decode(&mut self) -> Result<Packet> {
        Ok(Packet::read(self.0.chunk(), None).map_err(debug)?)
    }

    fn encode(&mut self, packet: &Packet) -> Result<usize> {
        self.1.write(|out| packet.write(out, None).map(drop))
    }
}
