//! `quic://`: one QUIC stream, both ends, by quinn.
//!
//! The convention is that of other brokers (EMQX, `NanoMQ`, RMQTT): ALPN `mqtt`, one bidirectional stream that the client opens, all of MQTT
//! on it. 0-RTT is off: a CONNECT that an attacker can replay is none. A connection survives a change of the client's
//! address.

mod client;
mod fault;
mod server;
mod stream;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use quinn::{IdleTimeout, TransportConfig, VarInt};

use crate::backend::Backend;
use crate::{
    BoxFuture, ConfigError, Connector, Endpoint, Listen, ListenOptions, Transport, TransportError,
};

/// The application protocol where none is chosen.
const ALPN: &[u8] = b"mqtt";

/// How long a peer may be silent before it is given up, in milliseconds.
const IDLE_TIMEOUT: VarInt = VarInt::from_u32(30_000);

/// How often a silent connection says that it is there: MQTT's own keep alive may be slower than the idle timeout.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The row of QUIC in the table of backends.
pub(crate) struct Quic;

impl Backend for Quic {
    fn connect<'a>(
        &self,
        connector: &'a Connector,
        to: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Transport>, TransportError>> {
        Box::pin(async move {
            connector.check_no_proxy(to)?;
            let stream = client::connect(connector, to).await?;
            Ok(Box::new(stream) as Box<dyn Transport>)
        })
    }

    fn listen<'a>(
        &self,
        at: &'a Endpoint,
        options: &'a ListenOptions,
    ) -> BoxFuture<'a, Result<Box<dyn Listen>, TransportError>> {
        Box::pin(async move {
            let listen = server::QuicListen::bind(at, options).await?;
            Ok(Box::new(listen) as Box<dyn Listen>)
        })
    }
}

/// What both ends ask of a connection: `streams` is how many the peer may open.
fn transport_config(streams: u32) -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(streams.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::from(IDLE_TIMEOUT)))
        .keep_alive_interval(Some(KEEP_ALIVE));
    Arc::new(config)
}

/// The protocols to agree on.
fn add_alpn(protocols: &mut Vec<Vec<u8>>) {
    if protocols.is_empty() {
        protocols.push(ALPN.to_vec());
    }
}

fn bad_tls(error: impl std::fmt::Display) -> ConfigError {
    ConfigError::BadTls {
        reason: error.to_string(),
    }
}
