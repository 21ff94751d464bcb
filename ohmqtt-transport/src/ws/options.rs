//! What of a WebSocket can be chosen.

use tungstenite::http::{HeaderMap, HeaderName, HeaderValue};

use crate::{ConfigError, Connector, ListenOptions};

/// More than the largest packet of MQTT, 268,435,460 bytes, several of which may share a message.
const DEFAULT_MESSAGE_LIMIT: u64 = 1 << 30;

/// The handshake's own, which a user cannot set.
const RESERVED: [&str; 5] = [
    "connection",
    "content-length",
    "host",
    "transfer-encoding",
    "upgrade",
];

/// How WebSocket is spoken, for `ws` and `wss`. The path and the query are the URL's; a client asks for `/mqtt` where the
/// URL has no path.
#[derive(Clone)]
pub struct WsOptions {
    headers: HeaderMap,
    message_limit: u64,
}

impl WsOptions {
    /// The defaults: no headers of one's own, messages up to 1 GiB.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends this header with a client's handshake, besides those it needs; the same name again adds another. For
    /// `Authorization`, `Origin`, cookies. Listeners ignore it.
    ///
    /// # Errors
    ///
    /// [`ConfigError::BadHeader`] when HTTP does not allow the name or the value, or the name is one that the handshake
    /// sets itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, ConfigError> {
        let bad = || ConfigError::BadHeader { name: name.into() };
        let name: HeaderName = name.parse().map_err(|_| bad())?;
        let mut value: HeaderValue = value.parse().map_err(|_| bad())?;
        if RESERVED.contains(&name.as_str()) || name.as_str().starts_with("sec-websocket-") {
            return Err(bad());
        }
        value.set_sensitive(true);
        self.headers.append(name, value);
        Ok(self)
    }

    /// The longest message to receive, in bytes of payload over all its frames, and so the longest frame. A longer one ends
    /// the stream. Nothing is allocated by it: payloads pass through as they come.
    #[must_use]
    pub fn message_limit(mut self, bytes: u64) -> Self {
        self.message_limit = bytes;
        self
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(super) fn longest_message(&self) -> u64 {
        self.message_limit
    }
}

impl Default for WsOptions {
    fn default() -> Self {
        Self {
            headers: HeaderMap::new(),
            message_limit: DEFAULT_MESSAGE_LIMIT,
        }
    }
}

impl std::fmt::Debug for WsOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WsOptions")
            .field("headers", &self.headers)
            .field("message_limit", &self.message_limit)
            .finish()
    }
}

impl Connector {
    /// Speaks WebSocket by these options, for `ws` and `wss`.
    #[must_use]
    pub fn websocket(mut self, options: WsOptions) -> Self {
        self.ws = options;
        self
    }
}

impl ListenOptions {
    /// Speaks WebSocket by these options, on `ws` and `wss`.
    #[must_use]
    pub fn websocket(mut self, options: WsOptions) -> Self {
        self.ws = options;
        self
    }
}
