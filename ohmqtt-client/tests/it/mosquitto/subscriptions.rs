//! Kinds of subscriptions: retained messages, options, several filters, identifiers, shared ones.

use std::collections::BTreeSet;

use ohmqtt_client::{Qos, ReasonCode, RetainHandling};

use super::{ALL_QOS, connect, next, publish, quiet, subscribe, text};
use crate::support::mosquitto::Mosquitto;
use crate::support::soon;

#[tokio::test]
async fn retained_messages_reach_later_subscribers_until_they_are_replaced_or_deleted() {
    let broker = Mosquitto::start();
    let publisher = connect(&broker, "publisher").await;
    for qos in ALL_QOS {
        let topic = format!("kept/{}", u8::from(qos));
        let retain = async |payload: &'static str| {
            let kept = publisher
                .publish(topic.as_str(), payload)
                .qos(qos)
                .retain(true);
            soon(soon(kept).await.unwrap().acked()).await.unwrap();
        };
        retain("first").await;
        retain("second").await;
        // QoS 0 is not acknowledged: the same connection's next answer says that it has arrived.
        drop(subscribe(&publisher, "fence").await);
        let subscriber = connect(&broker, "subscriber").await;
        let mut inbox = subscribe(&subscriber, &topic).await;
        let message = next(&mut inbox).await;
        assert_eq!(
            (text(&message), message.retain, message.qos),
            ("second", true, qos)
        );
        // What is published while one is subscribed is no retained message to it.
        retain("third").await;
        let message = next(&mut inbox).await;
        assert_eq!((text(&message), message.retain), ("third", false));

        retain("").await;
        assert_eq!(text(&next(&mut inbox).await), "");
        let late = connect(&broker, "late").await;
        let mut inbox = subscribe(&late, &topic).await;
        quiet(&late, &mut inbox).await;
    }
}

#[tokio::test]
async fn options_of_a_subscription_hold() {
    let broker = Mosquitto::start();
    let client = connect(&broker, "options").await;
    let other = connect(&broker, "other").await;
    let kept = client
        .publish("a", "kept")
        .qos(Qos::AtLeastOnce)
        .retain(true);
    soon(soon(kept).await.unwrap().acked()).await.unwrap();

    let unsent = client
        .subscribe("a")
        .retain_handling(RetainHandling::DoNotSend);
    let mut inbox = soon(unsent).await.unwrap();
    quiet(&client, &mut inbox).await;
    drop(inbox);

    let mut shown = soon(client.subscribe("a").retain_as_published(true))
        .await
        .unwrap();
    assert_eq!(text(&next(&mut shown).await), "kept");
    soon(other.publish("a", "new").retain(true)).await.unwrap();
    assert!(next(&mut shown).await.retain);
    drop(shown);

    let mut foreign = soon(client.subscribe("b").no_local(true)).await.unwrap();
    publish(&client, "b", "own", Qos::AtLeastOnce).await;
    publish(&other, "b", "foreign", Qos::AtLeastOnce).await;
    assert_eq!(text(&next(&mut foreign).await), "foreign");
}

#[tokio::test]
async fn one_stream_takes_several_filters_and_ends_when_it_is_dropped() {
    let broker = Mosquitto::start();
    let client = connect(&broker, "filters").await;
    let mut inbox = soon(client.subscribe("a/+").and("b/#").and("c"))
        .await
        .unwrap();
    assert_eq!(soon(inbox.granted()).await.unwrap().len(), 3);
    for topic in ["a/1", "b/1/2", "c"] {
        publish(&client, topic, "x", Qos::AtLeastOnce).await;
        assert_eq!(next(&mut inbox).await.topic.as_str(), topic);
    }
    drop(inbox);
    // The broker heard of it: nobody is there for the message.
    let gone = publish(&client, "c", "x", Qos::AtLeastOnce).await;
    assert_eq!(gone, ReasonCode::NoMatchingSubscribers);
}

#[tokio::test]
async fn overlapping_subscriptions_each_get_a_message_once() {
    let broker = Mosquitto::start();
    let client = connect(&broker, "overlap").await;
    let mut streams = Vec::new();
    // The last two are one to the server.
    for filter in ["a/#", "a/+", "a/b", "a/b"] {
        streams.push(subscribe(&client, filter).await);
    }
    for qos in ALL_QOS {
        publish(&client, "a/b", "x", qos).await;
    }
    for inbox in &mut streams {
        for qos in ALL_QOS {
            assert_eq!(next(inbox).await.qos, qos);
        }
        quiet(&client, inbox).await;
    }
}

#[tokio::test]
async fn a_shared_subscription_gives_each_message_to_one_member() {
    const MESSAGES: usize = 100;
    let broker = Mosquitto::start();
    let members = [
        connect(&broker, "member-1").await,
        connect(&broker, "member-2").await,
    ];
    let mut left = subscribe(&members[0], "$share/group/work").await;
    let mut right = subscribe(&members[1], "$share/group/work").await;
    let publisher = connect(&broker, "publisher").await;
    let mut sent = Vec::new();
    for n in 0..MESSAGES {
        let message = publisher
            .publish("work", n.to_string())
            .qos(Qos::ExactlyOnce);
        sent.push(soon(message).await.unwrap());
    }
    let mut taken = BTreeSet::new();
    let mut shares = [0, 0];
    for _ in 0..MESSAGES {
        let (share, message) = soon(async {
            tokio::select! {
                message = left.recv() => (0, message),
                message = right.recv() => (1, message),
            }
        })
        .await;
        let message = message.unwrap();
        assert!(
            taken.insert(text(&message).to_owned()),
            "{} twice",
            text(&message)
        );
        shares[share] += 1;
    }
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
    for sent in sent {
        soon(sent.acked()).await.unwrap();
    }
    quiet(&members[0], &mut left).await;
    quiet(&members[1], &mut right).await;
}
