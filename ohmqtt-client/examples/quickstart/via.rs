//! How the quickstart's clients reach a broker.

use std::error::Error;

use ohmqtt_broker::Broker;
use ohmqtt_client::{Client, ClientBuilder};
use tempfile::TempDir;

/// A way to a broker, and the broker, if it is ours.
pub(crate) struct Via {
    client: Box<dyn Fn() -> ClientBuilder + Send + Sync>,
    /// Stops when it is dropped.
    _broker: Option<Broker>,
    /// Where its socket is, if it has one.
    _folder: Option<TempDir>,
}

impl Via {
    /// A broker of yours.
    pub(crate) fn broker_at(url: &str) -> Self {
        let url = url.to_owned();
        Self {
            client: Box::new(move || Client::builder(&url)),
            _broker: None,
            _folder: None,
        }
    }

    /// A broker of our own that listens on this transport.
    pub(crate) async fn start(transport: &str) -> Result<Self, Box<dyn Error>> {
        match transport {
            "tcp" => plain("mqtt://127.0.0.1:0").await,
            "ws" => plain("ws://127.0.0.1:0/mqtt").await,
            "tls" => secure("mqtts://127.0.0.1:0").await,
            "wss" => secure("wss://127.0.0.1:0/mqtt").await,
            "quic" => secure("quic://127.0.0.1:0").await,
            "unix" => {
                let folder = tempfile::tempdir()?;
                let url = format!("unix:{}/broker.sock", folder.path().display());
                let via = plain(&url).await?;
                Ok(Self {
                    _folder: Some(folder),
                    ..via
                })
            }
            other => Err(format!("--via {other}: use tcp, tls, unix, ws, wss or quic").into()),
        }
    }

    /// A client of that broker, to be told more.
    pub(crate) fn client(&self) -> ClientBuilder {
        (self.client)()
    }
}

async fn plain(url: &str) -> Result<Via, Box<dyn Error>> {
    let broker = Broker::builder().listen(url).start().await?;
    println!("A broker listens at {}.", broker.url());
    let via = Via::broker_at(broker.url());
    Ok(Via {
        _broker: Some(broker),
        ..via
    })
}

/// With a certificate that is made for this run, and that its clients alone trust.
#[cfg(feature = "tls")]
async fn secure(url: &str) -> Result<Via, Box<dyn Error>> {
    use ohmqtt_client::{Certificates, Identity, TlsOptions};

    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let trusted = TlsOptions::new().authorities(Certificates::parse(&certificate)?);
    let identity = Identity::pem(certificate, key)?;
    let broker = Broker::builder().listen_with(url, identity).start().await?;
    println!("A broker listens at {}.", broker.url());
    let url = broker.url().to_owned();
    Ok(Via {
        client: Box::new(move || Client::builder(&url).tls(trusted.clone())),
        _broker: Some(broker),
        _folder: None,
    })
}

/// Without TLS in the build the broker says which feature to enable.
#[cfg(not(feature = "tls"))]
use plain as secure;
