//! What a broker with a store has again after it ended, however it ended.

use std::time::Duration;

use ohmqtt_broker::Limits;
use ohmqtt_codec::{
    Ack, Delivery, DisconnectProperties, Packet, PacketId, Qos, ReasonCode, RetainHandling,
    SubscriptionOptions,
};

use crate::client::{Client, connect, identifiers, publish, topic};
use crate::disk::Disk;

const GONE: ReasonCode = ReasonCode::NORMAL_DISCONNECTION;

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

fn qos2(payload: &str, number: u16, dup: bool) -> Packet {
    let mut message = publish("t/x", payload);
    let packet_id = id(number);
    message.delivery = Delivery::ExactlyOnce { packet_id, dup };
    Packet::Publish(message)
}

async fn resume(broker: &ohmqtt_broker::Broker, client_id: &str) -> Client {
    let (client, present) = Client::resume(broker, client_id, 1000).await;
    assert!(present, "{client_id}");
    client
}

/// Comes back to a session, and ends it by beginning anew: a will that still waited for its delay would be published then.
pub(crate) async fn come_and_end(broker: &ohmqtt_broker::Broker, client_id: &str) {
    let _back = resume(broker, client_id).await;
    Client::connect(broker, client_id).await;
}

/// Asserts that nothing waits for this client that is subscribed to the topic: what waited would come before a new message.
async fn expect_drained(broker: &ohmqtt_broker::Broker, client: &mut Client, topic: &str) {
    let mut publisher = Client::connect(broker, "marker").await;
    publisher.publish(topic, "new", Qos::ExactlyOnce).await;
    assert_eq!(client.receive_message().await.payload, "new");
}

/// [MQTT-3.1.2-23] [MQTT-4.1.0-1] [MQTT-4.6.0-6] A session, its subscriptions and all that waits, in its order and once.
#[tokio::test]
async fn a_session_and_what_waits_for_it_survive_a_crash() {
    const MESSAGES: usize = 200;
    let disk = Disk::default();
    let broker = disk.broker().await;
    let (mut subscriber, present) = Client::resume(&broker, "subscriber", 1000).await;
    assert!(!present);
    let mut options = SubscriptionOptions::new(Qos::ExactlyOnce);
    options.retain_as_published = true;
    options.no_local = true;
    options.retain_handling = RetainHandling::DoNotSend;
    subscriber.subscribe_with("t/+", options, Some(7)).await;
    subscriber.subscribe("other", Qos::AtLeastOnce).await;
    subscriber.unsubscribe("other").await;
    subscriber.disconnect(GONE).await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    for n in 0..MESSAGES {
        let mut message = publish("t/x", &n.to_string());
        message.retain = n == 0;
        let qos = [Qos::AtLeastOnce, Qos::ExactlyOnce][n % 2];
        let reason = publisher.publish_packet(message, qos).await;
        assert_eq!(reason, ReasonCode::Success);
    }

    let after = disk.after_crash();
    let again = after.broker().await;
    let mut subscriber = resume(&again, "subscriber").await;
    for n in 0..MESSAGES {
        let message = subscriber.receive_message().await;
        assert_eq!(message.payload, n.to_string());
        assert_eq!(identifiers(&message), [7]);
        assert_eq!(message.retain, n == 0);
    }
    let code = subscriber.publish("t/x", "own", Qos::AtLeastOnce).await;
    assert_eq!(code, ReasonCode::Success);
    let code = subscriber.publish("other", "x", Qos::AtLeastOnce).await;
    assert_eq!(code, ReasonCode::NoMatchingSubscribers);
    expect_drained(&again, &mut subscriber, "t/y").await;

    // All was delivered, and nothing of it stays.
    subscriber.disconnect(GONE).await;
    again.shutdown(Duration::from_secs(5)).await;
    let last = after.after_crash().broker().await;
    let mut subscriber = resume(&last, "subscriber").await;
    expect_drained(&last, &mut subscriber, "t/z").await;
}

