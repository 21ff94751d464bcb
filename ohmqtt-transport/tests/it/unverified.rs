//! Verification switched off: it takes anyone, and says so each time.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use ohmqtt_transport::{Connect, Connector, Endpoint, TlsOptions, listen_with};
use tokio::io::AsyncWriteExt;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::certs::{certificate, self_signed};
use crate::contract::in_time;

/// Keeps the warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

/// Connects twice over `scheme` to a server of another name that nobody trusts.
async fn check(scheme: &str) {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let issued = self_signed(&certificate(&["someone.else"]));
    let at: Endpoint = format!("{scheme}://127.0.0.1:0").parse().unwrap();
    let mut listener = listen_with(&at, issued.identity()).await.unwrap();
    let local = listener.local();
    let connector = Connector::new().tls(TlsOptions::new().dangerously_disable_verification());
    for connections in 1..=2 {
        let client = async {
            let mut client = connector.connect(&local).await.unwrap();
            client.write_u8(7).await.unwrap();
            client.flush().await.unwrap();
            client
        };
        let accept = async { listener.accept().await.unwrap().handshake.await.unwrap() };
        let _ends = in_time(async { tokio::join!(client, accept) }).await;
        let warnings = warnings.0.lock().unwrap();
        assert_eq!(warnings.len(), connections, "{warnings:?}");
        let last = &warnings[connections - 1];
        assert!(last.contains("verification is disabled"), "{last}");
        assert!(last.contains(&local.to_string()), "{last}");
    }
}

#[tokio::test]
async fn verification_switched_off_takes_anyone_and_warns_each_time() {
    check("mqtts").await;
}

#[cfg(feature = "ws")]
#[tokio::test]
async fn verification_switched_off_warns_over_websocket() {
    check("wss").await;
}

#[cfg(feature = "quic")]
#[tokio::test]
async fn verification_switched_off_warns_over_quic() {
    check("quic").await;
}
