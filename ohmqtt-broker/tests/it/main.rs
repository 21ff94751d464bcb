//! The broker as scripted clients see it: raw packets over TCP; and its fault switches, as our own client sees them.

mod access;
mod bounds;
mod client;
mod connecting;
mod deferred_wills;
mod disk;
mod draining;
mod examples;
#[cfg(feature = "faults")]
mod faults;
mod forwarding;
mod hostile;
mod lifecycle;
mod offered;
mod operation;
mod persistence;
mod qos;
mod retained;
#[cfg(all(
    feature = "faults",
    feature = "passwords",
    feature = "tls",
    feature = "ws"
))]
mod secrets;
mod sessions;
mod shared;
mod shared_redelivery;
mod stored_once;
mod storing;
mod subscriptions;
mod sys_counts;
#[cfg(all(unix, feature = "quic", feature = "unix", feature = "ws"))]
mod transports;
mod violations;
mod wills;

#[cfg(feature = "tls")]
#[path = "../../../ohmqtt-client/tests/it/support/certs.rs"]
mod certs;
#[path = "../../../ohmqtt-client/tests/it/support/log.rs"]
mod log;
#[cfg(all(
    feature = "faults",
    feature = "passwords",
    feature = "tls",
    feature = "ws"
))]
#[path = "../../../ohmqtt-client/tests/it/support/shown.rs"]
mod shown;
