//! A broker's address as users write it: a URL, validated once. Resolving names and connecting happen elsewhere.

mod parse;

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::Scheme;

/// Where to connect to or listen at: a parsed URL.
///
/// `scheme://[user[:password]@]host[:port][/path][?query]`, where the scheme is one of [`Scheme`]'s and `mqtt` when
/// there is none; or `unix:/path`, or `unix:@name` for Linux's abstract names. An IPv6 address stands in brackets. User
/// name, password and the path of a Unix socket are percent-decoded. A path and a query mean something for WebSocket
/// only. Port 0 lets a listener choose.
///
/// `Display` gives the URL with its port and without user name, password and query; `Debug` does too: neither shows a
/// secret.
///
/// ```
/// use ohmqtt_transport::Endpoint;
///
/// let endpoint: Endpoint = "mqtt://alice:s%20cret@broker.example".parse()?;
/// assert_eq!(endpoint.host(), Some("broker.example"));
/// assert_eq!(endpoint.port(), Some(1883));
/// assert_eq!(endpoint.user_name(), Some("alice"));
/// assert_eq!(endpoint.password(), Some(&b"s cret"[..]));
/// assert_eq!(endpoint.to_string(), "mqtt://broker.example:1883");
/// # Ok::<_, ohmqtt_transport::ConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    scheme: Scheme,
    /// Empty for a Unix socket; an IPv6 address without its brackets.
    host: String,
    /// 0 for a Unix socket.
    port: u16,
    user_name: Option<String>,
    password: Option<Vec<u8>>,
    path: Option<String>,
    query: Option<String>,
}

/// What a decoded socket path needs encoded again to be read back as it was: all that a path may not hold (RFC 3986, section 3.3).
const SOCKET_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

impl Endpoint {
    /// What carries the bytes.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// A name or an IP address, IPv6 without its brackets; `None` for a Unix socket.
    pub fn host(&self) -> Option<&str> {
        (self.scheme != Scheme::Unix).then_some(self.host.as_str())
    }

    /// The port, the scheme's own where the URL names none; `None` for a Unix socket.
    pub fn port(&self) -> Option<u16> {
        (self.scheme != Scheme::Unix).then_some(self.port)
    }

    /// The user name, percent-decoded.
    pub fn user_name(&self) -> Option<&str> {
        self.user_name.as_deref()
    }

    /// The password, percent-decoded: any bytes.
    pub fn password(&self) -> Option<&[u8]> {
        self.password.as_deref()
    }

    /// The path: of a WebSocket URL as it stands there, with its `/`; of a Unix socket percent-decoded, an abstract
    /// name with its `@`. `None` where there is none.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// The query of a WebSocket URL as it stands there, without its `?`. It may hold a secret (signed URLs), so
    /// `Display` leaves it out.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// The same place with another port and without credentials: what a listener says of itself.
    #[cfg(any(feature = "tcp", all(unix, feature = "unix")))]
    pub(crate) fn listening_at(&self, port: u16) -> Self {
        Self {
            port,
            user_name: None,
            password: None,
            ..self.clone()
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.as_deref().unwrap_or_default();
        if self.scheme == Scheme::Unix {
            return write!(
                f,
                "{}:{}",
                self.scheme,
                utf8_percent_encode(path, SOCKET_PATH)
            );
        }
        let (open, close) = if self.host.contains(':') {
            ("[", "]")
        } else {
            ("", "")
        };
        write!(
            f,
            "{}://{open}{}{close}:{}{path}",
            self.scheme, self.host, self.port
        )
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}
