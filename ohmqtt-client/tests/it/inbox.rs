//! Several subscriptions in one stream, and what the server says of single ones.

use std::time::Duration;

use ohmqtt_client::{Inbox, Message, Qos, ReasonCode, SubscribeError, WhenFull};

use crate::support::script::Script;
use crate::support::{broker, client, soon, text};

async fn next(inbox: &mut Inbox) -> Message {
    soon(inbox.recv()).await.unwrap()
}

#[tokio::test]
async fn messages_of_several_subscriptions_come_in_the_order_they_came() {
    let broker = broker().await;
    let client = client(&broker).await;
    let mut inbox = client.inbox().open();
    let a = client.subscribe("a").deliver_to(&inbox).await.unwrap();
    let mut b = client.subscribe("b").deliver_to(&inbox).await.unwrap();
    for n in 0..100 {
        let topic = if n % 3 == 0 { "a" } else { "b" };
        client
            .publish(topic, n.to_string())
            .qos(Qos::AtLeastOnce)
            .await
            .unwrap();
    }
    for n in 0..100 {
        let message = next(&mut inbox).await;
        let from = if n % 3 == 0 { &a } else { &b };
        assert_eq!(
            (text(&message), message.subscription()),
            (&*n.to_string(), from.number())
        );
    }
    assert!(b.try_recv().is_none() && soon(b.recv()).await.is_none());
}

#[tokio::test]
async fn a_message_for_two_of_them_comes_for_each_and_is_acknowledged_once_both_have_it() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let mut inbox = client.inbox().manual_ack().open();
    let a = client.subscribe("a/#").deliver_to(&inbox).send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    let b = client.subscribe("+/b").deliver_to(&inbox).send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    conn.deliver("a/b", "x", Qos::AtLeastOnce, 1).await;
    let (first, second) = (next(&mut inbox).await, next(&mut inbox).await);
    let mut numbers = [first.subscription(), second.subscription()];
    numbers.sort_unstable();
    assert_eq!(numbers, [a.number(), b.number()]);
    first.ack();
    assert_eq!(conn.before_echo().await, []);
    second.ack();
    assert_eq!(conn.puback(1).await, ReasonCode::Success);
}

#[tokio::test]
async fn what_waits_for_a_subscription_that_ends_leaves_the_inbox() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let mut inbox = client.inbox().open();
    let a = client.subscribe("a").deliver_to(&inbox).send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    let _b = client.subscribe("b").deliver_to(&inbox).send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    conn.deliver("a", "unread", Qos::AtLeastOnce, 1).await;
    conn.deliver("b", "read", Qos::AtLeastOnce, 2).await;
    assert_eq!(conn.before_echo().await, []);
    drop(a);
    conn.unsubscribe().await;
    assert_eq!(text(&next(&mut inbox).await), "read");
    assert!(inbox.try_recv().is_none());
    // It waits for who claims it.
    let mut later = client.subscribe("a").send().unwrap();
    assert_eq!(text(&soon(later.recv()).await.unwrap()), "unread");
}

#[tokio::test]
async fn an_inbox_has_its_own_bounds_and_ends_with_the_client() {
    let broker = broker().await;
    let client = client(&broker).await;
    let mut inbox = client
        .inbox()
        .capacity(2)
        .capacity_bytes(1000)
        .when_full(WhenFull::DropOldest)
        .open();
    let mut idle = client.inbox().open();
    let _a = client.subscribe("a").deliver_to(&inbox).await.unwrap();
    for n in 0..5 {
        client.publish("a", n.to_string()).await.unwrap();
    }
    client
        .publish("a", "last")
        .qos(Qos::AtLeastOnce)
        .await
        .unwrap()
        .acked()
        .await
        .unwrap();
    crate::support::eventually(|| inbox.dropped() == 3).await;
    assert_eq!(text(&next(&mut inbox).await), "3");
    client.close(Duration::from_secs(5)).await;
    assert!(soon(idle.recv()).await.is_none());
    assert!(soon(client.inbox().open().recv()).await.is_none());
}

#[tokio::test]
async fn the_whole_suback_and_unsuback_are_told() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let a = client.subscribe("a").send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.suback(subscribe.packet_id, [ReasonCode::NotAuthorized])
        .await;
    let suback = soon(a.suback()).await.unwrap();
    assert_eq!(suback.packet_id, subscribe.packet_id);
    assert!(suback.codes.iter().eq([ReasonCode::NotAuthorized]));
    let leaving = tokio::spawn(a.unsubscribe());
    let unsubscribe = conn.unsubscribe().await;
    conn.unsuback(&unsubscribe).await;
    let unsuback = soon(leaving).await.unwrap().unwrap().unwrap();
    assert_eq!(unsuback.packet_id, unsubscribe.packet_id);
}

#[tokio::test]
async fn who_waits_for_a_suback_hears_that_the_subscription_was_ended() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let subscription = client.subscribe("a").send().unwrap();
    conn.subscribe().await;
    let suback = subscription.suback();
    drop(subscription);
    assert!(matches!(soon(suback).await, Err(SubscribeError::Ended)));
}

#[tokio::test]
async fn nothing_is_asked_to_end_what_the_server_does_not_have() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let a = client.subscribe("a").send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    let same = client.subscribe("a").send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    assert_eq!(soon(a.unsubscribe()).await.unwrap(), None);
    // The server loses the session while it is asked.
    let leaving = tokio::spawn(same.unsubscribe());
    conn.unsubscribe().await;
    drop(conn);
    let _conn = script.accept().await;
    assert_eq!(soon(leaving).await.unwrap().unwrap(), None);
}

#[tokio::test]
async fn a_subscription_takes_the_place_of_another_without_a_message_twice_or_lost() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let mut inbox = client.inbox().open();
    let before = client.subscribe("a").deliver_to(&inbox).send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    conn.deliver("a", "waits", Qos::AtMostOnce, 1).await;
    conn.before_echo().await;
    let subscribe = client.subscribe("a").qos(Qos::AtLeastOnce);
    let subscribe = subscribe.deliver_to(&inbox).in_place_of(&before);
    let after = subscribe.send().unwrap();
    drop(before);
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    conn.deliver("a", "comes", Qos::AtMostOnce, 1).await;
    for want in ["waits", "comes"] {
        let message = next(&mut inbox).await;
        assert_eq!(
            (text(&message), message.subscription()),
            (want, after.number())
        );
    }
    assert_eq!(conn.before_echo().await, [], "the server was asked once");
    assert!(inbox.try_recv().is_none());
}
