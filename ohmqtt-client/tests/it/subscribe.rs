//! Subscriptions: how they come to the server and leave it, which stream a message goes to, and who acknowledges.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use ohmqtt_client::{
    ConnectionState, Qos, ReasonCode, RetainHandling, SubscribeError, SubscriptionOptions,
};
use ohmqtt_codec::{ConnAckProperties, Packet, Publish, SubscriptionId, TopicName};

use crate::support::script::Script;
use crate::support::{broker, client, eventually, next, soon, text};

fn filters(subscribe: &ohmqtt_codec::Subscribe) -> Vec<String> {
    let filters = subscribe.filters.iter();
    filters
        .map(|(filter, _)| filter.as_str().to_owned())
        .collect()
}

fn left(unsubscribe: &ohmqtt_codec::Unsubscribe) -> Vec<String> {
    let filters = unsubscribe.filters.iter();
    filters.map(|filter| filter.as_str().to_owned()).collect()
}

#[tokio::test]
async fn several_filters_come_in_one_subscribe_with_their_options() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let inbox = client
        .subscribe("a")
        .and("b/+")
        .and("c/#")
        .qos(Qos::AtLeastOnce)
        .no_local(true)
        .retain_as_published(true)
        .retain_handling(RetainHandling::DoNotSend)
        .send()
        .unwrap();
    let subscribe = conn.subscribe().await;
    assert_eq!(filters(&subscribe), ["a", "b/+", "c/#"]);
    for (_, options) in subscribe.filters.iter() {
        assert_eq!(options.qos, Qos::AtLeastOnce);
        assert!(options.no_local && options.retain_as_published);
        assert_eq!(options.retain_handling, RetainHandling::DoNotSend);
    }
    let granted = [
        ReasonCode::Success,
        ReasonCode::GrantedQos1,
        ReasonCode::Success,
    ];
    conn.suback(subscribe.packet_id, granted).await;
    assert_eq!(soon(inbox.granted()).await.unwrap(), granted);
}

#[tokio::test]
async fn a_filter_may_have_options_and_a_subscribe_properties_of_its_own() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let _inbox = client
        .subscribe("a")
        .and_with("b", SubscriptionOptions::new(Qos::AtMostOnce))
        .qos(Qos::AtLeastOnce)
        .user_property("who", "me")
        .send()
        .unwrap();
    let subscribe = conn.subscribe().await;
    let granted: Vec<_> = subscribe.filters.iter().map(|(_, o)| o.qos).collect();
    assert_eq!(granted, [Qos::AtLeastOnce, Qos::AtMostOnce]);
    let properties: Vec<_> = subscribe.properties.user_properties().collect();
    assert_eq!(properties, [("who", "me")]);
    let error = client.subscribe("a").user_property("\0", "").send();
    assert!(matches!(
        error,
        Err(SubscribeError::Value {
            field: "user property",
            ..
        })
    ));
}

#[tokio::test]
async fn one_stream_has_the_messages_of_all_its_filters() {
    let broker = broker().await;
    let client = client(&broker).await;
    let mut inbox = soon(client.subscribe("a").and("b/#")).await.unwrap();
    for topic in ["a", "b", "b/c", "c", "a"] {
        soon(client.publish(topic, topic)).await.unwrap();
    }
    for topic in ["a", "b", "b/c", "a"] {
        assert_eq!(next(&mut inbox).await.topic.as_str(), topic);
    }
    assert!(inbox.try_recv().is_none());
}

#[tokio::test]
async fn a_refused_filter_is_told_and_the_others_are_taken_back() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let waits = tokio::spawn(async move { client.subscribe("mine").and("theirs").await.map(drop) });
    let subscribe = conn.subscribe().await;
    let codes = [ReasonCode::GrantedQos2, ReasonCode::NotAuthorized];
    conn.suback(subscribe.packet_id, codes).await;
    let error = soon(waits).await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "subscribe to 'theirs': refused by the server: Not authorized (0x87)"
    );
    let SubscribeError::Refused { filter, reason } = error else {
        panic!("{error:?}");
    };
    assert_eq!(
        (filter.as_str(), reason),
        ("theirs", ReasonCode::NotAuthorized)
    );
    let unsubscribe = conn.unsubscribe().await;
    assert_eq!(left(&unsubscribe), ["mine", "theirs"]);
}

