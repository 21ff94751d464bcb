//! A small embeddable MQTT 5.0 broker for tests, development and small sites.
//!
//! ```
//! use std::time::Duration;
//!
//! use ohmqtt_broker::Broker;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), ohmqtt_broker::StartError> {
//! let broker = Broker::builder().listen("mqtt://127.0.0.1:0").start().await?;
//! assert_ne!(broker.url(), "mqtt://127.0.0.1:0"); // a free port was taken
//! // ... clients connect to `broker.url()` ...
//! broker.shutdown(Duration::from_secs(1)).await;
//! # Ok(())
//! # }
//! ```
//!
//! What it does: QoS 0 to 2, sessions that outlive their connections, take-over, wildcards, shared subscriptions, retained messages,
//! wills with delay, subscription identifiers, topic aliases and flow control. Everything it holds has a bound: see [`Limits`]. A client
//! that floods, or sends what no client may, hurts itself.
//!
//! With a [store](Builder::store) sessions, queued and retained messages survive the process, however it ends.
//!
//! For tests of what uses a broker, the feature `faults` adds `Broker::faults()`: switches that cut, delay, withhold, refuse and forget, and
//! records of what each client sent.
//!
//! Who may do what: unless told otherwise nobody is asked who it is, and so it listens at loopback addresses only. It asks by a
//! [file of passwords](Builder::passwords), by the [certificates](Builder::certificate_users) of clients, by a
//! [way of your own](Builder::authenticate) or a [method](Builder::enhanced) of enhanced authentication, and allows what an
//! [ACL file](Builder::acl) or [something of your own](Builder::authorize) allows.
//!
//! What it does not: without a store all it holds is in memory and goes with the process.
//!
//! # Scope
//!
//! One node, and it knows no other: all sessions and subscriptions are in one process, and while that is down nobody is served. One lock
//! guards the routing of messages, so that more cores carry more connections, not more routing. Where one machine is not enough, for the
//! load or because it may fail, use a clustered broker, such as EMQX or RMQTT. Programs stay as they are: `ohmqtt-client` speaks
//! to any broker of MQTT 5.0, and with shared subscriptions (`$share/workers/jobs/#`) several of them share one stream of messages, there
//! as here.

/// The pages of the guide whose programs need what only some features bring.
#[cfg(all(doctest, feature = "faults", feature = "tls", feature = "ws"))]
mod guide {
    #[doc = include_str!("../../docs/testing.md")]
    mod testing {}
    #[doc = include_str!("../../docs/transports.md")]
    mod transports {}
}

mod access;
mod broker;
mod builder;
mod connection;
mod connections;
mod core;
mod deadlines;
#[cfg(feature = "faults")]
pub mod faults;
#[cfg(not(feature = "faults"))]
#[path = "faults/none.rs"]
mod faults;
mod identifier;
mod limits;
mod listener;
mod redelivery;
mod retained;
mod review;
mod routing;
mod session;
mod store;
mod survey;
mod sys;
mod traffic;
mod tree;
mod will;

#[cfg(feature = "passwords")]
pub use access::PasswordFile;
#[cfg(feature = "scram")]
pub use access::ScramSha256;
pub use access::{
    Action, AuthStep, Authenticate, Authorize, EnhancedAuthenticate, Exchange, FileError, Login,
    Principal, User,
};
pub use broker::Broker;
pub use builder::{Builder, StartError};
pub use limits::{Limits, WhenFull};
pub use ohmqtt_codec::{Qos, ReasonCode};
#[cfg(feature = "redb")]
pub use ohmqtt_store::RedbStore;
#[cfg(feature = "sqlite")]
pub use ohmqtt_store::SqliteStore;
pub use ohmqtt_store::{Durability, MemoryStore, Store, StoreError};
pub use ohmqtt_transport::{
    Accepted, BoxFuture, ConfigError, Endpoint, Handshake, Listen, ListenOptions, Peer,
    PeerAddress, TransportError, TransportErrorKind,
};
#[cfg(feature = "tls-no-provider")]
pub use ohmqtt_transport::{Certificates, Identity, RustlsServerConfig};
pub use survey::Metrics;
