//! The listening end.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint as Socket, Incoming, ServerConfig};
use rustls::pki_types::CertificateDer;

use super::fault::told;
use super::stream::QuicStream;
use super::{add_alpn, bad_tls, transport_config};
use crate::tcp::resolve;
use crate::tls::names;
use crate::{
    Accepted, BoxFuture, ConfigError, Endpoint, Listen, ListenOptions, Peer, PeerAddress, Phase,
    Transport, TransportError,
};

pub(super) struct QuicListen {
    socket: Socket,
    local: Endpoint,
}

impl QuicListen {
    pub(super) async fn bind(
        at: &Endpoint,
        options: &ListenOptions,
    ) -> Result<Self, TransportError> {
        let failed = |error| TransportError::from_io(Phase::Listen, at, error);
        let config = config(at, options)
            .map_err(|error| TransportError::misconfigured(Phase::Listen, at, error))?;
        let mut result = Err(io::ErrorKind::NotFound.into());
        for address in resolve(at).await? {
            result = Socket::server(config.clone(), address);
            if result.is_ok() {
                break;
            }
        }
        let socket = result.map_err(failed)?;
        let port = socket.local_addr().map_err(failed)?.port();
        Ok(Self {
            socket,
            local: at.listening_at(port),
        })
    }
}

impl Listen for QuicListen {
    fn local(&self) -> Endpoint {
        self.local.clone()
    }

    fn accept(&mut self) -> BoxFuture<'_, Result<Accepted, TransportError>> {
        Box::pin(async move {
            let Some(incoming) = self.socket.accept().await else {
                let error = io::Error::other("the UDP socket has failed");
                return Err(TransportError::from_io(Phase::Accept, &self.local, error));
            };
            let address = PeerAddress::Ip(incoming.remote_address());
            let handshake = async move {
                match handshake(incoming, address).await {
                    Ok((stream, peer)) => Ok((Box::new(stream) as Box<dyn Transport>, peer)),
                    Err(error) => Err(TransportError::from_io(Phase::Handshake, address, error)),
                }
            };
            Ok(Accepted::new(address, Box::pin(handshake)))
        })
    }
}

/// The socket lives on with its connections; who else comes is refused, where silence would have them wait.
impl Drop for QuicListen {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let socket = self.socket.clone();
        runtime.spawn(async move {
            let mut idle = pin!(socket.wait_idle());
            loop {
                let mut accept = pin!(socket.accept());
                let next = poll_fn(|cx| match idle.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(None),
                    Poll::Pending => accept.as_mut().poll(cx),
                });
                match next.await {
                    Some(incoming) => incoming.refuse(),
                    None => break,
                }
            }
        });
    }
}

/// Waits for the stream that the client opens: it is there with the first byte on it.
async fn handshake(incoming: Incoming, address: PeerAddress) -> io::Result<(QuicStream, Peer)> {
    let said = |error| told(error, None);
    let connection = incoming.accept().map_err(said)?.await.map_err(said)?;
    let mut peer = Peer::new(address);
    let certificates = connection.peer_identity();
    let certificates = certificates.and_then(|any| any.downcast::<Vec<CertificateDer>>().ok());
    if let Some(certificate) = certificates.as_ref().and_then(|chain| chain.first()) {
        peer.certificate_names = names::of(certificate);
    }
    let (send, receive) = connection.accept_bi().await.map_err(said)?;
    Ok((QuicStream::new(connection, send, receive), peer))
}

fn config(at: &Endpoint, options: &ListenOptions) -> Result<ServerConfig, ConfigError> {
    let mut tls = rustls::ServerConfig::clone(&*options.tls.config(at.scheme())?);
    add_alpn(&mut tls.alpn_protocols);
    tls.max_early_data_size = 0;
    let crypto = QuicServerConfig::try_from(tls).map_err(bad_tls)?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(transport_config(1));
    Ok(config)
}
