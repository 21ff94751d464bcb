//! Verification switched off: it takes anyone, and says so each time.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use ohmqtt_transport::{Connect, Connector, Endpoint, TlsOptions, listen_with};
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

#[tokio::test]
async fn verification_switched_off_takes_anyone_and_warns_each_time() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let issued = self_signed(&certificate(&["someone.else"]));
    let at: Endpoint = "mqtts://127.0.0.1:0".parse().unwrap();
    let mut listener = listen_with(&at, issued.identity()).await.unwrap();
    let local = listener.local();
    let connector = Connector::new().tls(TlsOptions::new().dangerously_disable_verification());
    for connections in 1..=2 {
        let accept = async { listener.accept().await?.handshake.await };
        let (client, server) =
            in_time(async { tokio::join!(connector.connect(&local), accept) }).await;
        client.unwrap();
        server.unwrap();
        let warnings = warnings.0.lock().unwrap();
        assert_eq!(warnings.len(), connections, "{warnings:?}");
        assert!(warnings[connections - 1].contains("verification is disabled"));
    }
}
