//! The codec of ntex-mqtt, which has a kind of bytes of its own. What it encodes it takes by value, so that each packet is cloned first.

use ntex_bytes::{BytePageSize, BytePages, Bytes, BytesMut};
use ntex_codec::{Decoder, Encoder};
use ntex_mqtt::v5::codec::{Codec as Inner, Decoded, Encoded, Packet, Publish};

use super::debug;
use crate::Result;

pub(super) struct Codec {
    inner: Inner,
    stream: Vec<u8>,
    chunk: BytesMut,
    out: BytePages,
}

pub(super) enum Either {
    Packet(Packet),
    Publish(Publish, Bytes),
}

impl super::Codec for Codec {
    type Packet = Either;

    fn new(stream: &[u8]) -> Self {
        Self {
            inner: Inner::new(),
            stream: stream.to_vec(),
            chunk: BytesMut::from(stream),
            out: BytePages::new(BytePageSize::Size16),
        }
    }

    fn decode(&mut self) -> Result<Either> {
        if self.chunk.is_empty() {
            self.chunk.extend_from_slice(&self.stream);
        }
        match self.inner.decode(&mut self.chunk).map_err(debug)? {
            Some(Decoded::Packet(packet, _)) => Ok(Either::Packet(packet)),
            Some(Decoded::Publish(publish, payload, _)) => Ok(Either::Publish(publish, payload)),
            Some(Decoded::PayloadChunk(..)) | None => Err("there is no whole packet".into()),
        }
    }

    fn encode(&mut self, packet: &Either) -> Result<usize> {
        let item = match packet {
            Either::Packet(packet) => Encoded::Packet(packet.clone()),
            Either::Publish(publish, payload) => {
                Encoded::Publish(publish.clone(), Some(payload.clone()))
            }
        };
        let before = self.out.len();
        self.inner.encodev(item, &mut self.out).map_err(debug)?;
        let length = self.out.len() - before;
        if self.out.len() >= 16 * 1024 {
            self.out.clear();
        }
        Ok(length)
    }
}
