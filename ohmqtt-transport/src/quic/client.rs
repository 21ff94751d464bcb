//! The connecting end.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint as Socket};

use super::fault::{has_answered, told};
use super::stream::QuicStream;
use super::verdict::Verdict;
use super::{add_alpn, bad_tls, transport_config};
use crate::local::bound;
use crate::race::{in_turn, race};
use crate::tcp::resolve;
use crate::tls::client::Settings;
use crate::{ConfigError, Connector, Endpoint, Phase, TransportError};

/// A stream to whichever address of the endpoint's host answers first.
pub(super) async fn connect(
    connector: &Connector,
    to: &Endpoint,
) -> Result<QuicStream, TransportError> {
    let misconfigured = |error| TransportError::misconfigured(Phase::Connect, to, error);
    let name = connector.tls.server_name(to).map_err(misconfigured)?;
    let settings = connector.tls.settings().map_err(misconfigured)?;
    let (config, verdict) = config(settings).map_err(misconfigured)?;
    let addresses = in_turn(resolve(to).await?);
    connector.tls.warn_if_unverified(to);
    let name = name.to_str();
    let first = race(addresses, |address| {
        attempt(config.clone(), &verdict, connector.from, address, &name)
    });
    match first.await {
        Ok(Ok((stream, _))) => Ok(stream),
        // Whoever answers first has the last word, as over TCP.
        Ok(Err(error)) => Err(TransportError::from_io(Phase::Handshake, to, error)),
        Err(error) => Err(TransportError::from_io(Phase::Connect, to, error)),
    }
}

/// What an address that answered had to say, and the socket it was asked from.
type Answer = Result<(QuicStream, Socket), io::Error>;

async fn attempt(
    config: ClientConfig,
    verdict: &Verdict,
    from: Option<IpAddr>,
    address: SocketAddr,
    name: &str,
) -> io::Result<Answer> {
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = Socket::client(bound(from, address)?.unwrap_or(any))?;
    let connecting = socket
        .connect_with(config, address, name)
        .map_err(io::Error::other)?;
    let connection = match connecting.await {
        Ok(connection) => connection,
        Err(error) if has_answered(&error) => return Ok(Err(told(error, verdict.fault()))),
        Err(error) => return Err(told(error, None)),
    };
    match connection.open_bi().await {
        Ok((send, receive)) => Ok(Ok((QuicStream::new(connection, send, receive), socket))),
        Err(error) => Ok(Err(told(error, None))),
    }
}

/// The configuration for one connection, and what its verifier will say.
fn config(settings: Settings) -> Result<(ClientConfig, Verdict), ConfigError> {
    let mut tls = rustls::ClientConfig::clone(&settings.config);
    add_alpn(&mut tls.alpn_protocols);
    tls.enable_early_data = false;
    let mut verdict = Verdict::default();
    if let Some(verifier) = settings.verifier {
        verdict = Verdict::of(&mut tls, verifier);
    }
    let crypto = QuicClientConfig::try_from(tls).map_err(bad_tls)?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(transport_config(0));
    Ok((config, verdict))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::{Certificates, Identity, TlsOptions, listen_with};

    #[tokio::test]
    async fn stream_goes_on_after_the_client_has_moved() {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let identity = Identity::pem(cert.pem(), signing_key.serialize_pem()).unwrap();
        let at = "quic://127.0.0.1:0".parse().unwrap();
        let mut listener = listen_with(&at, identity).await.unwrap();
        let address = ([127, 0, 0, 1], listener.local().port().unwrap()).into();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap().handshake.await.unwrap();
            while let Ok(number) = stream.read_u32().await {
                stream.write_u32(number + 1).await.unwrap();
            }
        });

        let trusted = Certificates::parse(cert.pem()).unwrap();
        let connector = Connector::new().tls(TlsOptions::new().authorities(trusted));
        let (config, verdict) = config(connector.tls.settings().unwrap()).unwrap();
        let answer = attempt(config, &verdict, None, address, "localhost").await;
        let (mut stream, socket) = answer.unwrap().unwrap();
        let mut homes = vec![socket.local_addr().unwrap()];
        for number in 0..5 {
            stream.write_u32(number).await.unwrap();
            assert_eq!(stream.read_u32().await.unwrap(), number + 1);
            let elsewhere = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
            homes.push(elsewhere.local_addr().unwrap());
            socket.rebind(elsewhere).unwrap();
        }
        homes.dedup();
        assert_eq!(homes.len(), 6);
        drop(stream);
        server.await.unwrap();
    }
}
