//! Acknowledging by hand: in any order by the user, in MQTT's order on the wire, and never behind the user's back.

use ohmqtt_client::{Client, Event, Message, Qos, ReasonCode, Subscription};
use ohmqtt_codec::{Ack, Packet, PacketId};

use crate::support::script::{Conn, Script};
use crate::support::{next, soon, text};

const ONE: Qos = Qos::AtLeastOnce;
const TWO: Qos = Qos::ExactlyOnce;

fn id(id: u16) -> PacketId {
    PacketId::new(id).unwrap()
}

/// The first answer to a message.
fn answer(qos: Qos, number: u16) -> Packet {
    let ack = Ack::new(id(number));
    match qos {
        Qos::AtMostOnce => panic!("QoS 0 has no answer"),
        Qos::AtLeastOnce => Packet::PubAck(ack),
        Qos::ExactlyOnce => Packet::PubRec(ack),
    }
}

/// A connected client, and a subscription that leaves acknowledging to its reader.
async fn manual(script: &Script, filter: &str) -> (Client, Conn, Subscription) {
    let (client, mut conn) = script.pair().await;
    let inbox = client.subscribe(filter).manual_ack().send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    soon(inbox.granted()).await.unwrap();
    (client, conn, inbox)
}

/// A second stream of the messages on `a/b`, which acknowledges by itself.
async fn beside(client: &Client, conn: &mut Conn) -> Subscription {
    let inbox = client.subscribe("a/b").send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    inbox
}

/// All orders of the numbers below `n`.
fn orders(n: usize) -> Vec<Vec<usize>> {
    let Some(last) = n.checked_sub(1) else {
        return vec![Vec::new()];
    };
    let mut all = Vec::new();
    for shorter in orders(last) {
        for at in 0..n {
            let mut order = shorter.clone();
            order.insert(at, last);
            all.push(order);
        }
    }
    all
}

/// [MQTT-4.6.0-2] [MQTT-4.6.0-3]
#[tokio::test]
async fn words_in_any_order_leave_in_the_order_of_the_messages() {
    let script = Script::start().await;
    let (client, mut conn, mut inbox) = manual(&script, "t").await;
    let qos = [ONE, TWO, ONE, TWO];
    let orders = orders(qos.len());
    assert_eq!(orders.len(), 24);
    for order in orders {
        let mut messages = Vec::new();
        for (number, qos) in (1..).zip(qos) {
            conn.deliver("t", "x", qos, number).await;
            messages.push(next(&mut inbox).await);
        }
        assert_eq!(conn.before_echo().await, []);
        for at in &order {
            if at % 3 == 0 {
                messages[*at].reject(ReasonCode::QuotaExceeded);
            } else {
                messages[*at].ack();
            }
        }
        let mut answers = Vec::new();
        for _ in qos {
            answers.push(conn.recv().await);
        }
        // A PUBREC waits for its record, and a PUBACK for nothing: each kind is in order, and so the specification wants it.
        answers.sort_by_key(|packet| matches!(packet, Packet::PubRec(_)));
        let wanted = [(1, ONE), (3, ONE), (2, TWO), (4, TWO)];
        let wanted = wanted.map(|(number, qos)| match answer(qos, number) {
            Packet::PubRec(mut ack) if number == 4 => {
                ack.reason = ReasonCode::QuotaExceeded;
                Packet::PubRec(ack)
            }
            Packet::PubAck(mut ack) if number == 1 => {
                ack.reason = ReasonCode::QuotaExceeded;
                Packet::PubAck(ack)
            }
            other => other,
        });
        assert_eq!(answers, wanted, "{order:?}");
        // What was refused at QoS 2 has ended with its PUBREC.
        conn.send(Packet::PubRel(Ack::new(id(2)))).await;
        assert_eq!(conn.recv().await, Packet::PubComp(Ack::new(id(2))));
    }
    assert_eq!(client.metrics().unacknowledged, 0);
    assert_eq!(client.metrics().abandoned, 0);
}

/// What the client tells of a message that was dropped.
fn not_acknowledged(event: Option<Event>) -> (String, Qos) {
    match event {
        Some(Event::NotAcknowledged { topic, qos }) => (topic.as_str().to_owned(), qos),
        other => panic!("{other:?}"),
    }
}

async fn check_dropped(qos: Qos) {
    let script = Script::start().await;
    let (client, mut conn, mut inbox) = manual(&script, "t").await;
    let mut events = client.events();
    conn.deliver("t", "1", qos, 1).await;
    conn.deliver("t", "2", qos, 2).await;
    drop(next(&mut inbox).await);
    let event = soon(events.recv()).await;
    assert_eq!(not_acknowledged(event), ("t".to_owned(), qos));
    assert_eq!(client.metrics().abandoned, 1);
    // No word of the one means none of those behind it.
    next(&mut inbox).await.ack();
    assert_eq!(conn.before_echo().await, []);
    assert_eq!(client.metrics().unacknowledged, 2);
    drop(conn);

    // On the next connection it comes again, and the application has it again.
    let mut conn = script.resume().await;
    conn.deliver("t", "1", qos, 1).await;
    let message = next(&mut inbox).await;
    assert_eq!(text(&message), "1");
    message.ack();
    assert_eq!(conn.recv().await, answer(qos, 1));
    if qos == TWO {
        // Of the other one the word is remembered.
        conn.deliver("t", "2", qos, 2).await;
        assert_eq!(conn.recv().await, answer(qos, 2));
        assert!(inbox.try_recv().is_none());
    }
    assert_eq!(client.metrics().abandoned, 1);
}

