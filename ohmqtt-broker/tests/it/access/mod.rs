//! Who may do what.

#[cfg(feature = "tls")]
mod certificates;
#[cfg(feature = "passwords")]
mod files;
mod rights;
#[cfg(feature = "scram")]
mod scram;
mod who;
mod withdrawn;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use ohmqtt_broker::{Action, Authorize, Broker, Builder, Principal};
use ohmqtt_codec::{Binary, Connect, MqttString, ReasonCode};

use crate::client::{Client, connect};

fn builder() -> Builder {
    Broker::builder().listen("mqtt://127.0.0.1:0")
}

/// A CONNECT with a user name and a password.
fn login(id: &str, user: &str, password: &str) -> Connect {
    let mut connect = connect(id);
    connect.user_name = Some(MqttString::try_from(user).unwrap());
    connect.password = Some(Binary::try_from(password.as_bytes()).unwrap());
    connect
}

async fn check(broker: &Broker, connect: Connect, want: ReasonCode) {
    let (mut client, connack) = Client::connect_with(broker, connect).await;
    assert_eq!(connack.reason, want);
    if want.is_error() {
        client.expect_end().await;
    }
}

/// Allows all but what was denied, as "client verb topic".
#[derive(Clone, Default)]
struct Denied(Arc<Mutex<HashSet<String>>>);

impl Denied {
    fn deny(&self, what: &str) {
        self.0.lock().unwrap().insert(what.to_owned());
    }
}

impl Authorize for Denied {
    fn allows(&self, who: &Principal<'_>, action: &Action<'_>) -> bool {
        let what = match action {
            Action::Connect => "connect".to_owned(),
            Action::Publish { topic, .. } => format!("publish {topic}"),
            Action::Will { topic, .. } => format!("will {topic}"),
            Action::Subscribe { filter, .. } => format!("subscribe {filter}"),
            Action::Deliver { topic } => format!("deliver {topic}"),
            Action::Retained { topic } => format!("retained {topic}"),
            other => panic!("{other:?}"),
        };
        let what = format!("{} {what}", who.client_id);
        !self.0.lock().unwrap().contains(&what)
    }
}
