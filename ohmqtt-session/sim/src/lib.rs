//! A deterministic simulation of the two session state machines of `ohmqtt-session`.
//!
//! One seed decides everything: what a client and a server publish, how the bytes between them arrive, where a stream is cut, what
//! their stores commit, fail and lose in a crash, and how the clock goes. Behind the faults comes peace, in which everything must
//! drain. An observer that knows the specification reads the wire and both stores, and a ledger knows what was promised of each
//! message.
//!
//! What it leaves out: bytes that are no packets, peers that mean harm, and AUTH; those are tests of `ohmqtt-session`.

mod broker;
mod client;
mod context;
mod disk;
mod happening;
mod ledger;
mod link;
mod plant;
mod rules;
mod setup;
mod side;
mod trace;
mod watch;
mod world;

pub use plant::Bug;
pub use trace::Failure;
pub use world::{Outcome, catch, run};
