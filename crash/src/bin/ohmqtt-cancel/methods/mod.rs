//! The table of the methods, a row each. A public future of the client that has none here is a violation.

mod connection;
mod publishing;
mod receiving;

use std::error::Error;

use crate::subject::Method;

pub(crate) use self::receiving::{received, subscribed, two_messages};

/// Where the peer publishes to the client.
const IN: &str = "in/x";

/// Every public future of the client.
pub(crate) fn all() -> impl Iterator<Item = &'static Method> {
    let parts = [connection::METHODS, publishing::METHODS, receiving::METHODS];
    parts.into_iter().flatten()
}

fn told(error: impl Into<Box<dyn Error>>) -> String {
    error.into().to_string()
}
