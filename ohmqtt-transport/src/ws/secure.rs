//! `wss://`: WebSocket over TLS.

use super::{Server, client};
use crate::backend::Backend;
use crate::tcp::{TcpListen, Upgrade};
use crate::tls;
use crate::{BoxFuture, Connector, Endpoint, Listen, ListenOptions, Transport, TransportError};

/// The row of secure WebSocket in the table of backends.
pub(crate) struct Wss;

impl Backend for Wss {
    fn connect<'a>(
        &self,
        connector: &'a Connector,
        to: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Transport>, TransportError>> {
        Box::pin(async move {
            let stream = tls::connect(connector, to).await?;
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
            let acceptor = tls::acceptor(at, options)?;
            let server = Server::new(at, options);
            let upgrade: Upgrade = Box::new(move |stream, address| {
                let (acceptor, server) = (acceptor.clone(), server.clone());
                Box::pin(async move {
                    let (stream, peer) = tls::accept(&acceptor, stream, address).await?;
                    server.upgrade(stream, peer).await
                })
            });
            Ok(Box::new(TcpListen::bind(at, upgrade).await?) as Box<dyn Listen>)
        })
    }
}
