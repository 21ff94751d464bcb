//! Settings that cannot be used: a URL, a certificate, a header. One enum, because whoever reads it has to change something
//! before trying again.

use std::convert::Infallible;

use crate::Scheme;

/// A URL or another setting that cannot be used, and which part of it is wrong. Trying again will not help.
///
/// No variant holds, and no message shows, a user name, a password or a private key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The scheme is none of ours.
    #[error(
        "unknown scheme `{scheme}` in broker URL; use one of {}",
        Scheme::names()
    )]
    UnknownScheme {
        /// The scheme as it was written.
        scheme: String,
    },
    /// There is no host where one is needed.
    #[error(
        "no host in broker URL; write one after `//`, or 0.0.0.0 or [::] to listen on every interface"
    )]
    MissingHost,
    /// The host is neither a name nor an address.
    #[error(
        "bad host `{host}` in broker URL; use a name (international ones as xn--...), an IPv4 address, or an IPv6 \
         address in brackets without a zone"
    )]
    BadHost {
        /// The host as it was written.
        host: String,
    },
    /// The port is not a number from 0 to 65535.
    #[error("bad port `{port}` in broker URL; use a number from 0 to 65535")]
    BadPort {
        /// The port as it was written.
        port: String,
    },
    /// User name or password hold something a URL cannot, or the user name is not UTF-8 without U+0000.
    #[error(
        "bad user name or password in broker URL (not shown); percent-encode everything but letters, digits, `-`, `.`, \
         `_` and `~`, and an `@` in a path as `%40`"
    )]
    BadCredentials,
    /// The path has a character a URL cannot hold, or is not one that this scheme can use.
    #[error("bad path `{path}` in broker URL; {}", path_advice(*.scheme))]
    BadPath {
        /// The scheme of the URL.
        scheme: Scheme,
        /// The path as it was written; of a query, which may hold a secret, no more than the `?`.
        path: String,
    },
    /// A listener with TLS was given no certificate to show.
    #[error("no certificate for a {scheme} listener; give one to listen_with, as Identity::pem")]
    MissingIdentity {
        /// The scheme of the URL.
        scheme: Scheme,
    },
    /// A certificate or a private key cannot be used.
    #[error("bad {what}: {reason}")]
    BadCertificate {
        /// Which one: of which use, and of which file if it came from one.
        what: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The name that the server's certificate is to have is neither a name nor an address.
    #[error("bad server name `{name}`; use a host name or an IP address")]
    BadServerName {
        /// The name as it was given.
        name: String,
    },
    /// The platform has no trusted certificates.
    #[error(
        "no certificate authority is trusted by this system; install its certificates (often a package `ca-certificates`) \
         or name your own authority"
    )]
    EmptyTrustStore,
    /// TLS was compiled in without cryptography, and no configuration of rustls with its own was given.
    #[error(
        "no cryptography for TLS in this build; enable the cargo feature `ring` or `aws-lc-rs`, or give a configuration of \
         rustls that has its own"
    )]
    NoCryptoProvider,
    /// No cipher suite that was compiled in has this name.
    #[error("unknown cipher `{name}`; use one of {known}")]
    UnknownCipher {
        /// The name as it was given.
        name: String,
        /// Those there are.
        known: String,
    },
    /// rustls refused the settings.
    #[error("bad TLS settings: {reason}")]
    BadTls {
        /// What it said.
        reason: String,
    },
    /// The URL of a proxy names no kind of proxy.
    #[error("no kind of proxy in its URL; write it as http://host:port or socks5://host:port")]
    UnknownProxy,
    /// The URL of a proxy is wrong.
    #[error("proxy: {0}")]
    BadProxy(#[source] Box<ConfigError>),
    /// No proxy carries this.
    #[error(
        "no proxy carries {scheme}; use another transport through the proxy, or {scheme} without one"
    )]
    ProxyCannotCarry {
        /// The scheme of the URL.
        scheme: Scheme,
    },
    /// A header cannot be sent in a WebSocket handshake.
    #[error(
        "bad header `{name}` (its value is not shown); use a name that HTTP allows and the handshake itself does not need, \
         and a value of visible characters"
    )]
    BadHeader {
        /// The name as it was given.
        name: String,
    },
}

fn path_advice(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Unix => {
            "use unix:/absolute/path or unix:@name, with special characters percent-encoded"
        }
        Scheme::Ws | Scheme::Wss => "percent-encode special characters, and leave out a `#` part",
        Scheme::Mqtt | Scheme::Mqtts | Scheme::Quic => {
            "this scheme takes none: remove what follows the port"
        }
    }
}

impl From<Infallible> for ConfigError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