#[tokio::test]
async fn a_subscription_may_be_declared_before_the_connection() {
    let script = Script::start().await;
    let client = script.client().start().unwrap();
    let mut inbox = client.subscribe("t").send().unwrap();
    let mut conn = script.accept().await;
    let subscribe = conn.subscribe().await;
    assert_eq!(filters(&subscribe), ["t"]);
    conn.grant(&subscribe).await;
    conn.deliver("t", "x", Qos::AtMostOnce, 0).await;
    assert_eq!(text(&next(&mut inbox).await), "x");
}

#[tokio::test]
async fn a_new_session_is_subscribed_again_and_an_old_one_is_not() {
    let script = Script::start().await;
    let (client, conn, mut inbox) = script.subscribed("t").await;
    drop(conn);
    let mut conn = script.resume().await;
    assert_eq!(conn.before_echo().await, []);
    conn.deliver("t", "1", Qos::AtMostOnce, 0).await;
    assert_eq!(text(&next(&mut inbox).await), "1");
    drop(conn);
    let mut conn = script.accept().await;
    let subscribe = conn.subscribe().await;
    assert_eq!(filters(&subscribe), ["t"]);
    conn.grant(&subscribe).await;
    conn.deliver("t", "2", Qos::AtMostOnce, 0).await;
    assert_eq!(text(&next(&mut inbox).await), "2");
    assert_eq!(client.metrics().connections, 3);
}

#[tokio::test]
async fn a_subscribe_that_was_not_answered_is_sent_again_in_the_old_session() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let inbox = client.subscribe("t").send().unwrap();
    conn.subscribe().await;
    drop(conn);
    let mut conn = script.resume().await;
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    assert_eq!(
        soon(inbox.granted()).await.unwrap(),
        [ReasonCode::GrantedQos2]
    );
}

#[tokio::test]
async fn a_dropped_subscription_leaves_the_server() {
    let script = Script::start().await;
    let (client, mut conn, inbox) = script.subscribed("t").await;
    drop(inbox);
    let unsubscribe = conn.unsubscribe().await;
    assert_eq!(left(&unsubscribe), ["t"]);
    conn.unsuback(&unsubscribe).await;
    // And is not remembered.
    drop(conn);
    let mut conn = script.resume().await;
    assert_eq!(conn.before_echo().await, []);
    drop(client);
}

#[tokio::test]
async fn a_subscription_dropped_without_a_connection_leaves_the_server_at_the_next_one() {
    let script = Script::start().await;
    let (client, conn, inbox) = script.subscribed("t").await;
    drop(conn);
    let (mut conn, _) = script.connect().await;
    drop(inbox);
    conn.connack(true).await;
    let unsubscribe = conn.unsubscribe().await;
    assert_eq!(left(&unsubscribe), ["t"]);
    // It is not answered, so it is said once more.
    drop(conn);
    let mut conn = script.resume().await;
    let unsubscribe = conn.unsubscribe().await;
    conn.unsuback(&unsubscribe).await;
    drop(conn);
    let mut conn = script.resume().await;
    assert_eq!(conn.before_echo().await, []);
    drop(client);
}

/// Another subscription that had the filter meanwhile, and was never asked for, does not keep it there.
#[tokio::test]
async fn a_filter_that_nobody_wants_in_the_end_leaves_the_server() {
    let script = Script::start().await;
    let (client, conn, inbox) = script.subscribed("t").await;
    drop(conn);
    let (mut conn, _) = script.connect().await;
    drop(inbox);
    drop(client.subscribe("t").send().unwrap());
    conn.connack(true).await;
    let unsubscribe = conn.unsubscribe().await;
    assert_eq!(left(&unsubscribe), ["t"]);
}

#[tokio::test]
async fn a_new_session_needs_no_unsubscribe() {
    let script = Script::start().await;
    let (client, conn, inbox) = script.subscribed("t").await;
    drop(conn);
    let (mut conn, _) = script.connect().await;
    drop(inbox);
    conn.connack(false).await;
    assert_eq!(conn.before_echo().await, []);
    drop(client);
}

