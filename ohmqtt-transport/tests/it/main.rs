//! Integration tests: URLs, the contract that every transport keeps, and what is particular to each.

#[cfg(not(all(feature = "quic", feature = "ws", unix, feature = "unix")))]
mod absent;
#[cfg(all(feature = "tls", feature = "aws-lc-rs"))]
mod aws_lc_rs;
#[cfg(feature = "tls")]
mod certs;
#[cfg(any(feature = "tcp", all(unix, feature = "unix")))]
mod contract;
mod errors;
#[cfg(all(
    feature = "tls-no-provider",
    not(any(feature = "ring", feature = "aws-lc-rs"))
))]
mod no_provider;
#[cfg(all(target_os = "linux", feature = "tls"))]
mod platform_trust;
#[cfg(feature = "quic")]
mod quic;
#[cfg(feature = "tls")]
mod refusals;
#[cfg(feature = "tcp")]
mod tcp;
#[cfg(feature = "tls")]
mod tls;
#[cfg(all(unix, feature = "unix"))]
mod unix;
#[cfg(feature = "tls")]
mod unverified;
mod url;
#[cfg(feature = "ws")]
mod ws;