/// [MQTT-4.4.0-1] [MQTT-4.3.3-7] What is unacknowledged goes again, with its identifier, to where it was.
#[tokio::test]
async fn what_is_in_flight_to_a_client_goes_on_after_a_crash() {
    let disk = Disk::default();
    let broker = disk.broker().await;
    let (mut client, _) = Client::resume(&broker, "c", 1000).await;
    client.subscribe("t", Qos::ExactlyOnce).await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    for payload in ["released", "sent"] {
        publisher.publish("t", payload, Qos::ExactlyOnce).await;
    }
    let released = client.receive_publish().await.delivery.packet_id().unwrap();
    let sent = client.receive_publish().await.delivery.packet_id().unwrap();
    client.send(Packet::PubRec(Ack::new(released))).await;
    assert_eq!(client.receive().await, Packet::PubRel(Ack::new(released)));

    let again = disk.after_crash().broker().await;
    let mut client = resume(&again, "c").await;
    assert_eq!(client.receive().await, Packet::PubRel(Ack::new(released)));
    client.send(Packet::PubComp(Ack::new(released))).await;
    let message = client.receive_publish().await;
    let packet_id = sent;
    let want = Delivery::ExactlyOnce {
        packet_id,
        dup: true,
    };
    assert_eq!(
        (&message.payload[..], message.delivery),
        (&b"sent"[..], want)
    );
    client.send(Packet::PubRec(Ack::new(sent))).await;
    assert_eq!(client.receive().await, Packet::PubRel(Ack::new(sent)));
    client.send(Packet::PubComp(Ack::new(sent))).await;
    expect_drained(&again, &mut client, "t").await;
}

/// [MQTT-4.3.3-10] [MQTT-4.3.3-12] After a crash behind any commit, a QoS 2 message is there once when its publisher has done its part.
#[tokio::test]
async fn a_qos_2_message_is_routed_once_whenever_the_broker_crashes() {
    let disk = Disk::watched();
    let broker = disk.broker().await;
    let (mut subscriber, _) = Client::resume(&broker, "subscriber", 1000).await;
    subscriber.subscribe("t/+", Qos::ExactlyOnce).await;
    subscriber.disconnect(GONE).await;
    let (mut publisher, _) = Client::resume(&broker, "publisher", 1000).await;
    let begin = disk.after_each_commit().len();
    // The first one's PUBACK is not there yet when the second one comes.
    let mut first = publish("t/x", "first");
    let packet_id = id(1);
    first.delivery = Delivery::AtLeastOnce {
        packet_id,
        dup: false,
    };
    publisher.send(Packet::Publish(first)).await;
    publisher.send(qos2("once", 9, false)).await;
    assert_eq!(
        publisher.receive().await,
        Packet::PubAck(Ack::new(packet_id))
    );
    assert_eq!(publisher.receive().await, Packet::PubRec(Ack::new(id(9))));
    publisher.send(Packet::PubRel(Ack::new(id(9)))).await;
    assert_eq!(publisher.receive().await, Packet::PubComp(Ack::new(id(9))));
    let mut subscriber = resume(&broker, "subscriber").await;
    subscriber.receive_publish().await;

    let crashes = disk.after_each_commit();
    assert!(crashes.len() > begin + 2);
    // From behind the PUBCOMP on the identifier would mean another message.
    let behind = crashes
        .iter()
        .position(is_received)
        .expect("an identifier that was received");
    let released = behind
        + crashes[behind..]
            .iter()
            .take_while(|crash| is_received(crash))
            .count();
    for crash in &crashes[begin - 1..released] {
        let broker = crash.broker().await;
        let mut publisher = resume(&broker, "publisher").await;
        publisher.send(qos2("once", 9, true)).await;
        assert_eq!(publisher.receive().await, Packet::PubRec(Ack::new(id(9))));
        publisher.send(Packet::PubRel(Ack::new(id(9)))).await;
        assert_eq!(publisher.receive().await, Packet::PubComp(Ack::new(id(9))));
        let mut subscriber = resume(&broker, "subscriber").await;
        // What stands behind them comes behind them.
        let mut marker = Client::connect(&broker, "marker").await;
        marker.publish("t/x", "end", Qos::AtLeastOnce).await;
        let mut came = 0;
        loop {
            let message = subscriber.receive_message().await;
            came += usize::from(message.payload == "once");
            if message.payload == "end" {
                break;
            }
        }
        assert_eq!(came, 1);
    }
}