#[tokio::test]
async fn a_filter_that_another_subscription_needs_stays_with_the_server() {
    let script = Script::start().await;
    let (client, mut conn, first) = script.subscribed("t").await;
    let mut second = client.subscribe("t").and("u").send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    soon(second.granted()).await.unwrap();
    drop(first);
    assert_eq!(conn.before_echo().await, []);
    conn.deliver("t", "x", Qos::AtMostOnce, 0).await;
    assert_eq!(text(&next(&mut second).await), "x");
    drop(second);
    let unsubscribe = conn.unsubscribe().await;
    assert_eq!(left(&unsubscribe), ["t", "u"]);
}

#[tokio::test]
async fn what_a_server_does_not_offer_is_a_local_error() {
    let script = Script::start().await;
    let mut properties = ConnAckProperties::default();
    properties.set_wildcard_subscription_available(false);
    properties.set_shared_subscription_available(false);
    let connect = tokio::spawn(script.client().connect());
    let (mut conn, _) = script.connect().await;
    conn.answer(false, ReasonCode::Success, properties).await;
    let client = soon(connect).await.unwrap().unwrap();
    for (filter, told) in [("a/#", "wildcard"), ("$share/g/t", "shared")] {
        let error = soon(client.subscribe(filter)).await.unwrap_err();
        assert!(matches!(error, SubscribeError::NotSent(_)), "{error:?}");
        assert!(error.to_string().contains(told), "{error}");
    }
    assert_eq!(conn.before_echo().await, []);
}

#[tokio::test]
async fn a_malformed_filter_is_a_local_error() {
    let script = Script::start().await;
    let client = script.client().start().unwrap();
    for filter in ["", "a#", "a/+b", "$share/g", "$share//t"] {
        let error = client.subscribe(filter).send().unwrap_err();
        assert!(
            matches!(error, SubscribeError::Filter(_)),
            "{filter}: {error:?}"
        );
    }
    // No Local is not for shared subscriptions.
    let shared = client.subscribe("$share/g/t").no_local(true);
    assert!(matches!(shared.send(), Err(SubscribeError::Filter(_))));
}

/// [MQTT-3.3.4-3] [MQTT-3.3.4-4] Whether the broker sends one message or one for each, each stream has one.
#[tokio::test]
async fn overlapping_subscriptions_each_have_a_message_once() {
    let broker = broker().await;
    let client = client(&broker).await;
    let mut all = soon(client.subscribe("a/#")).await.unwrap();
    let mut one = soon(client.subscribe("a/b")).await.unwrap();
    let mut other = soon(client.subscribe("a/c")).await.unwrap();
    for (n, topic) in ["a/b", "a/c", "a/b"].into_iter().enumerate() {
        let publish = client.publish(topic, n.to_string()).qos(Qos::ExactlyOnce);
        soon(publish).await.unwrap();
    }
    for (inbox, want) in [
        (&mut all, vec!["0", "1", "2"]),
        (&mut one, vec!["0", "2"]),
        (&mut other, vec!["1"]),
    ] {
        for text in want {
            assert_eq!(next(inbox).await.payload, text);
        }
        assert!(inbox.try_recv().is_none());
    }
    eventually(|| client.metrics().unacknowledged == 0).await;
}

#[tokio::test]
async fn a_topic_that_came_often_is_for_whom_it_is_now() {
    let broker = broker().await;
    let client = client(&broker).await;
    let mut first = soon(client.subscribe("a/#")).await.unwrap();
    let publish = async |text: &str| {
        let publish = client.publish("a/b", text.to_owned());
        soon(publish.qos(Qos::AtLeastOnce)).await.unwrap();
    };
    for text in ["0", "1", "2", "3"] {
        publish(text).await;
        assert_eq!(next(&mut first).await.payload, text);
    }
    let mut later = soon(client.subscribe("a/b")).await.unwrap();
    for text in ["4", "5", "6", "7"] {
        publish(text).await;
        assert_eq!(next(&mut first).await.payload, text);
        assert_eq!(next(&mut later).await.payload, text);
    }
    soon(first.unsubscribe()).await.unwrap();
    publish("8").await;
    assert_eq!(next(&mut later).await.payload, "8");
    soon(later.unsubscribe()).await.unwrap();
    let mut last = soon(client.subscribe("+/b")).await.unwrap();
    publish("9").await;
    assert_eq!(next(&mut last).await.payload, "9");
    assert!(last.try_recv().is_none());
    eventually(|| client.metrics().unacknowledged == 0).await;
    assert_eq!(client.metrics().abandoned, 0);
}