#[tokio::test]
async fn a_qos_1_message_dropped_without_a_word_is_told_and_comes_again() {
    check_dropped(ONE).await;
}

#[tokio::test]
async fn a_qos_2_message_dropped_without_a_word_is_told_and_comes_again() {
    check_dropped(TWO).await;
}

#[tokio::test]
async fn a_message_dropped_without_a_word_after_its_connection_comes_again() {
    let script = Script::start().await;
    let (client, mut conn, mut inbox) = manual(&script, "t").await;
    conn.deliver("t", "x", TWO, 1).await;
    let message = next(&mut inbox).await;
    drop(conn);
    let mut conn = script.resume().await;
    conn.before_echo().await;
    drop(message);
    assert_eq!(client.metrics().abandoned, 1);
    conn.deliver("t", "x", TWO, 1).await;
    next(&mut inbox).await.ack();
    assert_eq!(conn.recv().await, answer(TWO, 1));
}

#[tokio::test]
async fn a_message_is_dropped_with_the_last_of_its_clones() {
    let script = Script::start().await;
    let (client, mut conn, mut inbox) = manual(&script, "t").await;
    let mut events = client.events();
    conn.deliver("t", "1", ONE, 1).await;
    conn.deliver("t", "2", ONE, 2).await;
    let (first, second) = (next(&mut inbox).await, next(&mut inbox).await);
    let clone = first.clone();
    drop(first);
    assert_eq!(client.metrics().abandoned, 0);
    // One word is said for all of them, and the first counts.
    clone.ack();
    clone.clone().reject(ReasonCode::NotAuthorized);
    drop(clone);
    assert_eq!(conn.puback(1).await, ReasonCode::Success);
    let clones: Vec<Message> = (0..3).map(|_| second.clone()).collect();
    drop(clones);
    drop(second);
    let event = soon(events.recv()).await;
    assert_eq!(not_acknowledged(event), ("t".to_owned(), ONE));
    assert_eq!(client.metrics().abandoned, 1);
    assert_eq!(conn.before_echo().await, []);
}

#[tokio::test]
async fn a_stream_that_acknowledges_by_itself_does_not_speak_for_one_that_does_not() {
    let script = Script::start().await;
    let (client, mut conn, mut by_hand) = manual(&script, "a/#").await;
    let mut by_itself = beside(&client, &mut conn).await;
    for number in 1..=2 {
        conn.deliver("a/b", "x", ONE, number).await;
    }
    // Whichever reads first.
    next(&mut by_itself).await;
    let message = next(&mut by_hand).await;
    assert_eq!(conn.before_echo().await, []);
    message.ack();
    assert_eq!(conn.puback(1).await, ReasonCode::Success);
    let message = next(&mut by_hand).await;
    next(&mut by_itself).await;
    assert_eq!(conn.before_echo().await, []);
    message.reject(ReasonCode::NotAuthorized);
    assert_eq!(conn.puback(2).await, ReasonCode::NotAuthorized);
}

#[tokio::test]
async fn a_word_by_hand_does_not_speak_for_streams_that_have_not_read() {
    let script = Script::start().await;
    let (client, mut conn, mut by_hand) = manual(&script, "a/#").await;
    let mut by_itself = beside(&client, &mut conn).await;
    conn.deliver("a/b", "x", ONE, 1).await;
    let message = next(&mut by_hand).await;
    message.ack();
    message.clone().ack();
    assert_eq!(conn.before_echo().await, []);
    next(&mut by_itself).await;
    assert_eq!(conn.puback(1).await, ReasonCode::Success);
}

#[tokio::test]
async fn a_message_dropped_by_hand_is_not_acknowledged_by_another_stream() {
    let script = Script::start().await;
    let (client, mut conn, mut by_hand) = manual(&script, "a/#").await;
    let mut by_itself = beside(&client, &mut conn).await;
    conn.deliver("a/b", "x", ONE, 1).await;
    drop(next(&mut by_hand).await);
    drop(next(&mut by_itself).await);
    assert_eq!(client.metrics().abandoned, 1);
    assert_eq!(conn.before_echo().await, []);
}

#[tokio::test]
async fn words_about_qos_0_do_nothing() {
    let script = Script::start().await;
    let (client, mut conn, mut inbox) = manual(&script, "t").await;
    for _ in 0..3 {
        conn.deliver("t", "x", Qos::AtMostOnce, 0).await;
    }
    next(&mut inbox).await.ack();
    next(&mut inbox).await.reject(ReasonCode::NotAuthorized);
    drop(next(&mut inbox).await);
    assert_eq!(conn.before_echo().await, []);
    assert_eq!(client.metrics().abandoned, 0);
}
