//! Methods that are not safe: each breaks one promise, and has to be found out.

use ohmqtt_client::Qos;
use tokio::task::yield_now;

use crate::methods::{received, subscribed, two_messages};
use crate::subject::{METHOD, Method, Subject};
use crate::world::{soon, text};

pub(crate) const METHODS: &[Method] = &[
    Method {
        name: "a message that is lost when its future is dropped",
        prepare: |_, subject| Box::pin(subscribed(subject)),
        run: |subject| {
            Box::pin(async {
                let inbox = subject.inbox.as_mut().ok_or("there is no stream")?;
                let message = inbox.recv().await;
                yield_now().await;
                subject.got.extend(message.as_ref().map(text));
                Ok(())
            })
        },
        provoke: |world| Box::pin(two_messages(world)),
        after: |_, subject| Box::pin(received(subject, &["1", "2"])),
        ..METHOD
    },
    Method {
        name: "a message that is published before its turn",
        publishes: &[Qos::AtLeastOnce],
        run: |subject| {
            send(subject, Qos::AtLeastOnce);
            Box::pin(async { Ok(()) })
        },
        ..METHOD
    },
    Method {
        name: "a message of QoS 2 that is published twice",
        publishes: &[Qos::ExactlyOnce],
        run: |subject| {
            Box::pin(async {
                send(subject, Qos::ExactlyOnce);
                yield_now().await;
                send(subject, Qos::ExactlyOnce);
                Ok(())
            })
        },
        ..METHOD
    },
    Method {
        name: "a message that is said to be accepted and is not",
        publishes: &[Qos::AtLeastOnce],
        ..METHOD
    },
    Method {
        name: "a future that nobody wakes",
        run: |_| Box::pin(std::future::pending()),
        ..METHOD
    },
    Method {
        name: "a message that is never acknowledged",
        prepare: |_, subject| {
            Box::pin(async {
                let inbox = subject.client()?.subscribe("in/x").manual_ack().send();
                let inbox = inbox.map_err(|error| error.to_string())?;
                inbox.granted().await.map_err(|error| error.to_string())?;
                subject.inbox = Some(inbox);
                Ok(())
            })
        },
        run: |subject| {
            Box::pin(async {
                let inbox = subject.inbox.as_mut().ok_or("there is no stream")?;
                // Forgotten, it is not even told to have been dropped.
                std::mem::forget(inbox.recv().await);
                subject.got.push("forgotten".to_owned());
                Ok(())
            })
        },
        provoke: |world| Box::pin(two_messages(world)),
        after: |_, subject| {
            Box::pin(async {
                let inbox = subject.inbox.as_mut().ok_or("there is no stream")?;
                for _ in subject.got.len()..2 {
                    let message = soon("a message", inbox.recv()).await?;
                    message.ok_or("the stream has ended")?.ack();
                }
                Ok(())
            })
        },
        ..METHOD
    },
];

fn send(subject: &Subject, qos: Qos) {
    if let Some(client) = &subject.client {
        // Where it is not taken there is nothing to be found.
        let _ = client.publish("t/m", "m0").qos(qos).send();
    }
}
