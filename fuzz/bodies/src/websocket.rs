//! WebSocket, both ends, over streams that are cut anywhere.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use ohmqtt_transport::{
    Endpoint, Peer, PeerAddress, Transport, TransportError, WsOptions, accept_websocket, websocket,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::runtime::Builder;

/// What comes in all, at most.
const ENOUGH: usize = 1 << 20;

/// The first byte chooses the end and what stands before the rest, the second how large the pieces are in which all of it comes.
///
/// However the bytes are cut, the same comes out. What an end of ours writes, the other reads, however it was cut.
pub(crate) fn run(data: &[u8]) {
    let [first, piece, data @ ..] = data else {
        return;
    };
    let runtime = Builder::new_current_thread().enable_time().build();
    let piece = usize::from(*piece) + 1;
    runtime.expect("a runtime").block_on(async {
        match first % 4 {
            0 => cut_alike(End::Server, Vec::new(), data, piece).await,
            1 => cut_alike(End::Server, REQUEST.to_vec(), data, piece).await,
            2 => cut_alike(End::Client, Vec::new(), data, piece).await,
            _ => there_and_back(data, piece).await,
        }
    });
}

/// A request as RFC 6455, section 4.1, has it.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

#[derive(Clone, Copy)]
enum End {
    Client,
    Server,
}

async fn cut_alike(end: End, before: Vec<u8>, data: &[u8], piece: usize) {
    let bytes = [&before, data].concat();
    let whole = read(end, Pieces::new(bytes.clone(), usize::MAX)).await;
    let cut = read(end, Pieces::new(bytes, piece)).await;
    assert_eq!(whole, cut);
}

/// What came out, and how it ended.
async fn read(end: End, stream: Pieces) -> (Vec<u8>, Option<io::ErrorKind>) {
    let stream = match end {
        End::Client => dial(stream).await,
        End::Server => accept(stream).await,
    };
    let Ok(stream) = stream else {
        return (Vec::new(), Some(io::ErrorKind::NotConnected));
    };
    let mut out = Vec::new();
    let ended = stream.take(ENOUGH as u64).read_to_end(&mut out).await;
    (out, ended.err().map(|error| error.kind()))
}

async fn dial(stream: impl Transport) -> Result<Box<dyn Transport>, TransportError> {
    let to: Endpoint = "ws://h/".parse().expect("an address");
    websocket(stream, &to, &WsOptions::new()).await
}

async fn accept(stream: impl Transport) -> Result<Box<dyn Transport>, TransportError> {
    let peer = Peer::new(PeerAddress::Local);
    let accepted = accept_websocket(stream, peer, None, &WsOptions::new()).await;
    accepted.map(|(stream, _)| stream)
}

async fn there_and_back(data: &[u8], piece: usize) {
    let (client, server) = tokio::io::duplex(piece);
    let (client, server) = tokio::join!(dial(client), accept(server));
    let (mut client, mut server) = (client.expect("a server"), server.expect("a client"));
    carry(&mut client, &mut server, data, piece).await;
    carry(&mut server, &mut client, data, piece).await;
}

async fn carry(from: &mut impl Transport, to: &mut impl Transport, data: &[u8], piece: usize) {
    let mut out = vec![0; data.len()];
    let write = async {
        for piece in data.chunks(piece) {
            from.write_all(piece).await.expect("the other end reads");
        }
        from.flush().await.expect("the other end reads");
    };
    let ((), read) = tokio::join!(write, to.read_exact(&mut out));
    read.expect("the other end writes");
    assert_eq!(out, data);
}

/// Bytes that come in pieces, and an end that takes whatever is written.
struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    piece: usize,
}

impl Pieces {
    fn new(bytes: Vec<u8>, piece: usize) -> Self {
        Self {
            bytes,
            at: 0,
            piece,
        }
    }
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.bytes.len() - self.at;
        let len = left.min(self.piece).min(buf.remaining());
        buf.put_slice(&self.bytes[self.at..self.at + len]);
        self.at += len;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
