//! The rules of MQTT 5.0 as sans-IO state machines, for the client and for the server.
//!
//! A session takes packets, time and the store's word in, and gives packets, store operations, events and a deadline out. It has no
//! socket, no thread, no lock, no clock and no randomness of its own: the same inputs always give the same outputs. Bytes are
//! `ohmqtt-codec`'s business; streams, stores and waiting are the caller's.
//!
//! # The loop
//!
//! For each stream: tell the session it came, then keep doing all of these until the session asks to close or the stream ends, then
//! tell it so. The order among them does not matter; after any call that puts something in, ask all the polls again.
//!
//! 1. `poll_store` until `None`; hand the operations to the store in their order; its word comes back as `handle_stored` or
//!    `handle_store_failed`. `poll_load` likewise, answered by `handle_loaded` or `handle_load_failed`. (Nothing of this without a
//!    store.)
//! 2. `poll_packet` until `None`, or until enough is gathered; write it.
//! 3. `poll_event` until `None`; act on it.
//! 4. If `poll_close`: flush and close the stream.
//! 5. Wait for bytes, for `poll_timeout`, for the store, or for a user's call. Decode bytes while `is_ready`, and pass each packet to
//!    `handle_packet`, a decoding error to `handle_malformed`; pass a reached deadline to `handle_timeout`.
//!
//! ```
//! use ohmqtt_codec::{EncodeBuf, Limits, Qos, TopicName, decode};
//! use ohmqtt_session::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Two sessions joined by memory: what one writes the other reads.
//! let now = Instant::from_unix_micros(1_800_000_000_000_000);
//! let mut client = ClientSession::new(ClientConfig::new("example".try_into()?));
//! let mut server = ServerSession::new(now, ServerConfig::default());
//! client.handle_connected(now);
//! server.handle_connected(now);
//!
//! fn carry(now: Instant, from: &mut impl Session, to: &mut impl Session) -> Result<(), Box<dyn std::error::Error>> {
//!     let mut out = EncodeBuf::new();
//!     while let Some(packet) = from.poll_packet(now) {
//!         packet.encode(&mut out)?;
//!     }
//!     let mut bytes = bytes::BytesMut::from(&out.into_bytes()[..]);
//!     while let Some(packet) = decode(&mut bytes, &Limits::default())? {
//!         to.handle_packet(now, packet);
//!     }
//!     Ok(())
//! }
//!
//! carry(now, &mut client, &mut server)?; // CONNECT
//! assert!(matches!(server.poll_event(), Some(ServerEvent::Connect(_))));
//! server.accept(now, Accept::default());
//! carry(now, &mut server, &mut client)?; // CONNACK
//! assert!(matches!(client.poll_event(), Some(ClientEvent::Connected(_))));
//!
//! let mut message = Message::new(TopicName::new("greeting")?, "hello");
//! message.qos = Qos::AtLeastOnce;
//! client.publish(now, message, PublishOptions { ticket: Ticket(7), ..Default::default() })?;
//! carry(now, &mut client, &mut server)?; // PUBLISH
//! let Some(ServerEvent::Message { receipt: Some(receipt), message }) = server.poll_event() else { panic!() };
//! assert_eq!(message.payload, "hello");
//! server.acknowledge(receipt, ohmqtt_codec::ReasonCode::Success);
//! carry(now, &mut server, &mut client)?; // PUBACK
//! assert_eq!(client.poll_event(), Some(ClientEvent::Sent { ticket: Ticket(7) }));
//! assert!(matches!(client.poll_event(), Some(ClientEvent::Acked { ticket: Ticket(7), .. })));
//! # Ok(())
//! # }
//! ```

#![no_std]
#![warn(clippy::std_instead_of_core, clippy::alloc_instead_of_core)]

extern crate alloc;

mod aliases;
mod backoff;
mod client;
mod connection;
mod direction;
mod error;
mod exchange;
mod fit;
mod flows;
mod message;
mod out;
mod record;
mod redirect;
mod server;
mod time;

use alloc::collections::VecDeque;

