//! The address of this machine that connections are made from.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::Connector;

impl Connector {
    /// Connects from this address of this machine, instead of one that the system chooses: over TCP and what runs over it, to a proxy too,
    /// and over QUIC. Only addresses of its family are connected to. An address of another machine is an error of kind
    /// [`AddressNotAvailable`](crate::TransportErrorKind::AddressNotAvailable). Unix sockets have none.
    ///
    /// ```
    /// use ohmqtt_transport::Connector;
    ///
    /// let connector = Connector::new().bind([192, 0, 2, 7].into());
    /// ```
    #[must_use]
    pub fn bind(mut self, address: IpAddr) -> Self {
        self.from = Some(address);
        self
    }
}

/// What a socket to `to` is bound to; `None` where the system chooses.
pub(crate) fn bound(from: Option<IpAddr>, to: SocketAddr) -> io::Result<Option<SocketAddr>> {
    match from {
        Some(from) if from.is_ipv4() != to.is_ipv4() => Err(io::Error::new(
            io::ErrorKind::AddrNotAvailable,
            format!("{from} and {to} are of two families"),
        )),
        from => Ok(from.map(|from| (from, 0).into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_bound_within_its_family() {
        let bind = |from: &str, to: &str| bound(Some(from.parse().unwrap()), to.parse().unwrap());
        let v4 = bind("127.0.0.2", "127.0.0.1:1883").unwrap();
        assert_eq!(v4, Some("127.0.0.2:0".parse().unwrap()));
        let v6 = bind("::1", "[::1]:1883").unwrap();
        assert_eq!(v6, Some("[::1]:0".parse().unwrap()));
        let mixed = bind("::1", "127.0.0.1:1883").unwrap_err();
        assert_eq!(mixed.kind(), io::ErrorKind::AddrNotAvailable);
        assert_eq!(bound(None, "127.0.0.1:1".parse().unwrap()).unwrap(), None);
    }
}
