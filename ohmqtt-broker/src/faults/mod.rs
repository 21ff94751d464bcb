//! Switches that break things, and records of what clients sent, for tests of programs that use a broker (feature `faults`).
//!
//! [`Broker::faults`] gives a handle. Its switches act on what goes over a connection, packet by packet; the broker behind them runs as it
//! always does. The test of a program that must not lose a message when the broker's answer to it is lost:
//!
//! ```
//! use ohmqtt_broker::Broker;
//! use ohmqtt_broker::faults::{Packet, PacketType};
//! use ohmqtt_client::{Client, Qos};
//!
//! /// What is tested: here a client, but it may be any program that connects to this address.
//! async fn program(url: &str) -> Result<(), Box<dyn std::error::Error>> {
//!     let client = Client::builder(url).client_id("meter").start()?;
//!     client.publish("readings", "42").qos(Qos::AtLeastOnce).await?.acked().await?;
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = Broker::builder().listen("mqtt://127.0.0.1:0").start().await?;
//! let faults = broker.faults();
//! let meter = faults.client("meter");
//! meter.withhold(PacketType::PubAck);
//!
//! let url = broker.url().to_owned();
//! let test = async {
//!     // The broker has the message, and its answer is lost with the connection.
//!     faults.wait_for("meter", |packet| matches!(packet, Packet::Publish(_))).await;
//!     meter.cut();
//!     meter.release(PacketType::PubAck);
//! };
//! let (done, ()) = tokio::join!(program(&url), test);
//! done?;
//!
//! let sent = faults.sent_by("meter");
//! let readings = sent.iter().filter(|packet| matches!(packet, Packet::Publish(_)));
//! assert_eq!(readings.count(), 2); // it was sent again
//! # Ok(())
//! # }
//! ```
//!
//! What is left out: faults below MQTT, such as lost or late segments of TCP. A proxy does those better.

mod disk;
mod lane;
mod plan;
mod records;
mod state;
mod switches;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ohmqtt_store::Store;
use ohmqtt_transport::{Accepted, BoxFuture, Endpoint, Listen, TransportError};

pub use ohmqtt_codec::{InvalidString, Packet, PacketType, Qos, ReasonCode};
pub use plan::{After, Direction, Told};
pub use switches::Switches;

use self::state::{Scope, Shared};
use crate::Broker;
use crate::core::Core;

/// The switches of a broker, and what its clients sent. Made by [`Broker::faults`]; clones are the same handle.
#[derive(Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

impl Broker {
    /// Switches that break things, for tests, and records of what clients send.
    ///
    /// Ask for them before clients connect: connections from before the first call are beyond their reach, and cost nothing.
    pub fn faults(&self) -> Faults {
        let shared = Arc::clone(&self.seam.0);
        shared.armed.store(true, Ordering::SeqCst);
        Faults { shared }
    }
}

impl Faults {
    /// Switches for the client with this Client Identifier, over all its connections.
    pub fn client(&self, id: impl Into<String>) -> Switches {
        self.switches(Scope::Client(id.into()))
    }

    /// Switches for all clients, those that have not said who they are among them.
    pub fn all(&self) -> Switches {
        self.switches(Scope::All)
    }

    /// Switches for the connection that is accepted next, and no other. Once it is there, only its client's switches reach it.
    pub fn next(&self) -> Switches {
        self.switches(Scope::Next)
    }

    /// Forgets the session of this client, and cuts its connection if it has one. False if there was no session.
    pub fn forget_session(&self, client: &str) -> bool {
        self.shared.cut(&Scope::Client(client.to_owned()));
        let core = self.shared.core.get().and_then(std::sync::Weak::upgrade);
        core.is_some_and(|core| core.with(|state, now| state.forget_client(now, client)))
    }

    /// From now on the [store](crate::Builder::store) fails as on a full disk, until [`free_disk`](Self::free_disk). Nothing comes of it
    /// where the broker has no store.
    pub fn fill_disk(&self) {
        self.shared.full.store(true, Ordering::SeqCst);
    }

