//! What hostile peers try, each fault class of other brokers by its name: it hurts the one who tries, and nobody else.
//!
//! Packets are written as bytes here, because no encoder makes such ones.

mod floods;
#[cfg(target_os = "linux")]
mod half_open;
mod limits;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod open_files;
mod packets;
#[cfg(target_os = "linux")]
mod process;
mod topics;

use ohmqtt_broker::Broker;
use ohmqtt_codec::{Packet, Qos, ReasonCode};

use crate::client::Client;

/// A packet with this first byte and body.
fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    length(&mut bytes, body.len());
    bytes.extend(body);
    bytes
}

/// A Variable Byte Integer (section 1.5.5).
fn length(out: &mut Vec<u8>, mut value: usize) {
    while value > 0x7F {
        out.push(u8::try_from(value & 0x7F).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
}

/// A string or binary data with its length before it.
fn text(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes()[..], bytes].concat()
}

/// A PUBLISH of QoS 1 with these properties, and the payload "x".
fn publish(topic: &[u8], properties: &[u8]) -> Vec<u8> {
    let mut body = text(topic);
    body.extend([0, 1]);
    length(&mut body, properties.len());
    body.extend(properties);
    body.push(b'x');
    packet(0x32, &body)
}

/// A CONNECT that starts anew, with more flags and what they announce behind the Client Identifier.
fn connect(client_id: &[u8], flags: u8, rest: &[u8]) -> Vec<u8> {
    let head = [b"\x00\x04MQTT\x05", &[flags | 0x02][..], b"\x00\x00\x00"].concat();
    packet(0x10, &[head, text(client_id), rest.to_vec()].concat())
}

/// So many bytes of the smallest User Properties there are.
fn user_properties(bytes: usize) -> Vec<u8> {
    [0x26, 0, 0, 0, 0].repeat(bytes / 5)
}

/// Two clients that mind their own business, and see whether something disturbs them.
struct Bystanders {
    publisher: Client,
    subscriber: Client,
}

impl Bystanders {
    async fn at(broker: &Broker) -> Self {
        let mut subscriber = Client::connect(broker, "subscriber").await;
        for filter in ["#", "$bystanders/#"] {
            let granted = subscriber.subscribe(filter, Qos::AtLeastOnce).await;
            assert_eq!(granted, ReasonCode::GrantedQos1);
        }
        let publisher = Client::connect(broker, "publisher").await;
        Self {
            publisher,
            subscriber,
        }
    }

    /// Asserts that their messages pass, and that nothing else came to them.
    async fn are_undisturbed(&mut self) {
        let reason = self.publisher.publish("quiet", "x", Qos::AtLeastOnce).await;
        assert_eq!(reason, ReasonCode::Success);
        let message = self.subscriber.receive_message().await;
        assert_eq!(crate::client::topic(&message), "quiet");
        self.subscriber.expect_nothing().await;
    }
}

/// Reads until the stream ends.
async fn hear_out(client: &mut Client) -> Vec<Packet> {
    let mut heard = Vec::new();
    while let Some(packet) = client.next().await {
        heard.push(packet);
    }
    heard
}
