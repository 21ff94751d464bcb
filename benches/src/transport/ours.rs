//! Connections by `ohmqtt-transport`, as a client and a broker make them.

use ohmqtt_transport::{
    Connect, Connector, Endpoint, ListenOptions, TlsOptions, Transport, listen_with,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::{join, runtime};

use super::certificates::{authority, identity};
use super::ends::{Plain, Transfer, transfer};
use super::{Result, raw};

pub(super) fn tcp() -> Result<Transfer> {
    over("mqtt://127.0.0.1:0")
}

pub(super) fn tls() -> Result<Transfer> {
    over("mqtts://127.0.0.1:0")
}

#[cfg(unix)]
pub(super) fn unix() -> Result<Transfer> {
    let folder = tempfile::tempdir()?;
    over(&format!("unix:{}", raw::socket(&folder).display()))
}

pub(super) fn ws() -> Result<Transfer> {
    over("ws://127.0.0.1:0")
}

pub(super) fn wss() -> Result<Transfer> {
    over("wss://127.0.0.1:0")
}

pub(super) fn quic() -> Result<Transfer> {
    over("quic://127.0.0.1:0")
}

/// A connection to a listener at `url`, both ends behind the trait.
fn over(url: &str) -> Result<Transfer> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (client, server) = runtime.block_on(connected(&url.parse()?))?;
    Ok(transfer(runtime, Plain::new(client), Plain::new(server)))
}

async fn connected(at: &Endpoint) -> Result<(Box<dyn Transport>, Box<dyn Transport>)> {
    let options = ListenOptions::default().identity(identity()?);
    let mut listener = listen_with(at, options).await?;
    let local = listener.local();
    let connector = Connector::new().tls(TlsOptions::new().authorities(authority()?));
    // The end that connected has the first word.
    let client = async {
        let mut client = connector.connect(&local).await?;
        client.write_all(b"x").await?;
        client.flush().await?;
        Ok::<_, Box<dyn std::error::Error>>(client)
    };
    let server = async {
        let (mut server, _) = listener.accept().await?.handshake.await?;
        server.read_u8().await?;
        Ok::<_, Box<dyn std::error::Error>>(server)
    };
    let (client, server) = join!(client, server);
    Ok((client?, server?))
}
