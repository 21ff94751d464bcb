//! Connecting, authenticating, watching and closing.

use std::time::Duration;

use bytes::Bytes;
use ohmqtt_client::{
    AuthError, Authenticator, BoxFuture, Client, ConnectionState, Disconnect, Event, ReasonCode,
};
use tokio::task::yield_now;

use super::told;
use crate::Check;
use crate::subject::{METHOD, Method, Subject};
use crate::world::{World, soon};

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "Client::connect",
        covers: &["Client::connect"],
        connects: false,
        prepare: |world, subject| {
            subject.got.push(world.url());
            Box::pin(async { Ok(()) })
        },
        run: |subject| {
            Box::pin(async {
                let url = subject.got.pop().unwrap_or_default();
                let connected = Client::connect(url.as_str()).await;
                connected.map(drop).map_err(told)
            })
        },
        ..METHOD
    },
    Method {
        name: "ClientBuilder::connect",
        covers: &["ClientBuilder::connect"],
        connects: false,
        may_fail: true,
        prepare: |world, subject| {
            subject.builder = Some(world.builder());
            Box::pin(async { Ok(()) })
        },
        run: |subject| {
            Box::pin(async {
                let builder = subject.builder.take().ok_or("it was polled before")?;
                subject.client = Some(builder.connect().await.map_err(told)?);
                Ok(())
            })
        },
        ..METHOD
    },
    Method {
        name: "Client::wait_for",
        covers: &["Client::wait_for"],
        run: |subject| {
            Box::pin(async {
                subject.client()?.wait_for(is_connected).await;
                Ok(())
            })
        },
        ..METHOD
    },
    Method {
        name: "StateWatch::changed",
        ends_connections: true,
        covers: &["StateWatch::changed"],
        prepare: |_, subject| {
            Box::pin(async {
                subject.watch = Some(subject.client()?.watch());
                Ok(())
            })
        },
        run: |subject| {
            Box::pin(async {
                let watch = subject.watch.as_mut().ok_or("there is no watch")?;
                subject
                    .got
                    .extend(watch.changed().await.as_ref().map(state));
                Ok(())
            })
        },
        provoke: |world| Box::pin(cut(world)),
        after: |_, subject| {
            Box::pin(async {
                let watch = subject.watch.as_mut().ok_or("there is no watch")?;
                while subject.got.last().is_none_or(|last| last != "connected") {
                    let changed = soon("a change of the state", watch.changed()).await?;
                    subject.got.extend(changed.as_ref().map(state));
                }
                Ok(())
            })
        },
        ..METHOD
    },
    Method {
        name: "Events::recv",
        ends_connections: true,
        covers: &["Events::recv"],
        prepare: |_, subject| {
            Box::pin(async {
                subject.events = Some(subject.client()?.events());
                Ok(())
            })
        },
        run: |subject| {
            Box::pin(async {
                let events = subject.events.as_mut().ok_or("there are no events")?;
                subject.got.extend(events.recv().await.as_ref().map(event));
                Ok(())
            })
        },
        provoke: |world| Box::pin(cut(world)),
        after: |_, subject| {
            Box::pin(async {
                let events = subject.events.as_mut().ok_or("there are no events")?;
                while subject.got.last().is_none_or(|last| last != "connected") {
                    let came = soon("an event", events.recv()).await?;
                    subject.got.extend(came.as_ref().map(event));
                }
                match subject.got.first() {
                    Some(first) if first == "disconnected" => Ok(()),
                    first => Err(format!("the first event is {first:?}")),
                }
            })
        },
        ..METHOD
    },
    Method {
        name: "Client::reauthenticate",
        covers: &["Client::reauthenticate"],
        connects: false,
        may_fail: true,
        prepare: |world, subject| {
            Box::pin(async {
                let builder = world.builder().authenticator(Word);
                let connected = soon("the client connects", builder.connect()).await?;
                subject.client = Some(connected.map_err(told)?);
                Ok(())
            })
        },
        run: |subject| Box::pin(async { subject.client()?.reauthenticate().await.map_err(told) }),
        after: |_, subject| Box::pin(authenticates(subject)),
        ..METHOD
    },
    Method {
        name: "Client::close_with",
        covers: &["Client::close_with"],
        run: |subject| {
            Box::pin(async {
                subject.got.push("asked".to_owned());
                let disconnect = Disconnect::new(ReasonCode::DisconnectWithWillMessage);
                let client = subject.client()?;
                let closed = client.close_with(Duration::from_secs(10), disconnect).await;
                match closed.unacknowledged {
                    0 => Ok(()),
                    left => Err(format!("{left} messages are left")),
                }
            })
        },
        after: |_, subject| Box::pin(closed(subject)),
        ..METHOD
    },
    Method {
        name: "Client::close",
        covers: &["Client::close"],
        run: |subject| {
            Box::pin(async {
                subject.got.push("asked".to_owned());
                let closed = subject.client()?.close(Duration::from_secs(10)).await;
                match closed.unacknowledged {
                    0 => Ok(()),
                    left => Err(format!("{left} messages are left")),
                }
            })
        },
        after: |_, subject| Box::pin(closed(subject)),
        ..METHOD
    },
];

fn is_connected(state: &ConnectionState) -> bool {
    matches!(state, ConnectionState::Connected { .. })
}

fn state(state: &ConnectionState) -> String {
    if is_connected(state) {
        "connected".to_owned()
    } else {
        format!("{state:?}")
    }
}

fn event(event: &Event) -> String {
    match event {
        Event::Connected { .. } => "connected".to_owned(),
        Event::Disconnected { .. } => "disconnected".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Ends the connection; the next is there at once.
async fn cut(world: &World) -> Check {
    world.link.cut();
    yield_now().await;
    Ok(())
}

/// A method of authentication, in which the client says a word whenever it is asked.
struct Word;

impl Authenticator for Word {
    fn method(&self) -> &'static str {
        "WORD"
    }

    fn begin(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, AuthError>> {
        Box::pin(async { Ok(Some(Bytes::from_static(b"first"))) })
    }

    fn answer(&mut self, _: Option<Bytes>) -> BoxFuture<'_, Result<Option<Bytes>, AuthError>> {
        Box::pin(async { Ok(Some(Bytes::from_static(b"next"))) })
    }

    fn finish(&mut self, _: Option<Bytes>) -> Result<(), AuthError> {
        Ok(())
    }
}

/// On a connection that stands the client can authenticate again.
async fn authenticates(subject: &mut Subject) -> Check {
    let client = subject.client()?;
    let authenticates = async {
        while client.reauthenticate().await.is_err() {
            // The connection is about to be another one.
            yield_now().await;
            client.wait_for(is_connected).await;
        }
    };
    soon("the client authenticates again", authenticates).await
}

/// A client that was asked to close has closed, whether anybody waited or not.
async fn closed(subject: &mut Subject) -> Check {
    if subject.got.is_empty() {
        return Ok(());
    }
    let client = subject.client.take().ok_or("there is no client")?;
    let is_closed = |state: &ConnectionState| matches!(state, ConnectionState::Closed { .. });
    soon("the client closes", client.wait_for(is_closed)).await?;
    match client.metrics().queued_messages {
        0 => Ok(()),
        left => Err(format!("{left} messages are left")),
    }
}
