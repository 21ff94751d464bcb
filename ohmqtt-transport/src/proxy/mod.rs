//! Proxies between a client and its broker: their URLs, and what is common to all kinds. How each is asked for a way to the broker
//! is in a file of its own.

#[cfg(feature = "http-proxy")]
mod http;
#[cfg(feature = "socks5")]
mod socks5;
#[cfg(any(feature = "http-proxy", feature = "socks5"))]
mod tell;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use tokio::net::TcpStream;

use crate::{
    BoxFuture, ConfigError, Connector, Endpoint, Phase, TransportError, TransportErrorKind, tcp,
};

/// A proxy, through which [`Connector::proxy`] connects.
///
/// Written as a URL, `scheme://[user[:password]@]host[:port]`, user name and password percent-encoded UTF-8:
///
/// | scheme | kind | default port | cargo feature |
/// |---|---|---|---|
/// | `http://` | HTTP with the method CONNECT | 80 | `http-proxy` |
/// | `socks5://`, `socks5h://` | SOCKS version 5 (RFC 1928, RFC 1929) | 1080 | `socks5` |
///
/// The broker's name is looked up by the proxy, never here. What is said to the proxy itself, user name and password too, is not
/// encrypted; what goes through it to an `mqtts` or `wss` broker is.
///
/// `Display` and `Debug` show the URL without user name and password.
///
/// ```
/// use ohmqtt_transport::Proxy;
///
/// let proxy: Proxy = "http://alice:s%20cret@proxy.example:3128".parse()?;
/// assert_eq!(proxy.to_string(), "http://proxy.example:3128");
/// # Ok::<_, ohmqtt_transport::ConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Proxy {
    kind: &'static Kind,
    /// Host, port and credentials; its scheme means nothing.
    at: Endpoint,
}

/// A kind of proxy.
#[derive(PartialEq, Eq, Hash)]
struct Kind {
    /// The schemes of its URLs, the usual one first.
    schemes: &'static [&'static str],
    default_port: u16,
    feature: &'static str,
}

const HTTP: Kind = Kind {
    schemes: &["http"],
    default_port: 80,
    feature: "http-proxy",
};

const SOCKS5: Kind = Kind {
    schemes: &["socks5", "socks5h"],
    default_port: 1080,
    feature: "socks5",
};

const KINDS: &[&Kind] = &[&HTTP, &SOCKS5];

/// How a kind of proxy is asked for a way to the broker.
trait Tunnel: Sync {
    /// Makes of a connection to the proxy one to `to`.
    fn open<'a>(
        &self,
        stream: TcpStream,
        proxy: &'a Proxy,
        to: &'a Endpoint,
    ) -> BoxFuture<'a, Result<TcpStream, TransportError>>;
}

/// What was compiled in.
const TUNNELS: &[(&Kind, &dyn Tunnel)] = &[
    #[cfg(feature = "http-proxy")]
    (&HTTP, &http::Http),
    #[cfg(feature = "socks5")]
    (&SOCKS5, &socks5::Socks5),
];

/// A TCP connection to the endpoint, through the connector's proxy if it has one.
pub(crate) async fn dial(
    connector: &Connector,
    to: &Endpoint,
) -> Result<TcpStream, TransportError> {
    match &connector.proxy {
        None => tcp::connect(to, connector.from).await,
        Some(proxy) => proxy.connect(to, connector.from).await,
    }
}

impl Connector {
    /// Connects through this proxy, for `mqtt`, `mqtts`, `ws` and `wss`. Unix sockets are connected to without it; `quic`, which no
    /// proxy here can carry, is refused.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// For transports that no proxy carries.
    #[cfg(feature = "quic")]
    pub(crate) fn check_no_proxy(&self, to: &Endpoint) -> Result<(), TransportError> {
        if self.proxy.is_none() {
            return Ok(());
        }
        let scheme = to.scheme();
        let error = ConfigError::ProxyCannotCarry { scheme };
        Err(TransportError::misconfigured(Phase::Connect, to, error))
    }
}

impl Proxy {
    async fn connect(
        &self,
        to: &Endpoint,
        from: Option<IpAddr>,
    ) -> Result<TcpStream, TransportError> {
        let Some((_, tunnel)) = TUNNELS.iter().find(|(kind, _)| *kind == self.kind) else {
            let features = self.kind.feature;
            let kind = TransportErrorKind::NotCompiledIn { features };
            return Err(TransportError::new(kind, Phase::Proxy, self, features));
        };
        let stream = tcp::connect(&self.at, from)
            .await
            .map_err(|error| TransportError::new(error.kind(), Phase::Proxy, self, error))?;
        tunnel.open(stream, self, to).await
    }
}

impl FromStr for Proxy {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        // Without a scheme it could be either kind; what stands there may be a secret.
        let (name, rest) = text.split_once("://").unwrap_or_default();
        let named = |kind: &&&Kind| {
            let mut schemes = kind.schemes.iter();
            schemes.any(|scheme| scheme.eq_ignore_ascii_case(name))
        };
        let kind = KINDS.iter().find(named).ok_or(ConfigError::UnknownProxy)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (_, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (_, after) = host.rsplit_once(']').unwrap_or(("", host));
        let url = if after.contains(':') {
            format!("mqtt://{authority}")
        } else {
            format!("mqtt://{authority}:{}", kind.default_port)
        };
        let bad = |error| ConfigError::BadProxy(Box::new(error));
        let at: Endpoint = url.parse().map_err(bad)?;
        if at
            .password()
            .is_some_and(|password| str::from_utf8(password).is_err())
        {
            return Err(bad(ConfigError::BadCredentials));
        }
        Ok(Self { kind, at })
    }
}

impl TryFrom<&str> for Proxy {
    type Error = ConfigError;

    fn try_from(text: &str) -> Result<Self, ConfigError> {
        text.parse()
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.kind.schemes.first().copied().unwrap_or_default();
        let at = self.at.to_string();
        let (_, address) = at.split_once("://").unwrap_or_default();
        write!(f, "{scheme}://{address}")
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: &str) {
        let proxy: Result<Proxy, _> = text.parse();
        assert_eq!(proxy.unwrap().to_string(), want, "{text}");
    }

    #[test]
    fn a_url_names_kind_host_and_port() {
        check("http://proxy", "http://proxy:80");
        check("HTTP://u:p@proxy:3128/", "http://proxy:3128");
        check("socks5://10.0.0.1", "socks5://10.0.0.1:1080");
        check("socks5h://u@[::1]", "socks5://[::1]:1080");
        check("socks5://[::1]:9", "socks5://[::1]:9");
    }

    #[test]
    fn a_bad_url_is_refused_without_showing_a_secret() {
        for text in [
            "",
            "proxy:3128",
            "u:secret@proxy:3128",
            "https://u:secret@proxy",
            "http://u:secret@",
            "http://u:secret@proxy:x",
            "http://u:secret@proxy/path",
            "http://u:secret/x@proxy",
            "http://u:secret%ff@proxy",
            "socks5://u:secret@a b",
        ] {
            let error = text.parse::<Proxy>().unwrap_err().to_string();
            assert!(error.contains("proxy"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
