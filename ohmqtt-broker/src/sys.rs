//! The topics below `$SYS/broker`, with the names that Mosquitto gave them. Only the broker publishes to them; they are retained, but count
//! against nobody's room and are not stored.

use std::time::Duration;

use ohmqtt_codec::{MqttString, TopicFilter, TopicName};
use ohmqtt_session::{Instant, Message, Routed};

use crate::Metrics;
use crate::core::State;
use crate::session::Routable;

/// What was last published below `$SYS/broker`, and when it is to be published again.
#[derive(Debug)]
pub(crate) struct Sys {
    every: Option<Duration>,
    next: Instant,
    messages: Vec<Message>,
}

impl Sys {
    pub(crate) fn new(now: Instant, every: Option<Duration>) -> Self {
        Self {
            // A broker that does nothing else is not what anybody wants.
            every: every.map(|every| every.max(Duration::from_millis(10))),
            next: now,
            messages: Vec::new(),
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.every.map(|_| self.next)
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.next().is_some_and(|at| at <= now)
    }

    /// Visits what matches a filter.
    pub(crate) fn visit(&self, filter: &TopicFilter, mut visit: impl FnMut(&Message)) {
        // All topics begin with `$SYS`, and a wildcard there does not match them.
        if filter.filter_bytes().starts_with(b"$SYS/") {
            let matching = self.messages.iter().filter(|m| filter.matches(&m.topic));
            matching.for_each(&mut visit);
        }
    }
}

impl State {
    /// Publishes what has changed since the last time.
    pub(crate) fn publish_sys(&mut self, now: Instant) {
        let Some(every) = self.sys.every else {
            return;
        };
        self.sys.next = now + every;
        let metrics = self.metrics(now);
        let mut old = std::mem::take(&mut self.sys.messages).into_iter();
        let nobody = MqttString::default();
        for (topic, value) in figures(&metrics) {
            // The figures come in the same order each time.
            let message = match old.next() {
                Some(old) if old.payload == value.as_bytes() => old,
                _ => {
                    // These names are always topics.
                    let Ok(topic) = TopicName::new(format!("$SYS/broker/{topic}")) else {
                        continue;
                    };
                    let mut message = Message::new(topic, value.into_bytes());
                    message.retain = true;
                    let routable = Routable::kept(&message, Routed::Published);
                    self.route(now, &nobody, &message, routable);
                    message
                }
            };
            self.sys.messages.push(message);
        }
    }
}

/// The topics below `$SYS/broker`, each with its value.
fn figures(metrics: &Metrics) -> [(&'static str, String); 19] {
    let absent = metrics.sessions.saturating_sub(metrics.connected);
    [
        (
            "version",
            concat!("ohmqtt version ", env!("CARGO_PKG_VERSION")).to_owned(),
        ),
        ("uptime", format!("{} seconds", metrics.uptime.as_secs())),
        ("clients/connected", metrics.connected.to_string()),
        ("clients/disconnected", absent.to_string()),
        ("clients/maximum", metrics.most_connected.to_string()),
        ("clients/total", metrics.sessions.to_string()),
        ("subscriptions/count", metrics.subscriptions.to_string()),
        ("messages/received", metrics.packets_received.to_string()),
        ("messages/sent", metrics.packets_sent.to_string()),
        ("publish/messages/received", metrics.published.to_string()),
        ("publish/messages/sent", metrics.delivered.to_string()),
        ("publish/messages/dropped", metrics.dropped.to_string()),
        ("publish/messages/expired", metrics.expired.to_string()),
        ("bytes/received", metrics.bytes_received.to_string()),
        ("bytes/sent", metrics.bytes_sent.to_string()),
        (
            "store/messages/count",
            (metrics.queued + metrics.retained).to_string(),
        ),
        (
            "store/messages/bytes",
            (metrics.queued_bytes + metrics.retained_bytes).to_string(),
        ),
        ("retained messages/count", metrics.retained.to_string()),
        (
            "retained messages/bytes",
            metrics.retained_bytes.to_string(),
        ),
    ]
}
