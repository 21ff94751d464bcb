//! What a proxy is told, and how its answers become errors.

use std::error::Error;
use std::io;

use super::Proxy;
use crate::error::ProxyFault;
use crate::{Endpoint, Phase, TransportError, TransportErrorKind};

type Source = Box<dyn Error + Send + Sync>;

impl Proxy {
    /// User name and password, if it has either.
    pub(super) fn credentials(&self) -> Option<(&str, &str)> {
        let (user, password) = (self.at.user_name(), self.at.password());
        if (user, password) == (None, None) {
            return None;
        }
        // Checked when the URL was parsed.
        let password = str::from_utf8(password.unwrap_or_default()).unwrap_or_default();
        Some((user.unwrap_or_default(), password))
    }

    /// The proxy itself is the trouble.
    pub(super) fn fault(&self, fault: ProxyFault, source: impl Into<Source>) -> TransportError {
        TransportError::new(TransportErrorKind::Proxy(fault), Phase::Proxy, self, source)
    }

    /// The connection to the proxy is the trouble.
    pub(super) fn lost(&self, error: io::Error) -> TransportError {
        TransportError::from_io(Phase::Proxy, self, error)
    }

    /// The way from the proxy to the broker is the trouble.
    pub(super) fn no_way(
        &self,
        kind: TransportErrorKind,
        to: &Endpoint,
        source: impl Into<Source>,
    ) -> TransportError {
        let address = format!("{to} through {self}");
        TransportError::new(kind, Phase::Connect, address, source)
    }
}