use ohmqtt_codec::{DecodeError, EncodeBuf, Packet, PacketType, TooLarge};

pub use aliases::AliasPolicy;
pub use backoff::{Backoff, BackoffLimits};
pub use client::{ClientConfig, ClientEvent, ClientSession, SubscribeError};
pub use connection::PeerLimits;
pub use error::{DisconnectCause, ProtocolError};
pub use flows::{
    Flows, GivenBack, OutboxConfig, OutboxCounters, OutboxLimits, Overflow, PublishError, Receipt,
    Rejected, SessionLoss, Unfinished, Window,
};
pub use message::{LostMessage, Message, PublishOptions, Ticket};
pub use record::{Backlog, Key, Load, Loaded, Lsn, Record, StoreOp};
pub use redirect::Redirect;
pub use server::{Accept, Routed, ServerConfig, ServerEvent, ServerSession, Subscription};
pub use time::Instant;

/// What a driver may call, the same for both roles. The [crate's front page](crate) tells the loop.
pub trait Session {
    /// What happened, for the caller.
    type Event;

    /// The stream came.
    fn handle_connected(&mut self, now: Instant);

    /// The stream ended, however it did.
    fn handle_disconnected(&mut self, now: Instant);

    /// A packet came. One that breaks a rule queues DISCONNECT where that is allowed, and asks to close.
    fn handle_packet(&mut self, now: Instant, packet: Packet);

    /// Bytes came that are no packet. Answered like a packet that breaks a rule; the stream is of no use any more.
    fn handle_malformed(&mut self, now: Instant, error: DecodeError);

    /// A deadline may have passed. Calling it early does no harm.
    fn handle_timeout(&mut self, now: Instant);

    /// The store holds all operations up to this one.
    fn handle_stored(&mut self, upto: Lsn);

    /// Of the operations polled and not stored yet, those up to this one are not stored, and will not be.
    fn handle_store_failed(&mut self, upto: Lsn);

    /// The answer to `poll_load`.
    fn handle_loaded(&mut self, now: Instant, loaded: Loaded);

    /// What `poll_load` asked for could not be read. It is asked for again.
    fn handle_load_failed(&mut self);

    /// The next packet to write. Only packets whose records are stored come; ask again after any other call.
    fn poll_packet(&mut self, now: Instant) -> Option<Packet>;

    /// The same packet at the end of a buffer, with nothing on the way there: its type, and whether it could be said.
    ///
    /// A session sends nothing that is larger than the other side accepts, and so nothing that is too large.
    fn poll_encoded(
        &mut self,
        now: Instant,
        buf: &mut EncodeBuf,
    ) -> Option<(PacketType, Result<(), TooLarge>)>;

    /// The next operation for the store. Those that come one after the other until there is none are to be stored together.
    fn poll_store(&mut self) -> Option<(Lsn, StoreOp)>;

    /// The next stretch of records to read, all of them stored. No other comes before the answer to this one.
    fn poll_load(&mut self) -> Option<Load>;

    /// The next event.
    fn poll_event(&mut self) -> Option<Self::Event>;

    /// Puts all events that there are behind those that are there, as [`poll_event`](Self::poll_event) would give them.
    fn poll_events(&mut self, events: &mut VecDeque<Self::Event>);

    /// Whether the stream is to end now: flush what was polled, then close it.
    fn poll_close(&mut self) -> bool;

    /// The earliest deadline. It moves with every other call; ask again after any.
    fn poll_timeout(&self) -> Option<Instant>;

    /// How many messages of QoS 1 and 2 were sent and are not acknowledged.
    fn awaited(&self) -> usize;

    /// Whether the connection is coming to its end: what is polled from now on is the last. Give the stream a limited time from here.
    fn is_ending(&self) -> bool;

    /// Whether the session takes another packet now. While it is false the next packet has to wait in the stream: an event waits for
    /// the caller's answer, or more answers wait to be polled than a faultless peer causes, or a thousand events, or a server has sent
    /// more than the client's Receive Maximum and the application is to acknowledge first. It may change with any other call.
    fn is_ready(&self) -> bool;
}