/// Whether the publisher's identifier is known on this disk.
fn is_received(disk: &Disk) -> bool {
    let prefix = ohmqtt_store::Prefix::session(&"publisher".try_into().unwrap());
    let key = prefix.key(ohmqtt_session::Key::Received(id(9)));
    !disk.keys(&key).is_empty()
}

/// [MQTT-3.3.1-5] [MQTT-3.3.1-6] What is retained, as it was last.
#[tokio::test]
async fn retained_messages_survive_and_removed_ones_do_not_come_back() {
    let disk = Disk::default();
    let broker = disk.broker().await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    for (topic, payload) in [("a", "1"), ("b", "1"), ("a", "2"), ("b", ""), ("c", "3")] {
        publisher.publish_retained(topic, payload).await;
    }
    let mut expiring = publish("d", "in a while");
    expiring.retain = true;
    expiring.properties.set_message_expiry_interval(1000);
    publisher.publish_packet(expiring, Qos::ExactlyOnce).await;

    let again = disk.after_crash().broker().await;
    let mut client = Client::connect(&again, "c").await;
    client.subscribe("#", Qos::ExactlyOnce).await;
    let mut got = Vec::new();
    for _ in 0..3 {
        let message = client.receive_message().await;
        assert!(message.retain);
        let left = message.properties.message_expiry_interval();
        let payload = String::from_utf8(message.payload.to_vec()).unwrap();
        got.push((
            topic(&message).to_owned(),
            payload,
            message.delivery.qos(),
            left.is_some(),
        ));
    }
    got.sort();
    let want = [
        ("a", "2", Qos::AtLeastOnce, false),
        ("c", "3", Qos::AtLeastOnce, false),
        ("d", "in a while", Qos::ExactlyOnce, true),
    ];
    let want = want
        .map(|(topic, payload, qos, expires)| (topic.to_owned(), payload.to_owned(), qos, expires));
    assert_eq!(got, want);
    client.expect_nothing().await;
}

/// [MQTT-3.3.2-5] [MQTT-4.1.0-2] Time passes while no broker runs.
#[tokio::test]
async fn sessions_and_messages_expire_while_the_broker_is_down() {
    let disk = Disk::default();
    let broker = disk.broker().await;
    let (mut brief, _) = Client::resume(&broker, "brief", 1).await;
    brief.subscribe("t", Qos::AtLeastOnce).await;
    brief.disconnect(GONE).await;
    let (mut lasting, _) = Client::resume(&broker, "lasting", 1000).await;
    lasting.subscribe("t", Qos::AtLeastOnce).await;
    lasting.disconnect(GONE).await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    for (payload, interval) in [("short", 1), ("long", 1000)] {
        let mut message = publish("t", payload);
        message.properties.set_message_expiry_interval(interval);
        message.retain = true;
        publisher.publish_packet(message, Qos::AtLeastOnce).await;
    }
    let mut fleeting = publish("fleeting", "gone soon");
    fleeting.properties.set_message_expiry_interval(1);
    fleeting.retain = true;
    publisher.publish_packet(fleeting, Qos::AtLeastOnce).await;
    let after = disk.after_crash();
    drop(broker);
    tokio::time::sleep(Duration::from_millis(1100)).await;

    let again = after.broker().await;
    let mut lasting = resume(&again, "lasting").await;
    assert_eq!(lasting.receive_message().await.payload, "long");
    expect_drained(&again, &mut lasting, "t").await;
    let (_brief, present) = Client::resume(&again, "brief", 1).await;
    assert!(!present);
    let mut client = Client::connect(&again, "c").await;
    client.subscribe("fleeting", Qos::AtLeastOnce).await;
    client.expect_nothing().await;
    again.shutdown(Duration::from_secs(5)).await;
    assert!(after.keys(b"rfleeting").is_empty());
}