    /// Ends [`fill_disk`](Self::fill_disk).
    pub fn free_disk(&self) {
        self.shared.full.store(false, Ordering::SeqCst);
    }

    /// The packets that this client has sent, the oldest first: the newest 1,024 of them, of no more than 4 MiB, over all its
    /// connections, and of the 1,024 clients that sent last. Those of no whole or malformed packets are not among them, nor are those
    /// larger than the broker takes.
    pub fn sent_by(&self, client: &str) -> Vec<Packet> {
        self.shared
            .records
            .read(|records| records.of(client).cloned().collect())
    }

    /// Forgets what this client has sent so far.
    pub fn clear_sent(&self, client: &str) {
        self.shared.records.update(|records| records.clear(client));
    }

    /// The first packet of this client that `is_it`, of those [recorded](Self::sent_by) so far and those to come. It may be on its way to
    /// the broker still. Nothing bounds the wait: `tokio::time::timeout` does.
    ///
    /// `is_it` must not call this handle.
    ///
    /// Cancel safety: dropping the future changes nothing.
    pub async fn wait_for(&self, client: &str, is_it: impl FnMut(&Packet) -> bool) -> Packet {
        let mut is_it = Box::new(is_it);
        let found = self.shared.records.until(move |records| {
            let mut sent = records.of(client);
            sent.find(|packet| is_it(packet)).cloned()
        });
        found.await
    }

    /// The first packet of this client behind the one with this number, and its own number, of those [recorded](Self::sent_by) so far and
    /// those to come. Numbers begin with 1 and go up; all clients' packets share them. For whoever looks at packets one by one and cannot
    /// do so inside [`wait_for`](Self::wait_for).
    ///
    /// Cancel safety: dropping the future changes nothing.
    pub async fn wait_for_next(&self, client: &str, number: u64) -> (u64, Packet) {
        let found = self.shared.records.until(move |records| {
            let first = records.after(client, number).next();
            first.map(|(number, packet)| (number, packet.clone()))
        });
        found.await
    }

    fn switches(&self, scope: Scope) -> Switches {
        let shared = Arc::clone(&self.shared);
        Switches { shared, scope }
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").finish_non_exhaustive()
    }
}

/// Where the faults are let into a broker.
#[derive(Debug)]
pub(crate) struct Seam(Arc<Shared>);

impl Seam {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn store(&self, store: Box<dyn Store>) -> Box<dyn Store> {
        let full = Arc::clone(&self.0.full);
        Box::new(disk::Disk { store, full })
    }

    pub(crate) fn listeners(
        &self,
        core: &Arc<Core>,
        listeners: Vec<Box<dyn Listen>>,
    ) -> Vec<Box<dyn Listen>> {
        // A broker starts once.
        let _ = self.0.core.set(Arc::downgrade(core));
        let longest = usize::try_from(core.limits.packet_size.get()).unwrap_or(usize::MAX);
        let wrap = |inner| {
            let shared = Arc::clone(&self.0);
            Box::new(Listener {
                inner,
                shared,
                longest,
            }) as Box<dyn Listen>
        };
        listeners.into_iter().map(wrap).collect()
    }
}

/// A listener whose streams go over wires.
struct Listener {
    inner: Box<dyn Listen>,
    shared: Arc<Shared>,
    longest: usize,
}

impl Listen for Listener {
    fn local(&self) -> Endpoint {
        self.inner.local()
    }

    fn accept(&mut self) -> BoxFuture<'_, Result<Accepted, TransportError>> {
        Box::pin(async {
            let accepted = self.inner.accept().await?;
            let (handshake, longest) = (accepted.handshake, self.longest);
            let shared = Arc::clone(&self.shared);
            let handshake = Box::pin(async move {
                let (stream, peer) = handshake.await?;
                Ok((shared.wrap(stream, longest), peer))
            });
            Ok(Accepted::new(accepted.address, handshake))
        })
    }
}
