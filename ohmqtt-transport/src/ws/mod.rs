//! `ws://` and `wss://`: WebSocket (RFC 6455) over TCP and TLS, both ends.
//!
//! tungstenite does what is sans-IO about handshakes and frame headers. Its own stream of messages is not used: it holds
//! each message whole, and answers a close before the holder has had its last say. Here bytes pass through: a payload goes
//! from the socket into the reader's buffer as it comes, however long its frame is.

mod client;
mod frame;
mod head;
mod incoming;
mod options;
mod outgoing;
#[cfg(feature = "tls-no-provider")]
pub(crate) mod secure;
mod server;
mod stream;

pub use options::WsOptions;
pub(crate) use stream::WsStream;

use crate::backend::Backend;
use crate::proxy::dial;
use crate::tcp::{TcpListen, Upgrade};
use crate::{
    BoxFuture, Connector, Endpoint, Listen, ListenOptions, Peer, PeerAddress, Transport,
    TransportError,
};

/// The subprotocol, as both ends must name it.
const SUBPROTOCOL: &str = "mqtt";

/// Speaks WebSocket over a stream of your own that stands already, as `ws` and `wss` do over theirs: asks for the path and the
/// query of `to`, and names its host.
///
/// An error is one of the handshake. Cancel safe as [`Connect::connect`](crate::Connect::connect) is.
pub async fn websocket(
    stream: impl Transport,
    to: &Endpoint,
    options: &WsOptions,
) -> Result<Box<dyn Transport>, TransportError> {
    let stream = client::handshake(stream, to, options).await?;
    Ok(Box::new(stream))
}

/// The other end of [`websocket`]: answers the handshake of a client on a stream of your own, as a listener does with the streams that
/// come to it. Only `path` is served; `None`: all are. Gives the stream, and `peer` with the path that was asked for.
///
/// An error is one of the handshake; what the client is told of it was sent. Cancel safe: the stream goes with the future.
pub async fn accept_websocket(
    stream: impl Transport,
    peer: Peer,
    path: Option<&str>,
    options: &WsOptions,
) -> Result<(Box<dyn Transport>, Peer), TransportError> {
    let (stream, path) = server::handshake(stream, &peer, path, options).await?;
    let peer = Peer {
        path: Some(path),
        ..peer
    };
    Ok((Box::new(stream), peer))
}

/// The row of WebSocket in the table of backends.
pub(crate) struct Ws;

impl Backend for Ws {
    fn connect<'a>(
        &self,
        connector: &'a Connector,
        to: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Transport>, TransportError>> {
        Box::pin(async move {
            let stream = dial(connector, to).await?;
            let stream = client::handshake(stream, to, &connector.ws).await?;
            Ok(Box::new(stream) as Box<dyn Transport>)
        })
    }

    fn listen<'a>(
        &self,
        at: &'a Endpoint,
        options: &'a ListenOptions,
    ) -> BoxFuture<'a, Result<Box<dyn Listen>, TransportError>> {
        Box::pin(async move {
            let server = Server::new(at, options);
            let upgrade: Upgrade = Box::new(move |stream, address: PeerAddress| {
                let server = server.clone();
                Box::pin(async move { server.upgrade(stream, Peer::new(address)).await })
            });
            Ok(Box::new(TcpListen::bind(at, upgrade).await?) as Box<dyn Listen>)
        })
    }
}

/// What a listener knows about the streams it makes of connections.
#[derive(Debug, Clone)]
struct Server {
    /// The only path that is served; `None`: all are.
    path: Option<String>,
    options: WsOptions,
}

impl Server {
    fn new(at: &Endpoint, options: &ListenOptions) -> Self {
        Self {
            path: at.path().map(str::to_owned),
            options: options.ws.clone(),
        }
    }

    async fn upgrade(
        &self,
        stream: impl Transport,
        peer: Peer,
    ) -> Result<(Box<dyn Transport>, Peer), TransportError> {
        accept_websocket(stream, peer, self.path.as_deref(), &self.options).await
    }
}
