//! What becomes of messages that a reader is too slow for, as its subscription chose.

use ohmqtt_client::{Qos, ReasonCode, Subscription, WhenFull};

use crate::support::script::Script;
use crate::support::{next, soon, text};

/// The payloads of what waits.
fn waiting(inbox: &mut Subscription) -> Vec<String> {
    std::iter::from_fn(|| inbox.try_recv())
        .map(|message| text(&message).to_owned())
        .collect()
}

#[tokio::test]
async fn drop_oldest_keeps_the_newest_of_qos_0_and_holds_what_is_to_be_acknowledged() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let inbox = client.subscribe("t").capacity(3);
    let mut inbox = inbox.when_full(WhenFull::DropOldest).send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    conn.deliver("t", "held", Qos::AtLeastOnce, 1).await;
    for n in 0..10 {
        conn.deliver("t", &n.to_string(), Qos::AtMostOnce, 0).await;
    }
    conn.deliver("t", "last", Qos::ExactlyOnce, 2).await;
    assert_eq!(conn.before_echo().await, []);
    assert_eq!((inbox.dropped(), client.metrics().dropped), (7, 7));
    assert_eq!(waiting(&mut inbox), ["held", "7", "8", "9", "last"]);
    assert_eq!(conn.puback(1).await, ReasonCode::Success);
}

#[tokio::test]
async fn the_bound_in_bytes_is_the_subscription_s_own() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    // A topic of one byte, no properties, which is one byte, and a payload of four: four times.
    let inbox = client.subscribe("t").capacity_bytes(4 * 6);
    let mut inbox = inbox.when_full(WhenFull::DropOldest).send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    for n in 1000..1010 {
        conn.deliver("t", &n.to_string(), Qos::AtMostOnce, 0).await;
    }
    conn.deliver("t", "larger than all that may wait", Qos::AtMostOnce, 0)
        .await;
    conn.before_echo().await;
    assert_eq!(inbox.dropped(), 7);
    assert_eq!(waiting(&mut inbox), ["1006", "1007", "1008", "1009"]);
}

#[tokio::test]
async fn drop_oldest_of_any_acknowledges_what_it_drops() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair_of(script.client().receive_maximum(3)).await;
    let inbox = client.subscribe("t").capacity(2);
    let mut inbox = inbox.when_full(WhenFull::DropOldestOfAny).send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    for id in 1..=2 {
        conn.deliver("t", &id.to_string(), Qos::AtLeastOnce, id)
            .await;
    }
    assert_eq!(conn.before_echo().await, []);
    // More than the Receive Maximum comes, and nobody reads.
    for id in 3..=9 {
        conn.deliver("t", &id.to_string(), Qos::AtLeastOnce, id)
            .await;
        assert_eq!(conn.puback(id - 2).await, ReasonCode::Success);
    }
    assert_eq!((inbox.dropped(), client.metrics().dropped), (7, 7));
    assert_eq!(client.metrics().unacknowledged, 2);
    assert_eq!(waiting(&mut inbox), ["8", "9"]);
    conn.puback(8).await;
    conn.puback(9).await;
}

/// It is dropped for one stream, so the other one acknowledges it.
#[tokio::test]
async fn what_one_stream_drops_another_still_acknowledges_by_reading() {
    let script = Script::start().await;
    let (client, mut conn, mut holds) = script.subscribed("a/#").await;
    let drops = client.subscribe("a/b").capacity(1);
    let mut drops = drops.when_full(WhenFull::DropOldestOfAny).send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    soon(drops.granted()).await.unwrap();
    for id in 1..=3 {
        conn.deliver("a/b", &id.to_string(), Qos::AtLeastOnce, id)
            .await;
    }
    assert_eq!(conn.before_echo().await, []);
    assert_eq!((drops.dropped(), holds.dropped()), (2, 0));
    for id in 1..=2 {
        assert_eq!(text(&next(&mut holds).await), id.to_string());
        conn.puback(id).await;
    }
    // The last is in both: it waits for both.
    assert_eq!(text(&next(&mut holds).await), "3");
    assert_eq!(conn.before_echo().await, []);
    assert_eq!(waiting(&mut drops), ["3"]);
    conn.puback(3).await;
}

#[tokio::test]
async fn a_reader_that_acknowledges_by_itself_does_so_for_what_it_got_only() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let inbox = client.subscribe("t").capacity(1).manual_ack();
    let mut inbox = inbox.when_full(WhenFull::DropOldestOfAny).send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    conn.deliver("t", "1", Qos::AtLeastOnce, 1).await;
    conn.deliver("t", "2", Qos::AtLeastOnce, 2).await;
    conn.puback(1).await;
    let message = next(&mut inbox).await;
    assert_eq!(text(&message), "2");
    conn.deliver("t", "3", Qos::AtLeastOnce, 3).await;
    // What it has is its own business.
    assert_eq!(conn.before_echo().await, []);
    message.ack();
    conn.puback(2).await;
}

/// More subscriptions than there are Packet Identifiers, declared before the connection: each answer makes way for the next.
#[tokio::test]
async fn seventy_thousand_subscriptions_are_asked_for_as_identifiers_become_free() {
    const COUNT: usize = 70_000;
    let script = Script::start().await;
    let client = script.client().start().unwrap();
    let inboxes: Vec<_> = (0..COUNT)
        .map(|n| client.subscribe(n.to_string()).send().unwrap())
        .collect();
    let mut conn = script.accept().await;
    for n in 0..COUNT {
        let subscribe = conn.subscribe().await;
        let (filter, _) = subscribe.filters.iter().next().unwrap();
        assert_eq!(filter.as_str(), n.to_string());
        conn.grant(&subscribe).await;
    }
    soon(inboxes[COUNT - 1].granted()).await.unwrap();
    drop(inboxes);
    for n in 0..COUNT {
        let unsubscribe = conn.unsubscribe().await;
        let filter = unsubscribe.filters.iter().next().unwrap();
        assert_eq!(filter.as_str(), n.to_string());
        conn.unsuback(&unsubscribe).await;
    }
    assert_eq!(conn.before_echo().await, []);
    drop(client);
}
