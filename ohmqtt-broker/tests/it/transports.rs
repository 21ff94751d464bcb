//! One broker over every transport at once.

use std::time::Duration;

use ohmqtt_broker::{Broker, Certificates, Endpoint, Identity, StartError};
use ohmqtt_codec::{Qos, ReasonCode};
use ohmqtt_transport::{Connect, Connector, TlsOptions, TransportErrorKind};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::client::{Client, connect, topic};

/// Where a broker listens at everything, and who trusts it.
struct Everywhere {
    identity: Identity,
    connector: Connector,
    folder: TempDir,
}

impl Everywhere {
    fn new() -> Self {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let pem = made.cert.pem();
        let trusted = TlsOptions::new().authorities(Certificates::parse(&pem).unwrap());
        Self {
            identity: Identity::pem(&pem, made.signing_key.serialize_pem()).unwrap(),
            connector: Connector::new().tls(trusted),
            folder: TempDir::new().unwrap(),
        }
    }

    /// Every scheme, with a free port where it has one.
    fn urls(&self) -> Vec<String> {
        let socket = self.folder.path().join("broker.sock");
        let by_port = ["mqtt", "mqtts", "ws", "wss", "quic"];
        let by_port = by_port.map(|scheme| format!("{scheme}://127.0.0.1:0"));
        let mut urls = Vec::from(by_port);
        urls.push(format!("unix:{}", socket.display()));
        urls
    }

    async fn start(&self, urls: &[String]) -> Result<Broker, StartError> {
        let mut builder = Broker::builder();
        for url in urls {
            builder = builder.listen_with(url, self.identity.clone());
        }
        builder.start().await
    }

    /// A broker at these. The port of QUIC is free some moments after its last connection has ended, when nothing of that can come any
    /// more; and any of them may be somebody else's for a moment.
    async fn broker(&self, urls: &[String]) -> Broker {
        let started = async {
            loop {
                match self.start(urls).await {
                    Err(StartError::Listen(error))
                        if error.kind() == TransportErrorKind::AddressInUse =>
                    {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    other => return other.unwrap(),
                }
            }
        };
        timeout(Duration::from_secs(60), started).await.unwrap()
    }

    async fn client(&self, url: &str) -> Client {
        let endpoint: Endpoint = url.parse().unwrap();
        let mut client = Client::over(self.connector.connect(&endpoint).await.unwrap());
        let connack = client.say_connect(connect(url)).await;
        assert_eq!(connack.reason, ReasonCode::Success);
        client
    }
}

/// A client at each address hears what each other one publishes; all are told at the end, and whoever comes next has the ports.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_serves_all_transports_at_once_and_gives_the_ports_back() {
    let everywhere = Everywhere::new();
    let mut urls = everywhere.urls();
    for _ in 0..2 {
        let broker = everywhere.broker(&urls).await;
        assert_eq!(broker.urls().len(), urls.len());
        // The ports that were chosen take the place of 0, and are there for the next broker.
        for (given, wanted) in broker.urls().iter().zip(&urls) {
            let wanted = wanted.trim_end_matches('0');
            assert!(
                given.starts_with(wanted) && !given.ends_with(":0"),
                "{given} for {wanted}"
            );
        }
        urls = broker.urls().to_vec();
        let mut clients = Vec::new();
        for url in &urls {
            let mut client = everywhere.client(url).await;
            client.subscribe("from/+", Qos::ExactlyOnce).await;
            clients.push(client);
        }
        for n in 0..clients.len() {
            let from = format!("from/{n}");
            clients[n].publish(&from, "x", Qos::AtMostOnce).await;
            for client in &mut clients {
                assert_eq!(topic(&client.receive_message().await), from);
            }
        }
        let told = async {
            for client in &mut clients {
                client
                    .expect_disconnect(ReasonCode::ServerShuttingDown)
                    .await;
            }
            clients.clear();
        };
        tokio::join!(broker.shutdown(Duration::from_secs(60)), told);
    }
}
