//! The way to the broker: pipes in memory.

use std::io;

use ohmqtt_broker::{Accepted, Listen, Peer, PeerAddress};
use ohmqtt_client::{BoxFuture, Connect, Endpoint, Phase, Transport, TransportError};
use ohmqtt_transport::ConfigError;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;

/// How much a pipe holds before its writer waits for its reader, in bytes.
const PIPE: usize = 64 * 1024;

/// A client needs a URL for its errors.
pub(crate) const NOWHERE: &str = "mqtt://pipe:0";

/// The clients' end: makes a pipe for each connection, and hands its far end over.
#[derive(Clone, Debug)]
pub(crate) struct Pipes(mpsc::UnboundedSender<DuplexStream>);

/// The broker's end: takes what is handed over.
#[derive(Debug)]
pub(crate) struct PipeEnds {
    streams: mpsc::UnboundedReceiver<DuplexStream>,
    local: Endpoint,
}

pub(crate) fn pipes() -> Result<(Pipes, PipeEnds), ConfigError> {
    let (sender, streams) = mpsc::unbounded_channel();
    let local = NOWHERE.parse()?;
    Ok((Pipes(sender), PipeEnds { streams, local }))
}

pub(crate) fn pipe() -> (DuplexStream, DuplexStream) {
    duplex(PIPE)
}

fn gone(phase: Phase) -> TransportError {
    TransportError::from_io(phase, "the pipes", io::ErrorKind::ConnectionRefused.into())
}

impl Pipes {
    /// A stream to the broker.
    pub(crate) fn open(&self) -> Result<DuplexStream, TransportError> {
        let (near, far) = pipe();
        self.0.send(far).map_err(|_| gone(Phase::Connect))?;
        Ok(near)
    }
}

impl Connect for Pipes {
    fn connect<'a>(
        &'a self,
        _to: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Transport>, TransportError>> {
        Box::pin(async { Ok(Box::new(self.open()?) as Box<dyn Transport>) })
    }
}

impl Listen for PipeEnds {
    fn local(&self) -> Endpoint {
        self.local.clone()
    }

    fn accept(&mut self) -> BoxFuture<'_, Result<Accepted, TransportError>> {
        Box::pin(async {
            let stream = self
                .streams
                .recv()
                .await
                .ok_or_else(|| gone(Phase::Accept))?;
            let handshake = async {
                let peer = Peer::new(PeerAddress::Local);
                Ok((Box::new(stream) as Box<dyn Transport>, peer))
            };
            Ok(Accepted::new(PeerAddress::Local, Box::pin(handshake)))
        })
    }
}
