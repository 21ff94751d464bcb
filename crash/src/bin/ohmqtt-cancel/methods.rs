//! The table of the methods, a row each.

use std::error::Error;
use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;
use ohmqtt_client::{Client, ConnectionState, Event, Publication, PublishError, Qos, ReasonCode};

use tokio::task::yield_now;

use crate::Check;
use crate::subject::{METHOD, Method, Subject};
use crate::world::{World, soon, text};

/// Where the peer publishes to the client.
const IN: &str = "in/x";

/// Every public future of the client.
pub(crate) const METHODS: &[Method] = &[
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
        name: "Client::publish at QoS 0",
        covers: &["Publish::into_future"],
        publishes: &[Qos::AtMostOnce],
        run: |subject| Box::pin(publish(subject, Qos::AtMostOnce)),
        ..METHOD
    },
    Method {
        name: "Client::publish at QoS 1",
        covers: &["Publish::into_future"],
        publishes: &[Qos::AtLeastOnce],
        run: |subject| Box::pin(publish(subject, Qos::AtLeastOnce)),
        ..METHOD
    },
    Method {
        name: "Client::publish at QoS 2",
        covers: &["Publish::into_future"],
        publishes: &[Qos::ExactlyOnce],
        run: |subject| Box::pin(publish(subject, Qos::ExactlyOnce)),
        ..METHOD
    },
    Method {
        name: "Client::publish behind another",
        covers: &["Publish::into_future"],
        publishes: &[Qos::ExactlyOnce],
        arrange: |subject| Box::pin(another(subject)),
        run: |subject| Box::pin(publish(subject, Qos::ExactlyOnce)),
        after: |_, subject| {
            Box::pin(async {
                let other = subject.other.take().ok_or("there is no other")?;
                soon("the other has its turn", other).await?.map_err(told)?
            })
        },
        ..METHOD
    },
    Method {
        name: "Publication::accepted",
        covers: &["Publication::accepted"],
        arrange: |subject| Box::pin(async { send(subject) }),
        run: |subject| Box::pin(async { publication(subject)?.accepted().await.map_err(told) }),
        ..METHOD
    },
    Method {
        name: "Publication::sent",
        covers: &["Publication::sent"],
        arrange: |subject| Box::pin(async { send(subject) }),
        run: |subject| Box::pin(async { publication(subject)?.sent().await.map_err(told) }),
        ..METHOD
    },
    Method {
        name: "Publication::acked",
        covers: &["Publication::acked"],
        arrange: |subject| Box::pin(async { send(subject) }),
        run: |subject| {
            Box::pin(async {
                let acked = publication(subject)?.acked().await;
                acked.map(drop).map_err(told)
            })
        },
        ..METHOD
    },
    Method {
        name: "Client::subscribe",
        covers: &["Subscribe::into_future"],
        run: |subject| {
            Box::pin(async {
                let subscribed = subject.client()?.subscribe(IN).await;
                subject.inbox = Some(subscribed.map_err(told)?);
                Ok(())
            })
        },
        after: |world, subject| {
            Box::pin(async {
                if subject.inbox.is_some() {
                    world.tell(IN, "1").await?;
                    return received(subject, &["1"]).await;
                }
                // What is asked later is answered later.
                let later = subject.client()?.subscribe("in/later").into_future();
                let later = soon("a later subscription is granted", later).await?;
                later.map_err(told)?;
                match world.tell(IN, "1").await?.reason {
                    ReasonCode::NoMatchingSubscribers => Ok(()),
                    _ => Err("the subscription stands though it was dropped".to_owned()),
                }
            })
        },
        ..METHOD
    },
    Method {
        name: "Subscription::granted",
        covers: &["Subscription::granted"],
        arrange: |subject| {
            Box::pin(async {
                let inbox = subject.client()?.subscribe(IN).send();
                subject.inbox = Some(inbox.map_err(told)?);
                Ok(())
            })
        },
        run: |subject| {
            Box::pin(async {
                let inbox = subject.inbox.as_ref().ok_or("there is no stream")?;
                inbox.granted().await.map(drop).map_err(told)
            })
        },
        after: |world, subject| {
            Box::pin(async {
                let inbox = subject.inbox.as_ref().ok_or("there is no stream")?;
                let granted = soon("it is granted", inbox.granted()).await?;
                granted.map_err(told)?;
                world.tell(IN, "1").await?;
                received(subject, &["1"]).await
            })
        },
        ..METHOD
    },
    Method {
        name: "Subscription::recv, nothing there",
        covers: &["Subscription::recv"],
        prepare: |_, subject| Box::pin(subscribed(subject)),
        run: |subject| Box::pin(receive(subject)),
        provoke: |world| Box::pin(two_messages(world)),
        after: |_, subject| Box::pin(received(subject, &["1", "2"])),
        ..METHOD
    },
    Method {
        name: "Subscription::recv, two messages there",
        covers: &["Subscription::recv"],
        prepare: |world, subject| {
            Box::pin(async {
                subscribed(subject).await?;
                two_messages(world).await
            })
        },
        run: |subject| Box::pin(receive(subject)),
        after: |_, subject| Box::pin(received(subject, &["1", "2"])),
        ..METHOD
    },
    Method {
        name: "Subscription as a Stream",
        covers: &["Subscription::poll_next"],
        prepare: |_, subject| Box::pin(subscribed(subject)),
        run: |subject| {
            Box::pin(async {
                let inbox = subject.inbox.as_mut().ok_or("there is no stream")?;
                let mut inbox = Pin::new(inbox);
                let next = std::future::poll_fn(|cx| inbox.as_mut().poll_next(cx)).await;
                subject.got.extend(next.as_ref().map(text));
                Ok(())
            })
        },
        provoke: |world| Box::pin(two_messages(world)),
        after: |_, subject| Box::pin(received(subject, &["1", "2"])),
        ..METHOD
    },
    Method {
        name: "Unclaimed::recv",
        covers: &["Unclaimed::recv"],
        prepare: |world, subject| Box::pin(unclaimed(world, subject)),
        run: |subject| {
            Box::pin(async {
                let unclaimed = subject.unclaimed.as_mut().ok_or("there is no stream")?;
                subject
                    .got
                    .extend(unclaimed.recv().await.as_ref().map(text));
                Ok(())
            })
        },
        provoke: |world| Box::pin(two_messages(world)),
        after: |_, subject| {
            Box::pin(async {
                let unclaimed = subject.unclaimed.as_mut().ok_or("there is no stream")?;
                while subject.got.len() < 2 {
                    let message = soon("a message that nobody claims", unclaimed.recv()).await?;
                    subject.got.extend(message.as_ref().map(text));
                }
                is_got(subject, &["1", "2"])
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

fn told(error: impl Into<Box<dyn Error>>) -> String {
    error.into().to_string()
}

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

async fn publish(subject: &mut Subject, qos: Qos) -> Check {
    let publish = subject.client()?.publish("t/m", "m0").qos(qos);
    let publication = publish.await.map_err(told)?;
    subject.publications.push((publication, qos));
    Ok(())
}

/// Publishes a message to wait for; where there is no room for it, what has taken the room is waited for.
fn send(subject: &mut Subject) -> Check {
    let publish = subject.client()?.publish("t/m", "m0").qos(Qos::ExactlyOnce);
    let publication = match publish.send() {
        Ok(publication) => publication,
        Err(PublishError::Full(_)) => subject.filler.clone().ok_or("the outbox is full")?,
        Err(error) => return Err(error.to_string()),
    };
    subject.publications.push((publication, Qos::ExactlyOnce));
    Ok(())
}

/// Lets another publish first.
async fn another(subject: &mut Subject) -> Check {
    let client = subject.client()?.clone();
    subject.other = Some(tokio::spawn(async move {
        let publish = client.publish("t/other", "other").qos(Qos::AtLeastOnce);
        let acked = publish.await.map_err(told)?.acked().await;
        acked.map(drop).map_err(told)
    }));
    yield_now().await;
    Ok(())
}

fn publication(subject: &Subject) -> Check<&Publication> {
    let first = subject.publications.first();
    let (publication, _) = first.ok_or("there is no publication")?;
    Ok(publication)
}

pub(crate) async fn subscribed(subject: &mut Subject) -> Check {
    let subscribe = subject.client()?.subscribe(IN).into_future();
    let subscribed = soon("the subscription is granted", subscribe).await?;
    subject.inbox = Some(subscribed.map_err(told)?);
    Ok(())
}

pub(crate) async fn two_messages(world: &World) -> Check {
    world.tell(IN, "1").await?;
    world.tell(IN, "2").await?;
    Ok(())
}

/// Ends the connection; the next is there at once.
async fn cut(world: &World) -> Check {
    world.link.cut();
    yield_now().await;
    Ok(())
}

async fn receive(subject: &mut Subject) -> Check {
    let inbox = subject.inbox.as_mut().ok_or("there is no stream")?;
    subject.got.extend(inbox.recv().await.as_ref().map(text));
    Ok(())
}

/// All of this comes, with what came before, and no more.
pub(crate) async fn received(subject: &mut Subject, wanted: &[&str]) -> Check {
    while subject.got.len() < wanted.len() {
        is_got(subject, &wanted[..subject.got.len()])?;
        soon("a message", receive(subject)).await??;
    }
    is_got(subject, wanted)?;
    let inbox = subject.inbox.as_mut().ok_or("there is no stream")?;
    match inbox.try_recv() {
        Some(message) => Err(format!("{message:?} came again")),
        None => Ok(()),
    }
}

fn is_got(subject: &Subject, wanted: &[&str]) -> Check {
    if subject.got == wanted {
        return Ok(());
    }
    Err(format!("{:?} came, not {wanted:?}", subject.got))
}

/// A session with a subscription goes on in a client that has none.
async fn unclaimed(world: &World, subject: &mut Subject) -> Check {
    subscribed(subject).await?;
    let first = subject.client.take().ok_or("there is no client")?;
    soon(
        "the first client closes",
        first.close(Duration::from_secs(10)),
    )
    .await?;
    subject.inbox = None;
    let client = world.connect().await?;
    subject.unclaimed = Some(client.unclaimed());
    subject.client = Some(client);
    Ok(())
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
