//! What the broker keeps in a store beside the flows of its sessions: who has a session and until when, what it subscribed to, and the
//! retained messages.
//!
//! `record` is how that looks as bytes, `unsaved` how changes come to the store, and `restore` how they come back. The records of the
//! flows are the business of the session and of `ohmqtt-store`.

pub(crate) mod record;
mod restore;
mod unsaved;

pub(crate) use restore::restore;
pub(crate) use unsaved::{Unsaved, reason_of};