/// [MQTT-3.1.2-4] [MQTT-3.1.4-4] Nothing of a session that has ended is left in the store.
#[tokio::test]
async fn what_ends_a_session_removes_it_from_the_store() {
    let disk = Disk::default();
    let broker = disk.broker().await;
    for client_id in ["clean", "zero", "taken over"] {
        let (mut client, _) = Client::resume(&broker, client_id, 1000).await;
        client.subscribe("t", Qos::AtLeastOnce).await;
        client.disconnect(GONE).await;
    }
    let mut publisher = Client::connect(&broker, "publisher").await;
    publisher.publish("t", "x", Qos::AtLeastOnce).await;
    assert!(disk.keys(b"s").len() >= 9);

    Client::connect(&broker, "clean")
        .await
        .disconnect(GONE)
        .await;
    let (mut zero, present) = Client::resume(&broker, "zero", 0).await;
    assert!(present);
    zero.receive_publish().await;
    zero.disconnect(GONE).await;
    let (mut ends, _) = Client::resume(&broker, "taken over", 1000).await;
    let mut properties = DisconnectProperties::default();
    properties.set_session_expiry_interval(0);
    ends.receive_publish().await;
    let disconnect = ohmqtt_codec::Disconnect {
        reason: GONE,
        properties,
    };
    ends.send(Packet::Disconnect(disconnect)).await;
    ends.expect_end().await;
    broker.shutdown(Duration::from_secs(5)).await;
    assert_eq!(disk.keys(b""), [[0; 0]; 0]);
}

#[tokio::test]
async fn a_session_that_starts_anew_has_nothing_of_the_old_one_after_a_crash() {
    let disk = Disk::default();
    let broker = disk.broker().await;
    let (mut client, _) = Client::resume(&broker, "c", 1000).await;
    client.subscribe("old", Qos::AtLeastOnce).await;
    client.disconnect(GONE).await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    publisher.publish("old", "queued", Qos::AtLeastOnce).await;
    let mut anew = connect("c");
    anew.properties.set_session_expiry_interval(1000);
    let (mut client, connack) = Client::connect_with(&broker, anew).await;
    assert!(!connack.session_present);
    client.subscribe("new", Qos::AtLeastOnce).await;

    let again = disk.after_crash().broker().await;
    let mut client = resume(&again, "c").await;
    assert_eq!(
        client.publish("old", "x", Qos::AtLeastOnce).await,
        ReasonCode::NoMatchingSubscribers
    );
    expect_drained(&again, &mut client, "new").await;
}

#[tokio::test]
async fn shared_subscriptions_survive_a_crash() {
    let disk = Disk::default();
    let broker = disk.broker().await;
    for client_id in ["one", "two"] {
        let (mut client, _) = Client::resume(&broker, client_id, 1000).await;
        client.subscribe("$share/g/t", Qos::AtLeastOnce).await;
        client.disconnect(GONE).await;
    }
    let again = disk.after_crash().broker().await;
    let mut publisher = Client::connect(&again, "publisher").await;
    for payload in ["1", "2"] {
        publisher.publish("t", payload, Qos::AtLeastOnce).await;
    }
    for client_id in ["one", "two"] {
        let mut client = resume(&again, client_id).await;
        client.receive_message().await;
        expect_drained(&again, &mut client, "t").await;
        client.disconnect(GONE).await;
    }
}

