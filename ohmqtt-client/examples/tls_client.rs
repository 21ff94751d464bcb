//! A message there and back over TLS, trusting the platform's authorities or one of your own.
//!
//! The arguments are a URL and, as files of PEM, the authority that issued the broker's certificate, and a certificate and its key for a
//! broker that asks who its clients are. `wss://` and `quic://` take the same options, with the features `ws` and `quic`.
//!
//! ```sh
//! cargo run -p ohmqtt-broker --features tls --example broker -- mqtts://localhost:8883 --identity broker.pem broker.key
//! cargo run --features tls --example tls_client -- mqtts://localhost:8883 ca.pem [client.pem client.key]
//! ```

use std::error::Error;
use std::time::Duration;

use ohmqtt_client::{Certificates, Client, Identity, Qos, TlsOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or("mqtts://localhost:8883".into());

    let mut tls = TlsOptions::new();
    if let Some(authority) = arguments.next() {
        tls = tls.authorities(Certificates::from_file(authority)?);
    }
    if let (Some(certificate), Some(key)) = (arguments.next(), arguments.next()) {
        tls = tls.identity(Identity::from_files(certificate, key)?);
    }

    let client = Client::builder(&url).tls(tls).connect().await?;
    println!("connected to {url}");

    let mut messages = client.subscribe("tls/hello").await?;
    let hello = client.publish("tls/hello", "nobody else reads this");
    hello.qos(Qos::AtLeastOnce).await?;
    let message = messages.recv().await.ok_or("the client is closed")?;
    println!("received: {}", String::from_utf8_lossy(&message.payload));

    client.close(Duration::from_secs(5)).await;
    Ok(())
}
