//! What a client session is told once.

use core::time::Duration;
use ohmqtt_codec::{Connect, ConnectProperties, MqttString};

use crate::{OutboxConfig, SessionLoss};

/// What a client session is told once, at its beginning.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The CONNECT of every connection. The session itself sets Clean Start to 0 once it holds a session worth resuming, and the
    /// Client Identifier once the server has assigned one.
    ///
    /// With Clean Start 0 on the first connection the caller vouches that this session's state, restored or empty, is what the
    /// server's session is to be resumed with; with Clean Start 1 there is none, and a server that claims one is in error.
    ///
    /// Its Receive Maximum, and one more, bounds what the application holds unacknowledged: see
    /// [`is_held_back`](crate::ClientSession::is_held_back).
    pub connect: Connect,
    /// How long the server may take from the stream's coming to its CONNACK.
    pub connect_timeout: Duration,
    /// How long the server may take to answer a PINGREQ. At most the Keep Alive is used.
    pub ping_timeout: Duration,
    /// How much may wait to be sent or acknowledged, and what becomes of more.
    pub outbox: OutboxConfig,
    /// Whether there is a store: operations are emitted by `poll_store` and packets wait for them.
    pub durable: bool,
    /// What becomes of unacknowledged messages when the server has lost the session.
    pub session_loss: SessionLoss,
}

impl ClientConfig {
    /// Clean start, a Keep Alive of 60 seconds, 30 seconds to connect, 15 seconds to answer a ping, nothing stored.
    pub fn new(client_id: MqttString) -> Self {
        Self {
            connect: Connect {
                client_id,
                clean_start: true,
                keep_alive: 60,
                properties: ConnectProperties::default(),
                will: None,
                user_name: None,
                password: None,
            },
            connect_timeout: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(15),
            outbox: OutboxConfig::default(),
            durable: false,
            session_loss: SessionLoss::default(),
        }
    }
}
