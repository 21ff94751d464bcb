//! The same connections by the libraries underneath, as their own examples make them.

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, join};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::try_join;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, accept_async_with_config, client_async_with_config};

use super::Result;
use super::certificates::{self, NAME};
use super::ends::{Plain, READ, Transfer, transfer};

/// Any free port of this machine.
const ANY: (&str, u16) = (NAME, 0);

/// The address of the WebSocket, of which the server looks at the path alone.
const URL: &str = "ws://127.0.0.1/mqtt";

pub(super) fn tcp() -> Result<Transfer> {
    let runtime = runtime()?;
    let (client, server) = runtime.block_on(tcp_streams())?;
    Ok(transfer(runtime, Plain::new(client), Plain::new(server)))
}

pub(super) fn tls() -> Result<Transfer> {
    let runtime = runtime()?;
    let (client, server) = runtime.block_on(tls_streams())?;
    Ok(transfer(runtime, Plain::new(client), Plain::new(server)))
}

#[cfg(unix)]
pub(super) fn unix() -> Result<Transfer> {
    use tokio::net::{UnixListener, UnixStream};

    let runtime = runtime()?;
    let (client, server) = runtime.block_on(async {
        let folder = tempfile::tempdir()?;
        let path = socket(&folder);
        let listener = UnixListener::bind(&path)?;
        try_join!(UnixStream::connect(&path), listener.accept())
    })?;
    Ok(transfer(runtime, Plain::new(client), Plain::new(server.0)))
}

/// Where in a folder the socket of a listener is.
#[cfg(unix)]
pub(super) fn socket(folder: &tempfile::TempDir) -> std::path::PathBuf {
    folder.path().join("socket")
}

pub(super) fn ws() -> Result<Transfer> {
    let runtime = runtime()?;
    let (client, server) = runtime.block_on(async {
        let (client, server) = tcp_streams().await?;
        Box::pin(websockets(client, server)).await
    })?;
    Ok(transfer(runtime, client, server))
}

pub(super) fn wss() -> Result<Transfer> {
    let runtime = runtime()?;
    let (client, server) = runtime.block_on(async {
        let (client, server) = tls_streams().await?;
        Box::pin(websockets(client, server)).await
    })?;
    Ok(transfer(runtime, client, server))
}

pub(super) fn quic() -> Result<Transfer> {
    let runtime = runtime()?;
    let (client, server) = runtime.block_on(async {
        let crypto = QuicServerConfig::try_from(certificates::server()?)?;
        let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        let listener = quinn::Endpoint::server(config, "127.0.0.1:0".parse()?)?;
        let crypto = QuicClientConfig::try_from(certificates::client()?)?;
        let config = quinn::ClientConfig::new(Arc::new(crypto));
        let socket = quinn::Endpoint::client("127.0.0.1:0".parse()?)?;
        let connecting = socket.connect_with(config, listener.local_addr()?, NAME)?;
        let client = async {
            let (mut send, receive) = connecting.await?.open_bi().await?;
            send.write_all(b"x").await?;
            Ok::<_, Box<dyn std::error::Error>>(join(receive, send))
        };
        let server = async {
            let incoming = listener.accept().await.ok_or("the socket is closed")?;
            let (send, mut receive) = incoming.await?.accept_bi().await?;
            receive.read_exact(&mut [0]).await?;
            Ok(join(receive, send))
        };
        try_join!(client, server)
    })?;
    Ok(transfer(runtime, Plain::new(client), Plain::new(server)))
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

async fn tcp_streams() -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(ANY).await?;
    let at = listener.local_addr()?;
    let (client, (server, _)) = try_join!(TcpStream::connect(at), listener.accept())?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    Ok((client, server))
}

async fn tls_streams() -> Result<(client::TlsStream<TcpStream>, server::TlsStream<TcpStream>)> {
    let connector = TlsConnector::from(Arc::new(certificates::client()?));
    let acceptor = TlsAcceptor::from(Arc::new(certificates::server()?));
    let (client, server) = tcp_streams().await?;
    let client = connector.connect(NAME.try_into()?, client);
    Ok(try_join!(client, acceptor.accept(server))?)
}

async fn websockets<C, S>(client: C, server: S) -> Result<(WebSocketStream<C>, WebSocketStream<S>)>
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = Some(WebSocketConfig::default().read_buffer_size(READ));
    let client = client_async_with_config(URL, client, config);
    let server = accept_async_with_config(server, config);
    let ((client, _), server) = try_join!(client, server)?;
    Ok((client, server))
}
