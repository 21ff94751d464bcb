//! `mqtts://`: TLS over TCP by rustls, both ends. What is trusted and shown is decided in `client` and `server`; here the
//! handshakes are done.

mod certificates;
mod ciphers;
pub(crate) mod client;
mod crypto;
pub(crate) mod fault;
pub(crate) mod names;
mod rustls_config;
mod server;
mod stream;
mod verify;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub use certificates::{Certificates, Identity};
pub(crate) use client::ClientTls;
pub use client::TlsOptions;
pub use rustls_config::{RustlsClientConfig, RustlsServerConfig};
pub(crate) use server::ServerTls;
pub(crate) use stream::TlsStream;

use crate::backend::Backend;
use crate::linger::linger;
use crate::proxy::dial;
use crate::tcp::{TcpListen, Upgrade};
use crate::{
    BoxFuture, Connector, Endpoint, Listen, ListenOptions, Peer, PeerAddress, Phase, Transport,
    TransportError,
};

/// The row of TLS in the table of backends.
pub(crate) struct Tls;

impl Backend for Tls {
    fn connect<'a>(
        &self,
        connector: &'a Connector,
        to: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Transport>, TransportError>> {
        Box::pin(async move { Ok(Box::new(connect(connector, to).await?) as Box<dyn Transport>) })
    }

    fn listen<'a>(
        &self,
        at: &'a Endpoint,
        options: &'a ListenOptions,
    ) -> BoxFuture<'a, Result<Box<dyn Listen>, TransportError>> {
        Box::pin(async move {
            let acceptor = acceptor(at, options)?;
            let upgrade: Upgrade = Box::new(move |stream, address| {
                let acceptor = acceptor.clone();
                Box::pin(async move {
                    let (stream, peer) = accept(&acceptor, stream, address).await?;
                    Ok((Box::new(stream) as Box<dyn Transport>, peer))
                })
            });
            Ok(Box::new(TcpListen::bind(at, upgrade).await?) as Box<dyn Listen>)
        })
    }
}

/// A TLS stream to the endpoint, its certificate verified.
pub(crate) async fn connect(
    connector: &Connector,
    to: &Endpoint,
) -> Result<TlsStream<tokio::net::TcpStream>, TransportError> {
    let misconfigured = |error| TransportError::misconfigured(Phase::Connect, to, error);
    // Before anything is sent: bad settings are known without a network.
    let name = connector.tls.server_name(to).map_err(misconfigured)?;
    let settings = connector.tls.settings().map_err(misconfigured)?;
    let stream = dial(connector, to).await?;
    connector.tls.warn_if_unverified(to);
    match TlsConnector::from(settings.config)
        .connect(name, stream)
        .await
    {
        Ok(stream) => Ok(TlsStream::new(stream.into())),
        Err(error) => {
            let error = fault::told(error);
            Err(TransportError::from_io(Phase::Handshake, to, error))
        }
    }
}

/// What accepts for a listener at `at`.
pub(crate) fn acceptor(
    at: &Endpoint,
    options: &ListenOptions,
) -> Result<TlsAcceptor, TransportError> {
    match options.tls.config(at.scheme()) {
        Ok(config) => Ok(config.into()),
        Err(error) => Err(TransportError::misconfigured(Phase::Listen, at, error)),
    }
}

/// The server's side of a handshake over `stream`.
pub(crate) async fn accept<S>(
    acceptor: &TlsAcceptor,
    stream: S,
    address: PeerAddress,
) -> Result<(TlsStream<S>, Peer), TransportError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match acceptor.accept(stream).into_fallible().await {
        Ok(stream) => {
            let mut peer = Peer::new(address);
            let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
            peer.certificate_names = certificates.first().map(names::of).unwrap_or_default();
            Ok((TlsStream::new(stream.into()), peer))
        }
        Err((error, mut stream)) => {
            let error = fault::told(error);
            // A client of TLS 1.3 has sent its first data already.
            linger(&mut stream).await;
            Err(TransportError::from_io(Phase::Handshake, address, error))
        }
    }
}
