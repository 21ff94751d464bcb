//! A broker of ours, in the test's own process.

use std::time::Duration;

use ohmqtt_broker::faults::Packet;
use ohmqtt_broker::{Broker, Builder};
use tokio::runtime::Runtime;

/// A running broker.
pub(crate) struct TestBroker {
    runtime: Runtime,
    broker: Option<Broker>,
}

impl TestBroker {
    pub(crate) fn start() -> Self {
        Self::with(|builder| builder.listen("mqtt://127.0.0.1:0"))
    }

    /// With settings of the test's own, the addresses among them.
    pub(crate) fn with(settings: impl FnOnce(Builder) -> Builder) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let builder = settings(Broker::builder());
        let broker = runtime.block_on(builder.start()).unwrap();
        Self {
            runtime,
            broker: Some(broker),
        }
    }

    pub(crate) fn broker(&self) -> &Broker {
        self.broker.as_ref().expect("it runs")
    }

    /// All that a client has sent once its DISCONNECT is here, which may be later than the end of its process.
    pub(crate) fn sent_until_disconnect(&self, client: &str) -> Vec<Packet> {
        let faults = self.broker().faults();
        self.runtime.block_on(async {
            let disconnect = |packet: &Packet| matches!(packet, Packet::Disconnect(_));
            let sent = faults.wait_for(client, disconnect);
            tokio::time::timeout(Duration::from_secs(60), sent)
                .await
                .expect("its DISCONNECT");
        });
        faults.sent_by(client)
    }

    pub(crate) fn url(&self) -> String {
        self.broker().url().to_owned()
    }

    pub(crate) fn port(&self) -> String {
        let url = self.url();
        url.rsplit_once(':').unwrap().1.to_owned()
    }
}

impl Drop for TestBroker {
    fn drop(&mut self) {
        if let Some(broker) = self.broker.take() {
            self.runtime.block_on(broker.shutdown(Duration::ZERO));
        }
    }
}
