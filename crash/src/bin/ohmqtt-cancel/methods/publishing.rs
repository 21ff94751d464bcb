//! Publishing, and waiting for what becomes of a message.

use ohmqtt_client::{Publication, PublishError, Qos};
use tokio::task::yield_now;

use super::told;
use crate::Check;
use crate::subject::{METHOD, Method, Subject};
use crate::world::{self, SOON, soon};

/// What is published together.
const ALL: [Qos; 3] = [Qos::ExactlyOnce, Qos::AtLeastOnce, Qos::AtMostOnce];

pub(super) const METHODS: &[Method] = &[
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
        name: "Client::publish_all",
        covers: &["PublishAll::into_future"],
        publishes: &ALL,
        run: |subject| Box::pin(publish_all(subject)),
        ..METHOD
    },
    Method {
        name: "Client::request",
        covers: &["Request::into_future"],
        publishes: &[Qos::AtLeastOnce],
        run: |subject| Box::pin(request(subject, "m0")),
        after: |_, subject| {
            Box::pin(async {
                // The answer to a request that was dropped is not that to another.
                soon("a later request is answered", request(subject, "later")).await?
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
];

async fn publish(subject: &mut Subject, qos: Qos) -> Check {
    let publish = subject.client()?.publish("t/m", "m0").qos(qos);
    let publication = publish.await.map_err(told)?;
    subject.publications.push((publication, qos));
    Ok(())
}

async fn request(subject: &Subject, text: &'static str) -> Check {
    let request = subject.client()?.request("t/m", text, SOON);
    let answer = world::text(&request.await.map_err(told)?);
    if answer == format!("re: {text}") {
        return Ok(());
    }
    Err(format!("the answer to {text:?} is {answer:?}"))
}

async fn publish_all(subject: &mut Subject) -> Check {
    let client = subject.client()?;
    let messages = [("m0", ALL[0]), ("m1", ALL[1]), ("m2", ALL[2])];
    let messages = messages.map(|(text, qos)| client.publish("t/m", text).qos(qos));
    let publications = client.publish_all(messages).await.map_err(told)?;
    subject
        .publications
        .extend(publications.into_iter().zip(ALL));
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
