//! A process that may open no more files: what it has goes on, what it has no room for is told, and comes when there is room.

use std::fmt::Write as _;
use std::fs::File;
use std::sync::{Arc, Mutex};

use ohmqtt_client::{ConnectionState, Event};
use ohmqtt_codec::{Qos, ReasonCode};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpSocket;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

use super::process::alone;
use crate::client::{Client, broker};

/// Opens files until there may be no more.
fn open_all() -> Vec<File> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = Some(128);
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    let mut files = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(Errno::MFILE.raw_os_error()));
                assert!(files.len() > 50);
                return files;
            }
        }
    }
}

/// Fault class: a broker whose process has no file left for one more connection ends, or waits for ever.
#[test]
fn a_broker_without_files_serves_whom_it_has_and_others_when_there_are_some() {
    alone(
        module_path!(),
        "a_broker_without_files_serves_whom_it_has_and_others_when_there_are_some",
        async {
            let warnings = Warnings::default();
            let _guard = tracing::subscriber::set_default(warnings.clone());
            let broker = broker().await;
            let mut good = Client::connect(&broker, "good").await;
            let sockets = [(); 3].map(|()| TcpSocket::new_v4().unwrap());
            let files = open_all();
            // The system has accepted these connections; the broker cannot.
            let address = broker.url().strip_prefix("mqtt://").unwrap();
            let mut waiting = Vec::new();
            for socket in sockets {
                let stream = socket.connect(address.parse().unwrap()).await.unwrap();
                waiting.push(Client::over(Box::new(stream)));
            }
            while !warnings.text().contains("accept failed") {
                let reason = good.publish("t", "x", Qos::AtLeastOnce).await;
                assert_eq!(reason, ReasonCode::NoMatchingSubscribers);
            }
            assert!(
                warnings.text().contains("open files"),
                "{}",
                warnings.text()
            );
            drop(files);
            for (client, n) in waiting.iter_mut().zip(0..) {
                let connect = crate::client::resuming(&format!("late{n}"), 0);
                assert_eq!(
                    client.say_connect(connect).await.reason,
                    ReasonCode::Success
                );
            }
            assert_eq!(broker.metrics().connected, 4);
        },
    );
}

/// Fault class: a client whose process has no file left for a connection gives up, or says nothing.
#[test]
fn a_client_without_files_says_so_and_connects_when_there_are_some() {
    alone(
        module_path!(),
        "a_client_without_files_says_so_and_connects_when_there_are_some",
        async {
            let broker = broker().await;
            let files = open_all();
            let moment = std::time::Duration::from_millis(10);
            let builder = ohmqtt_client::Client::builder(broker.url()).backoff(moment, moment);
            let mut events = builder.events();
            let client = builder.start().unwrap();
            for _ in 0..3 {
                match events.recv().await.unwrap() {
                    Event::ConnectFailed {
                        error,
                        retry_in: Some(_),
                    } => {
                        let said = error.to_string();
                        assert!(said.contains("open files"), "{said}");
                        assert!(said.contains(broker.url()), "{said}");
                    }
                    other => panic!("{other:?}"),
                }
            }
            let publish = client.publish("t", "x").qos(Qos::ExactlyOnce);
            let publication = publish.await.unwrap();
            drop(files);
            let is_connected =
                |state: &ConnectionState| matches!(state, ConnectionState::Connected { .. });
            client.wait_for(is_connected).await;
            let ack = publication.acked().await.unwrap();
            assert_eq!(ack.reason, ReasonCode::NoMatchingSubscribers);
        },
    );
}

/// What was warned of.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<String>>);

impl Warnings {
    fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Text(&mut self.0.lock().unwrap()));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}
