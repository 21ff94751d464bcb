//! An MQTT 5.0 client whose messages arrive: async and blocking.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let broker = ohmqtt_broker::Broker::builder().listen("mqtt://127.0.0.1:0").start().await?;
//! # let url = broker.url();
//! let client = ohmqtt_client::Client::connect(url).await?;
//! client.publish("sensors/1/temperature", "21.5").await?;
//! client.close(std::time::Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
//!
//! - [`Client`] runs itself on the tokio runtime it is made in, reconnects, and keeps what is published meanwhile.
//! - [`Client::publish`] is a value with options; its handle, [`Publication`], knows the three milestones of a message: *accepted*,
//!   *sent*, *acked*.
//! - [`Client::publish_all`] publishes many at once, for the price of one lock, one wake-up and one commit of the store.
//! - [`Client::subscribe`] gives each subscription its own bounded stream, also before there is a connection.
//! - [`Client::request`] publishes a message and waits for the answer to it, which [`Message::reply`] gives.
//! - [`Client::every`] and [`Client::on_change`] publish by themselves, at an interval or when a value changes, and never pile up.
//! - [`blocking::Client`] is the same client for programs without a runtime.
//!
//! # Cancel safety
//!
//! Futures here only enqueue, or wait on what the client's own task does. Dropping one at any moment neither loses a message nor leaks
//! anything; the documentation of each says what has happened by then.
//!
//! # Examples
//!
//! Each a program of a page or two, run as `cargo run --example NAME -- mqtt://localhost:1883`:
//!
//! | example | shows |
//! |---|---|
//! | `quickstart` | the main job at a broker of its own, over any transport |
//! | `publish` | messages, and the broker's word on each |
//! | `subscribe` | messages, and what happens to the connection |
//! | `blocking` | threads instead of async |
//! | `durable_queue` | a queue on disk that survives the process |
//! | `shared_workers` | work for one of several |
//! | `request_reply` | questions and answers |
//! | `manual_ack` | acknowledging when the work is done |
//! | `last_will` | a status that is right when the device is gone |
//! | `tls_client` | own authorities, client certificates |
//! | `telemetry_gateway` | offline for long, a small outbox, the newest of each topic |
//! | `failover` | two brokers, one of which dies |
//! | `own_transport` | a stream of your own |
//!
//! # Features
//!
//! | feature | adds | default |
//! |---|---|---|
//! | `tcp` | `mqtt://` | yes |
//! | `tls` | `mqtts://`: TLS by rustls, with the cryptography of ring | no |
//! | `tls-no-provider`, `ring`, `aws-lc-rs` | TLS with none, with that of ring, or of AWS-LC | no |
//! | `ws` | `ws://`, and with `tls` `wss://`: WebSocket | no |
//! | `quic` | `quic://`: QUIC; brings `tls` | no |
//! | `unix` | `unix:/path` and `unix:@name`: Unix sockets, where the system has them | no |
//! | `socks5` | proxies that speak SOCKS5 | no |
//! | `http-proxy` | proxies that speak HTTP CONNECT | no |
//! | `scram` | `ScramSha256`: enhanced authentication by SCRAM-SHA-256 | no |
//! | `redb` | [`RedbStore`]: what must survive a crash, in one file | yes |
//! | `sqlite` | `SqliteStore`: the same in an SQLite database, which is compiled in | no |

mod arrived;
mod attempts;
mod auth;
mod automation;
pub mod blocking;
mod builder;
mod callback;
mod claims;
mod client;
mod core;
mod error;
mod events;
#[cfg(all(doctest, feature = "redb"))]
mod guide;
mod health;
mod inbox;
mod message;
mod owed;
mod parking;
mod publication;
mod publications;
mod publish;
mod publish_all;
mod queue;
mod request;
mod routes;
mod servers;
mod state;
mod subscription;
mod task;

#[cfg(feature = "scram")]
pub use auth::ScramSha256;
pub use auth::{
    AuthError, AuthenticationError, Authenticator, Credentials, CredentialsProvider,
    ReauthenticateError,
};
pub use automation::{Automation, AutomationError, Changes, Every, OnChange};
pub use builder::{ClientBuilder, ConnectFailed};
pub use callback::Callback;
pub use client::Client;
pub use error::{
    ConfigError, ConnectError, ConnectErrorKind, PublishError, SubscribeError, WaitError,
};
pub use events::{Event, Events};
pub use health::{Health, Obstacle};
pub use inbox::{Inbox, OpenInbox};
pub use message::Message;
pub use parking::ResumeError;
pub use publication::{Acknowledgement, Publication};
pub use publish::Publish;
pub use publish_all::{PublishAll, PublishAllError};
pub use queue::WhenFull;
pub use request::{Request, RequestError};
pub use state::{Closed, ConnectionState, Metrics, StateWatch};
pub use subscription::{Subscribe, Subscription, Unclaimed};

pub use ohmqtt_codec::{
    AckProperties, Binary, ConnAck, ConnAckProperties, ConnectProperties, Disconnect,
    DisconnectProperties, InvalidTopic, MqttString, PacketId, PublishProperties, Qos, ReasonCode,
    RetainHandling, SubAck, SubAckProperties, SubscriptionOptions, TopicFilter, TopicName, Will,
    WillProperties,
};
pub use ohmqtt_session::{
    AliasPolicy, DisconnectCause, LostMessage, OutboxCounters, Overflow, ProtocolError, Redirect,
    SessionLoss,
};
#[cfg(feature = "redb")]
pub use ohmqtt_store::RedbStore;
#[cfg(feature = "sqlite")]
pub use ohmqtt_store::SqliteStore;
pub use ohmqtt_store::{Durability, MemoryStore, Store, StoreError};
#[cfg(feature = "tcp")]
pub use ohmqtt_transport::Proxy;
pub use ohmqtt_transport::{
    BoxFuture, CertificateFault, Connect, Connector, Endpoint, Phase, ProxyFault, Scheme,
    Transport, TransportError, TransportErrorKind,
};
#[cfg(feature = "tls-no-provider")]
pub use ohmqtt_transport::{Certificates, Identity, RustlsClientConfig, TlsOptions};
#[cfg(feature = "ws")]
pub use ohmqtt_transport::{WsOptions, websocket};
