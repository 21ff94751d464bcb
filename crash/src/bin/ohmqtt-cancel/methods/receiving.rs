//! Subscribing and receiving.

use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;
use ohmqtt_client::ReasonCode;

use super::{IN, told};
use crate::Check;
use crate::subject::{METHOD, Method, Subject};
use crate::world::{World, soon, text};

pub(super) const METHODS: &[Method] = &[
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
        name: "Subscription::unsubscribe",
        covers: &["Subscription::unsubscribe"],
        prepare: |_, subject| Box::pin(subscribed(subject)),
        run: |subject| {
            Box::pin(async {
                let inbox = subject.inbox.take().ok_or("there is no stream")?;
                inbox.unsubscribe().await.map(drop).map_err(told)
            })
        },
        after: |world, subject| {
            Box::pin(async {
                // Polled or not, it is over; what is asked later is answered later.
                subject.inbox = None;
                let later = subject.client()?.subscribe("in/later").into_future();
                let later = soon("a later subscription is granted", later).await?;
                later.map_err(told)?;
                match world.tell(IN, "1").await?.reason {
                    ReasonCode::NoMatchingSubscribers => Ok(()),
                    _ => Err("the subscription stands though it was ended".to_owned()),
                }
            })
        },
        ..METHOD
    },
    Method {
        name: "Subscription::suback",
        // It returns its future, and so is not looked for in the source.
        covers: &[],
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
                inbox.suback().await.map(drop).map_err(told)
            })
        },
        after: |world, subject| {
            Box::pin(async {
                let inbox = subject.inbox.as_ref().ok_or("there is no stream")?;
                let suback = soon("it is answered", inbox.suback()).await?;
                suback.map_err(told)?;
                world.tell(IN, "1").await?;
                received(subject, &["1"]).await
            })
        },
        ..METHOD
    },
    Method {
        name: "Inbox::recv",
        covers: &["Inbox::recv"],
        prepare: |_, subject| {
            Box::pin(async {
                let client = subject.client()?;
                let inbox = client.inbox().open();
                let subscribe = client.subscribe(IN).deliver_to(&inbox).into_future();
                let subscribed = soon("the subscription is granted", subscribe).await?;
                subject.inbox = Some(subscribed.map_err(told)?);
                subject.shared = Some(inbox);
                Ok(())
            })
        },
        run: |subject| {
            Box::pin(async {
                let inbox = subject.shared.as_mut().ok_or("there is no inbox")?;
                subject.got.extend(inbox.recv().await.as_ref().map(text));
                Ok(())
            })
        },
        provoke: |world| Box::pin(two_messages(world)),
        after: |_, subject| {
            Box::pin(async {
                let inbox = subject.shared.as_mut().ok_or("there is no inbox")?;
                while subject.got.len() < 2 {
                    let message = soon("a message", inbox.recv()).await?;
                    subject.got.extend(message.as_ref().map(text));
                }
                is_got(subject, &["1", "2"])
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
];

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
