//! The schemes of broker URLs: one table of names, default ports and the cargo features that carry them.

use std::fmt;

/// What carries the bytes, as the first part of a URL names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// `mqtt://`: plain TCP.
    Mqtt,
    /// `mqtts://`: TLS over TCP.
    Mqtts,
    /// `ws://`: WebSocket over TCP.
    Ws,
    /// `wss://`: WebSocket over TLS.
    Wss,
    /// `unix:/path` and `unix:@name`: a Unix socket.
    Unix,
    /// `quic://`: one QUIC stream.
    Quic,
}

/// A row of the table: what is fixed for a scheme.
struct Row {
    scheme: Scheme,
    name: &'static str,
    default_port: Option<u16>,
    /// The cargo features its backend needs, as one would write them on the command line.
    features: &'static str,
    /// Whether a path after the host means something.
    path: bool,
}

#[rustfmt::skip]
const TABLE: [Row; 6] = [
    Row { scheme: Scheme::Mqtt,  name: "mqtt",  default_port: Some(1883),  features: "tcp",    path: false },
    Row { scheme: Scheme::Mqtts, name: "mqtts", default_port: Some(8883),  features: "tls",    path: false },
    Row { scheme: Scheme::Ws,    name: "ws",    default_port: Some(80),    features: "ws",     path: true },
    Row { scheme: Scheme::Wss,   name: "wss",   default_port: Some(443),   features: "ws,tls", path: true },
    Row { scheme: Scheme::Unix,  name: "unix",  default_port: None,        features: "unix",   path: true },
    Row { scheme: Scheme::Quic,  name: "quic",  default_port: Some(14567), features: "quic",   path: false },
];

impl Scheme {
    /// The scheme with this name, in any case; `None` for one that is not ours.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|row| row.name.eq_ignore_ascii_case(name))
            .map(|row| row.scheme)
    }

    /// The names of all schemes, for a message that offers them.
    pub(crate) fn names() -> String {
        TABLE.map(|row| row.name).join(", ")
    }

    /// Its name, in lower case, without `:` or `//`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The port of a URL that names none; `None` where there are no ports.
    pub fn default_port(self) -> Option<u16> {
        self.row().default_port
    }

    pub(crate) fn features(self) -> &'static str {
        self.row().features
    }

    pub(crate) fn has_path(self) -> bool {
        self.row().path
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_variants() {
        for row in &TABLE {
            assert_eq!(row.scheme.row().name, row.name);
            assert_eq!(Scheme::from_name(row.name), Some(row.scheme));
        }
    }
}
