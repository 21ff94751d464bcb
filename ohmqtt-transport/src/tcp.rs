//! `mqtt://`: plain TCP, both ends.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

use crate::backend::Backend;
use crate::local::bound;
use crate::patience::accept_patiently;
use crate::proxy::dial;
use crate::race::{in_turn, race};
use crate::resting::Resting;
use crate::{
    Accepted, BoxFuture, Connector, Endpoint, Handshake, Listen, ListenOptions, Peer, PeerAddress,
    Phase, Transport, TransportError, TransportErrorKind,
};

/// The row of TCP in the table of backends.
pub(crate) struct Tcp;

impl Backend for Tcp {
    fn connect<'a>(
        &self,
        connector: &'a Connector,
        to: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Transport>, TransportError>> {
        Box::pin(async move {
            let stream = Resting::new(dial(connector, to).await?);
            Ok(Box::new(stream) as Box<dyn Transport>)
        })
    }

    fn listen<'a>(
        &self,
        at: &'a Endpoint,
        _options: &'a ListenOptions,
    ) -> BoxFuture<'a, Result<Box<dyn Listen>, TransportError>> {
        Box::pin(async move {
            Ok(Box::new(TcpListen::bind(at, Box::new(plain)).await?) as Box<dyn Listen>)
        })
    }
}

// [MQTT-4.2.0-1] Ordered, lossless, in both directions.
/// A TCP stream to whichever address of the endpoint's host answers first, from an address of this machine's if it is given.
pub(crate) async fn connect(
    to: &Endpoint,
    from: Option<IpAddr>,
) -> Result<TcpStream, TransportError> {
    let addresses = in_turn(resolve(to).await?);
    let stream = race(addresses, |address| connect_one(address, from))
        .await
        .map_err(|error| refused(to, error))?;
    send_at_once(&stream);
    Ok(stream)
}

/// An address is nobody's property: who may not connect to it is kept from it by a rule (EACCES, EPERM).
fn refused(to: &Endpoint, error: io::Error) -> TransportError {
    match TransportErrorKind::of(&error) {
        TransportErrorKind::PermissionDenied => {
            TransportError::new(TransportErrorKind::Prohibited, Phase::Connect, to, error)
        }
        _ => TransportError::from_io(Phase::Connect, to, error),
    }
}

async fn connect_one(address: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let stream = match bound(from, address)? {
        None => TcpStream::connect(address).await?,
        Some(from) => {
            let socket = match from {
                SocketAddr::V4(_) => TcpSocket::new_v4()?,
                SocketAddr::V6(_) => TcpSocket::new_v6()?,
            };
            socket.bind(from)?;
            socket.connect(address).await?
        }
    };
    if is_joined_to_itself(&stream)? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

/// Trying a free port of one's own machine again and again ends in TCP's simultaneous open with oneself, which then keeps
/// the broker from ever getting its port back.
fn is_joined_to_itself(stream: &TcpStream) -> io::Result<bool> {
    Ok(stream.local_addr()? == stream.peer_addr()?)
}

/// All addresses of the endpoint's host, looked up anew.
pub(crate) async fn resolve(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, TransportError> {
    let host = endpoint.host().unwrap_or_default();
    let port = endpoint.port().unwrap_or_default();
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    let failed = |error| TransportError::from_io(Phase::Resolve, endpoint, error);
    let addresses: Vec<_> = lookup_host((host, port)).await.map_err(failed)?.collect();
    if addresses.is_empty() {
        return Err(failed(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address",
        )));
    }
    Ok(addresses)
}

/// Whoever writes here gathers small packets already; waiting for more would only add the peer's delayed
/// acknowledgement to each round trip. Where it cannot be set (the peer is gone already) the next read says why.
fn send_at_once(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY not set");
    }
}

/// What is made of an accepted connection, in that connection's own task.
pub(crate) type Upgrade = Box<dyn Fn(TcpStream, PeerAddress) -> Handshake + Send + Sync>;

/// TCP as it is.
fn plain(stream: TcpStream, address: PeerAddress) -> Handshake {
    Box::pin(async move {
        let stream = Box::new(Resting::new(stream)) as Box<dyn Transport>;
        Ok((stream, Peer::new(address)))
    })
}

/// A listener for everything that runs over TCP.
pub(crate) struct TcpListen {
    listener: TcpListener,
    local: Endpoint,
    name: String,
    upgrade: Upgrade,
}

impl TcpListen {
    pub(crate) async fn bind(at: &Endpoint, upgrade: Upgrade) -> Result<Self, TransportError> {
        let failed = |error| TransportError::from_io(Phase::Listen, at, error);
        let listener = TcpListener::bind(resolve(at).await?.as_slice())
            .await
            .map_err(failed)?;
        let local = at.listening_at(listener.local_addr().map_err(failed)?.port());
        Ok(Self {
            listener,
            name: local.to_string(),
            local,
            upgrade,
        })
    }
}

impl Listen for TcpListen {
    fn local(&self) -> Endpoint {
        self.local.clone()
    }

    fn accept(&mut self) -> BoxFuture<'_, Result<Accepted, TransportError>> {
        Box::pin(async move {
            let (stream, address) = accept_patiently(&self.name, || self.listener.accept())
                .await
                .map_err(|error| TransportError::from_io(Phase::Accept, &self.local, error))?;
            send_at_once(&stream);
            let address = PeerAddress::Ip(address);
            Ok(Accepted::new(address, (self.upgrade)(stream, address)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_joined_to_itself_is_told_from_one_to_a_listener() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let own = socket.local_addr().unwrap();
        let stream = socket.connect(own).await.unwrap();
        assert!(is_joined_to_itself(&stream).unwrap());

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        assert!(!is_joined_to_itself(&stream).unwrap());
    }

    /// EACCES of a routing rule, EPERM of a firewall: both are gone with the rule.
    #[cfg(unix)]
    #[test]
    fn a_connection_that_a_rule_prohibits_is_tried_again() {
        const EPERM: i32 = 1;
        const EACCES: i32 = 13;
        let to = "mqtt://h".parse().unwrap();
        for number in [EACCES, EPERM] {
            let error = refused(&to, io::Error::from_raw_os_error(number));
            assert_eq!(
                (error.kind(), error.phase()),
                (TransportErrorKind::Prohibited, Phase::Connect)
            );
            assert!(error.is_retryable());
            assert_eq!(
                error.to_string(),
                "connect mqtt://h:1883: prohibited by this machine; check the rules of its routing and its firewall"
            );
        }
        let error = refused(&to, io::ErrorKind::ConnectionRefused.into());
        assert_eq!(error.kind(), TransportErrorKind::Refused);
    }

    #[tokio::test]
    async fn streams_do_not_wait_to_fill_segments() {
        let listener = TcpListen::bind(&"127.0.0.1:0".parse().unwrap(), Box::new(plain))
            .await
            .unwrap();
        let stream = connect(&listener.local(), None).await.unwrap();
        assert!(stream.nodelay().unwrap());
    }
}
