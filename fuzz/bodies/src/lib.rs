//! What the fuzz targets do: each takes any bytes, drives one part of ΩQTT by them, and panics where a promise is broken.
//!
//! The bodies see what every user sees, the public API. libFuzzer runs them for hours (`cargo xtask fuzz`), and the tests of this
//! crate run them over random bytes and over the seeds in `fuzz/seeds`, where every finding stays. With `OHMQTT_FUZZ_TRACE` in the
//! environment the targets of the sessions tell each step.

mod access;
mod packets;
mod record;
mod trial;
mod url;
mod websocket;

/// One fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of its binary, and of its folder of seeds.
    pub name: &'static str,
    /// Takes any bytes, and panics where something is wrong.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 8] = [
    Target {
        name: "decode",
        run: packets::decode,
    },
    Target {
        name: "round_trip",
        run: packets::round_trip,
    },
    Target {
        name: "client",
        run: trial::client,
    },
    Target {
        name: "server",
        run: trial::server,
    },
    Target {
        name: "websocket",
        run: websocket::run,
    },
    Target {
        name: "url",
        run: url::run,
    },
    Target {
        name: "record",
        run: record::run,
    },
    Target {
        name: "access",
        run: access::run,
    },
];

/// Runs the target of this name.
///
/// # Panics
///
/// Where something is wrong, or there is no such target.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target").run)(data);
}
