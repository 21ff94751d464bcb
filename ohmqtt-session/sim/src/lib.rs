//! A deterministic simulation of the two session state machines of `ohmqtt-session`.
//!
//! One seed decides everything: what a client and a server publish, how the bytes between them arrive, where a stream is cut, what
//! their stores commit, fail and lose in a crash, and how the clock goes. Behind the faults comes peace, in which everything must
//! drain. An observer that knows the specification reads the wire and both stores, and a ledger knows what was promised of each
//! message.
//!
//! What it takes for granted, because no session could know better:
//! - a server that has lost a session says so until the client has stored that it knows. A client that never hears the CONNACK, or
//!   forgets it in a crash, would take the next session for the old one: MQTT has no name for a session;
//! - an application has what it holds of a QoS 2 message for certain only once the identifier is stored; in a crash before, it gives
//!   it back. That is "taken and recorded in one step" of the contract;
//! - a message that is reported lost may still come when a crash undoes the deletion of its record.
//!
//! What it leaves out: bytes that are no packets, peers that mean harm, and AUTH; those are tests of `ohmqtt-session`.

mod broker;
mod client;
mod context;
mod disk;
mod happening;
mod ledger;
mod link;
mod payload;
mod plant;
mod room;
mod rules;
mod setup;
mod side;
mod trace;
mod watch;
mod world;

pub use plant::Bug;
pub use trace::Failure;
pub use world::{Outcome, catch, run};
