//! Ordered byte streams for MQTT: URLs, connecting and listening.
//!
//! An [`Endpoint`] is a parsed URL. A [`Connect`] turns one into a [`Transport`], [`listen`] turns one into a
//! [`Listen`], and whoever holds either end reads and writes bytes without knowing what carries them. Nothing in here
//! knows MQTT's packets, its timeouts or when to try again: those belong to the crates above.
//!
//! | scheme | carried by | default port | cargo feature |
//! |---|---|---|---|
//! | `mqtt://`, or no scheme | TCP | 1883 | `tcp` (default) |
//! | `mqtts://` | TLS over TCP | 8883 | `tls` |
//! | `ws://` | WebSocket over TCP | 80 | `ws` |
//! | `wss://` | WebSocket over TLS | 443 | `ws`, `tls` |
//! | `quic://` | one QUIC stream | 14567 | `quic` |
//! | `unix:/path`, `unix:@name` | Unix socket (Unix systems; abstract names on Linux) | none | `unix` |
//!
//! The URLs of all schemes are parsed, whatever was compiled in; connecting to one without a backend fails with an error
//! that names the feature to enable.
//!
//! The features in the table take what they need with them. `tls` takes ring for its cryptography. Without `tls`,
//! `tls-no-provider` with `aws-lc-rs` takes AWS-LC instead, and `tls-no-provider` alone takes nothing: a configuration of
//! rustls then brings its own.
//!
//! What is trusted, shown and sent is chosen at the two ends: `Connector::new().tls(..).websocket(..)` and
//! [`listen_with`] with [`ListenOptions`], of which each transport uses what it has a use for.
//!
//! # Example
//!
//! ```
//! use ohmqtt_transport::{Connect, Connector, Endpoint, listen};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut listener = listen(&"mqtt://127.0.0.1:0".parse()?).await?;
//! let server: Endpoint = listener.local(); // the port is filled in
//!
//! let mut client = Connector::new().connect(&server).await?;
//! let (mut stream, peer) = listener.accept().await?.handshake.await?;
//! assert!(peer.address.is_loopback());
//!
//! client.write_all(b"hello").await?;
//! client.shutdown().await?;
//! let mut text = String::new();
//! stream.read_to_string(&mut text).await?;
//! assert_eq!(text, "hello");
//! # Ok(())
//! # }
//! ```

mod backend;
mod config;
mod connect;
mod endpoint;
mod error;
#[cfg(any(feature = "tls-no-provider", feature = "ws"))]
mod linger;
mod listen;
#[cfg(feature = "tcp")]
mod local;
#[cfg(any(feature = "tcp", all(unix, feature = "unix")))]
mod patience;
#[cfg(feature = "tcp")]
mod proxy;
#[cfg(feature = "quic")]
mod quic;
#[cfg(feature = "tcp")]
mod race;
#[cfg(feature = "tcp")]
mod resting;
mod scheme;
#[cfg(feature = "tcp")]
mod tcp;
#[cfg(feature = "tls-no-provider")]
mod tls;
#[cfg(all(unix, feature = "unix"))]
mod unix;
#[cfg(feature = "ws")]
mod ws;

use std::any::Any;
use std::future::Future;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

pub use config::ConfigError;
pub use connect::{Connect, Connector};
pub use endpoint::Endpoint;
pub use error::{CertificateFault, Phase, ProxyFault, TransportError, TransportErrorKind};
pub use listen::{
    Accepted, Handshake, Listen, ListenOptions, Peer, PeerAddress, listen, listen_with,
};
#[cfg(feature = "tcp")]
pub use proxy::Proxy;
pub use scheme::Scheme;
#[cfg(feature = "tls-no-provider")]
pub use tls::{Certificates, Identity, RustlsClientConfig, RustlsServerConfig, TlsOptions};
#[cfg(feature = "ws")]
pub use ws::{WsOptions, accept_websocket, websocket};

/// A boxed future that can move between threads, as the traits here return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An ordered, reliable stream of bytes, whatever carries it.
///
/// Every type with these bounds is one; there is nothing to implement. What a holder may rely on:
///
/// - the end that connected has the first word: over QUIC there is no stream before it, and the other end's handshake
///   waits for it;
/// - bytes arrive in order and unchanged, in pieces of any size: a write is not a read at the other end;
/// - `poll_shutdown` ends this direction only: the peer reads what was written and then the end, and can still write;
/// - to end a stream without loss, shut it down and read until the end before dropping it: a stream dropped with
///   unread bytes may be reset, which can take what the peer has not read yet with it;
/// - a peer that is slow to read makes writes wait. Writes of many pieces leave by `poll_write_vectored` at once where
///   `is_write_vectored` says so.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// From now on what comes wakes nobody, until a read or a write finds that it has to wait. For a holder that is going to read when some
    /// time has passed: a thread that sleeps is otherwise woken for each segment.
    ///
    /// Plain TCP can do this. Any other stream stays as it is.
    fn rest(&mut self);
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for T {
    fn rest(&mut self) {
        let stream: &mut dyn Any = self;
        if let Some(stream) = stream.downcast_mut::<Box<dyn Transport>>() {
            (**stream).rest();
            return;
        }
        #[cfg(feature = "tcp")]
        if let Some(stream) = stream.downcast_mut::<resting::Resting>() {
            stream.rest();
        }
    }
}
