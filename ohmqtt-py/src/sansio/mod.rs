//! `ohmqtt.sansio`: the sessions of both roles, fed bytes and asked for bytes, without I/O, threads or a clock.
//!
//! `Machine` joins a session to the codec and is the same for both roles; the classes add what each role may do. Events
//! are Python's own classes, defined in `ohmqtt.sansio`. Stores are left out: a session lives as long as its object.

mod client;
mod ending;
mod event;
mod machine;
mod message;
mod names;
mod server;
mod time;
mod token;

pub(crate) use client::PyClientSession;
pub(crate) use message::{PyMessage, PySubscription};
pub(crate) use server::PyServerSession;
pub(crate) use token::{PyFlows, PyReceipt};
