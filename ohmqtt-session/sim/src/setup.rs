//! What a seed decides before the first step: limits, policies, and how rough the run is.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use fastrand::Rng;
use ohmqtt_codec::{ConnectProperties, MqttString};
use ohmqtt_session::{ClientConfig, OutboxConfig, Overflow, ServerConfig, SessionLoss};

use crate::side::{Side, Sides};

/// How often something happens, in thousandths of the steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    pub(crate) publish: u32,
    pub(crate) cut: u32,
    pub(crate) half_open: u32,
    pub(crate) crash: Sides<u32>,
    pub(crate) lose_session: u32,
    pub(crate) jump: u32,
    pub(crate) store_failure: u32,
    pub(crate) refusal: u32,
    /// The client's application lets go of a message without a word.
    pub(crate) abandon: u32,
    pub(crate) disconnect: u32,
    pub(crate) deadline: u32,
    pub(crate) forget: u32,
}

/// One run's circumstances.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) steps: u32,
    pub(crate) durable: Sides<bool>,
    pub(crate) session_loss: SessionLoss,
    pub(crate) clean_start: bool,
    pub(crate) keep_alive: u16,
    pub(crate) receive_maximum: Sides<u16>,
    /// The server sends so many messages more than the client's Receive Maximum.
    pub(crate) excess: u16,
    pub(crate) alias_maximum: Sides<u16>,
    pub(crate) packet_size: Sides<Option<u32>>,
    pub(crate) outbox: Sides<OutboxConfig>,
    /// The server's limits change from connection to connection.
    pub(crate) moody: bool,
    /// The server's application stores a QoS 2 message in one step with its record.
    pub(crate) refuse_unstored: bool,
    pub(crate) rates: Rates,
}

impl Setup {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let mut sometimes = |one_in: u32, most: u32| {
            if rng.u32(..one_in) == 0 {
                rng.u32(1..=most)
            } else {
                0
            }
        };
        let rates = Rates {
            publish: 50 + sometimes(2, 300),
            cut: sometimes(1, 30) * u32::from(sometimes(5, 1) == 0),
            half_open: sometimes(3, 15),
            crash: Sides([sometimes(2, 15), sometimes(2, 15)]),
            lose_session: sometimes(3, 300),
            jump: sometimes(3, 10),
            store_failure: sometimes(2, 600),
            refusal: sometimes(4, 200),
            abandon: sometimes(3, 200),
            disconnect: sometimes(3, 10),
            deadline: 50 + sometimes(3, 600),
            forget: sometimes(2, 60),
        };
        let maximum = |rng: &mut Rng| match rng.u8(..4) {
            0 => 1,
            1 => rng.u16(2..=4),
            2 => rng.u16(5..=20),
            _ => u16::MAX,
        };
        let aliases = |rng: &mut Rng| if rng.bool() { rng.u16(1..=3) } else { 0 };
        let size = |rng: &mut Rng| (rng.u8(..8) == 0).then(|| rng.u32(80..400));
        let outbox = |rng: &mut Rng| {
            let mut outbox = OutboxConfig::default();
            outbox.limits.messages = rng.usize(3..40);
            outbox.limits.bytes = if rng.u8(..4) == 0 {
                rng.usize(200..2000)
            } else {
                1 << 20
            };
            outbox.overflow = match rng.u8(..4) {
                0 => Overflow::DropOldest,
                1 => Overflow::KeepNewest,
                _ => Overflow::Refuse,
            };
            if rng.u8(..4) > 0 {
                outbox.window.messages = rng.usize(1..10);
                outbox.window.bytes = rng.usize(50..1000);
            }
            outbox
        };
        Self {
            steps: rng.u32(100..1500),
            durable: Sides([rng.u8(..4) != 0, rng.u8(..4) != 0]),
            session_loss: match rng.u8(..4) {
                0 => SessionLoss::Resend,
                1 => SessionLoss::Clear,
                _ => SessionLoss::Fail,
            },
            clean_start: rng.bool(),
            keep_alive: if rng.u8(..4) == 0 { 0 } else { rng.u16(2..60) },
            receive_maximum: Sides([maximum(rng), maximum(rng)]),
            excess: match rng.u8(..8) {
                0 => rng.u16(1..=3),
                1 => u16::MAX,
                _ => 0,
            },
            alias_maximum: Sides([aliases(rng), aliases(rng)]),
            packet_size: Sides([size(rng), size(rng)]),
            outbox: Sides([outbox(rng), outbox(rng)]),
            moody: rng.u8(..4) == 0,
            refuse_unstored: rng.bool(),
            rates,
        }
    }

    /// How many messages of QoS 1 and 2 the server sends at once to a client that has said this in CONNECT.
    pub(crate) fn exceeds(&self, said: Option<NonZeroU16>) -> NonZeroU16 {
        said.unwrap_or(NonZeroU16::MAX).saturating_add(self.excess)
    }

    /// What the client is told at its beginning. After a crash of a client with a store it vouches for what the store holds.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new(MqttString::try_from("simulated").unwrap_or_default());
        let durable = self.durable[Side::Client];
        config.connect.clean_start = !durable && self.clean_start;
        config.connect.keep_alive = self.keep_alive;
        let mut properties = ConnectProperties::default();
        properties.set_session_expiry_interval(u32::MAX);
        let maximum = NonZeroU16::new(self.receive_maximum[Side::Client]);
        properties.set_receive_maximum(maximum.unwrap_or(NonZeroU16::MAX));
        properties.set_topic_alias_maximum(self.alias_maximum[Side::Client]);
        if let Some(size) = self.packet_size[Side::Client].and_then(NonZeroU32::new) {
            properties.set_maximum_packet_size(size);
        }
        config.connect.properties = properties;
        config.connect_timeout = Duration::from_secs(40);
        config.ping_timeout = Duration::from_secs(5);
        config.outbox = self.outbox[Side::Client];
        config.durable = durable;
        config.session_loss = self.session_loss;
        config
    }

    /// What the session of one connection at the server is told.
    pub(crate) fn server(&self, rng: &mut Rng) -> ServerConfig {
        let mut config = ServerConfig::default();
        let maximum = if self.moody {
            rng.u16(1..6)
        } else {
            self.receive_maximum[Side::Server]
        };
        config.connect_timeout = Duration::from_secs(30);
        config.receive_maximum = NonZeroU16::new(maximum).unwrap_or(NonZeroU16::MAX);
        config.maximum_packet_size = self.packet_size[Side::Server].and_then(NonZeroU32::new);
        if self.moody && rng.u8(..4) == 0 {
            config.maximum_packet_size = NonZeroU32::new(rng.u32(80..200));
        }
        config.topic_alias_maximum = self.alias_maximum[Side::Server];
        config.server_keep_alive = (self.moody && rng.bool()).then(|| rng.u16(1..30));
        config.outbox = self.outbox[Side::Server];
        config.durable = self.durable[Side::Server];
        config.refuse_unstored = self.refuse_unstored;
        config
    }
}