#[tokio::test]
async fn sessions_beyond_one_page_of_the_store_all_come_back() {
    let disk = Disk::default();
    let broker = disk.broker().await;
    let name = |n: usize| format!("client-{n}");
    for n in 0..100 {
        let (mut client, _) = Client::resume(&broker, &name(n), 1000).await;
        client.subscribe("t", Qos::AtLeastOnce).await;
        client
            .subscribe(&format!("own/{n}"), Qos::AtLeastOnce)
            .await;
        client.disconnect(GONE).await;
    }
    let mut publisher = Client::connect(&broker, "publisher").await;
    for n in 0..10 {
        publisher
            .publish("t", &n.to_string(), Qos::AtLeastOnce)
            .await;
    }
    for _ in 0..300 {
        publisher.publish("own/50", "many", Qos::AtLeastOnce).await;
    }
    let after = disk.after_crash();
    let again = after.broker().await;
    for n in 0..100 {
        let mut client = resume(&again, &name(n)).await;
        for m in 0..10 {
            assert_eq!(client.receive_message().await.payload, m.to_string());
        }
        for _ in 0..if n == 50 { 300 } else { 0 } {
            assert_eq!(client.receive_message().await.payload, "many");
        }
        expect_drained(&again, &mut client, &format!("own/{n}")).await;
    }
}

async fn check_refused(key: &[u8], value: &[u8], name: &str) {
    let disk = Disk::default();
    disk.put(key, value);
    let error = disk.start(Limits::default()).await.unwrap_err();
    assert!(error.to_string().contains(name), "{error}");
    assert_eq!(disk.keys(b""), [key]);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_named_and_left_as_it_is() {
    check_refused(b"rtopic", b"", "\"topic\"").await;
    check_refused(b"rtopic", b"\x01\x00\x00\x30\x03\x00\x01a", "\"topic\"").await;
    check_refused(b"rtopic", b"\x02", "format 2").await;
    check_refused(b"s\x00\x01c\x00", b"\x01", "session \"c\"").await;
    check_refused(
        b"s\x00\x01c\x01t/#",
        b"\x01\x07",
        "subscription \"t/#\" of session \"c\"",
    )
    .await;
    check_refused(b"s\x00\x01c\x07", b"", "s\\x00\\x01c\\x07").await;
    check_refused(b"s\x00", b"", "s\\x00").await;
}

/// [MQTT-3.1.2-8] [MQTT-3.1.3-9] A delayed will is published after a crash, in its time or when the session has ended, and is taken back
/// by a client that returns; once.
#[tokio::test]
async fn delayed_wills_survive_a_crash() {
    let disk = Disk::default();
    let broker = disk.broker().await;
    let (mut watcher, _) = Client::resume(&broker, "watcher", 1000).await;
    watcher.subscribe("will/#", Qos::ExactlyOnce).await;
    for (id, interval, delay) in [
        ("due", 1000, 1),
        ("ended", 1, 100),
        ("back", 1000, 1000),
        ("later", 1000, 3),
    ] {
        let mut connect = crate::client::resuming(id, interval);
        let mut will = crate::client::will(&format!("will/{id}"), id);
        will.properties.set_will_delay_interval(delay);
        will.qos = Qos::ExactlyOnce;
        connect.will = Some(will);
        let (client, _) = Client::connect_with(&broker, connect).await;
        client
            .disconnect(ReasonCode::DisconnectWithWillMessage)
            .await;
    }
    let after = disk.after_crash();
    drop(broker);
    tokio::time::sleep(Duration::from_millis(1100)).await;

    let again = after.broker().await;
    come_and_end(&again, "back").await;
    let mut watcher = resume(&again, "watcher").await;
    let mut found = Vec::new();
    for _ in 0..3 {
        let message = watcher.receive_message().await;
        assert_eq!(
            topic(&message).as_bytes(),
            [b"will/", &message.payload[..]].concat()
        );
        assert_eq!(message.delivery.qos(), Qos::ExactlyOnce);
        found.push(message.payload);
    }
    found.sort_unstable();
    assert_eq!(found, ["due", "ended", "later"]);

    // And are not published again.
    watcher.expect_nothing().await;
    drop(watcher);
    again.shutdown(Duration::from_secs(60)).await;
    let third = after.broker().await;
    let mut watcher = resume(&third, "watcher").await;
    expect_drained(&third, &mut watcher, "will/x").await;
}