#[tokio::test]
async fn a_subscription_is_a_stream() {
    let script = Script::start().await;
    let (client, mut conn, mut inbox) = script.subscribed("t").await;
    conn.deliver("t", "1", Qos::AtLeastOnce, 1).await;
    let message = std::future::poll_fn(|cx| Pin::new(&mut inbox).poll_next(cx));
    assert_eq!(text(&soon(message).await.unwrap()), "1");
    conn.puback(1).await;
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut inbox).poll_next(&mut cx).is_pending());
    let close = client.close(Duration::from_secs(5));
    let (_, end) = tokio::join!(soon(close), async {
        conn.goodbye().await;
        drop(conn);
        soon(std::future::poll_fn(|cx| {
            Pin::new(&mut inbox).poll_next(cx)
        }))
        .await
    });
    assert!(end.is_none());
    assert!(matches!(
        Pin::new(&mut inbox).poll_next(&mut cx),
        Poll::Ready(None)
    ));
}

#[tokio::test]
async fn a_subscription_of_a_closed_client_ends_and_says_so() {
    let script = Script::start().await;
    let client = script.client().start().unwrap();
    let mut inbox = client.subscribe("t").send().unwrap();
    let waits = {
        let client = client.clone();
        tokio::spawn(async move { client.subscribe("u").await.map(drop) })
    };
    tokio::task::yield_now().await;
    soon(client.close(Duration::ZERO)).await;
    assert!(soon(inbox.recv()).await.is_none());
    assert!(matches!(
        soon(inbox.granted()).await,
        Err(SubscribeError::Closed)
    ));
    assert!(matches!(
        soon(waits).await.unwrap(),
        Err(SubscribeError::Closed)
    ));
    assert!(matches!(
        client.subscribe("v").send(),
        Err(SubscribeError::Closed)
    ));
    assert!(matches!(client.state(), ConnectionState::Closed { .. }));
}

#[tokio::test]
async fn a_retained_message_comes_to_a_new_subscription() {
    let broker = broker().await;
    let client = client(&broker).await;
    let retained = client
        .publish("t", "kept")
        .qos(Qos::AtLeastOnce)
        .retain(true);
    soon(soon(retained).await.unwrap().acked()).await.unwrap();
    let mut inbox = soon(client.subscribe("t")).await.unwrap();
    let message = next(&mut inbox).await;
    assert_eq!((text(&message), message.retain), ("kept", true));
    let not = client
        .subscribe("t")
        .retain_handling(RetainHandling::DoNotSend);
    let mut other = soon(not).await.unwrap();
    soon(client.publish("t", "new")).await.unwrap();
    assert_eq!(text(&next(&mut other).await), "new");
}

/// A broker that sends one message for each overlapping subscription, each with its identifier.
#[tokio::test]
async fn a_message_with_an_identifier_is_for_its_own_subscription() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let mut all = client.subscribe("a/#").send().unwrap();
    let mut one = client.subscribe("a/b").send().unwrap();
    let mut identifiers = Vec::new();
    for _ in 0..2 {
        let subscribe = conn.subscribe().await;
        identifiers.push(subscribe.properties.subscription_identifier().unwrap());
        conn.grant(&subscribe).await;
    }
    for (n, id) in identifiers.into_iter().enumerate() {
        conn.send(with_identifier("a/b", n, id)).await;
    }
    assert_eq!(text(&next(&mut all).await), "0");
    assert_eq!(text(&next(&mut one).await), "1");
    conn.before_echo().await;
    assert!(all.try_recv().is_none() && one.try_recv().is_none());
}

fn with_identifier(topic: &str, n: usize, id: SubscriptionId) -> Packet {
    let mut publish = Publish::new(TopicName::new(topic).unwrap(), n.to_string());
    publish.properties.add_subscription_identifier(id);
    Packet::Publish(publish)
}
