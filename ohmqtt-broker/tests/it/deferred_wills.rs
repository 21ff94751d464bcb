//! Wills of clients whose connections end with the broker: section 3.1.2.5 lets them wait for the next one, which has the same store.

use std::time::Duration;

use ohmqtt_broker::{
    Action, Authenticate, Authorize, BoxFuture, Broker, Durability, Login, Principal, User,
};
use ohmqtt_codec::{Ack, Connect, MqttString, Packet, Publish, Qos, ReasonCode};

use crate::client::{Client, connect, resuming, topic, will};
use crate::disk::Disk;
use crate::persistence::come_and_end;

const GONE: ReasonCode = ReasonCode::NORMAL_DISCONNECTION;

/// The same CONNECT with a will on a topic of its own, which waits for so many seconds.
fn with_will(mut connect: Connect, delay: u32) -> Connect {
    let mut will = will(&format!("will/{}", connect.client_id), "gone");
    will.qos = Qos::ExactlyOnce;
    will.properties.set_will_delay_interval(delay);
    connect.will = Some(will);
    connect
}

async fn connected(broker: &Broker, connect: Connect) -> Client {
    let (client, connack) = Client::connect_with(broker, connect).await;
    assert_eq!(connack.reason, ReasonCode::Success);
    client
}

/// A client whose session is kept, and who hears of all wills. What others have stored before is stored when it is there.
async fn watcher(broker: &Broker) -> Client {
    let (mut watcher, _) = Client::resume(broker, "watcher", 1000).await;
    watcher.subscribe("will/#", Qos::ExactlyOnce).await;
    watcher
}

/// The same one at the next broker: what was published meanwhile comes at once.
async fn back(broker: &Broker) -> Client {
    let (watcher, present) = Client::resume(broker, "watcher", 1000).await;
    assert!(present);
    watcher
}

/// Asserts that these clients' wills come, in any order, and no other.
async fn expect_wills(watcher: &mut Client, want: &[&str]) {
    let mut found = Vec::new();
    for _ in want {
        let message: Publish = watcher.receive_message().await;
        assert_eq!(message.payload, "gone");
        found.push(topic(&message).to_owned());
    }
    found.sort_unstable();
    let want: Vec<_> = want.iter().map(|id| format!("will/{id}")).collect();
    assert_eq!(found, want);
    watcher.expect_nothing().await;
}

/// [MQTT-3.1.2-7] [MQTT-3.1.2-8] [MQTT-3.1.2-10] After their delay or when the session ends, unless the client said DISCONNECT, came back
/// without one, or is back in time; and once.
#[tokio::test]
async fn wills_of_connected_clients_are_published_after_a_crash() {
    let disk = Disk::default();
    let broker = disk.broker().await;
    let mut held = Vec::new();
    for (id, interval, delay) in [
        ("at-once", 1000, 0),
        ("delayed", 1000, 1),
        ("returns", 1000, 1000),
        ("session-ends", 1, 1000),
        ("session-not-kept", 0, 1000),
    ] {
        let mut asks = resuming(id, interval);
        asks.clean_start = interval == 0;
        held.push(connected(&broker, with_will(asks, delay)).await);
    }
    for (id, interval) in [("said-goodbye", 1000), ("said-goodbye-too", 0)] {
        let client = connected(&broker, with_will(resuming(id, interval), 0)).await;
        client.disconnect(GONE).await;
    }
    for interval in [1000, 0] {
        let id = format!("came-back-{interval}");
        let mut before = with_will(resuming(&id, interval), 1000);
        before.clean_start = true;
        let client = connected(&broker, before).await;
        client.disconnect(GONE).await;
        held.push(connected(&broker, resuming(&id, interval)).await);
    }
    held.push(connected(&broker, with_will(resuming("replaced", 1000), 1000)).await);
    held.push(connected(&broker, resuming("replaced", 1000)).await);
    drop(watcher(&broker).await);

    let after = disk.after_crash();
    let again = after.broker().await;
    come_and_end(&again, "returns").await;
    let mut watcher = back(&again).await;
    let want = ["at-once", "delayed", "session-ends", "session-not-kept"];
    expect_wills(&mut watcher, &want).await;
    watcher.disconnect(GONE).await;

    again.shutdown(Duration::from_secs(1)).await;
    let third = after.broker().await;
    expect_wills(&mut back(&third).await, &[]).await;
}

/// [MQTT-3.1.2-8] A broker that is asked to stop ends the connections as well.
#[tokio::test]
async fn wills_of_connected_clients_are_published_after_a_shutdown() {
    let disk = Disk::default();
    let broker = disk.broker().await;
    drop(watcher(&broker).await);
    let _kept = connected(&broker, with_will(resuming("kept", 1000), 0)).await;
    let _not_kept = connected(&broker, with_will(connect("not-kept"), 0)).await;
    let says = connected(&broker, with_will(resuming("says", 1000), 0)).await;
    says.disconnect(GONE).await;
    broker.shutdown(Duration::from_secs(1)).await;

    let again = disk.broker().await;
    expect_wills(&mut back(&again).await, &["kept", "not-kept"]).await;
}

/// [MQTT-3.1.2-8] The delay ends when nobody takes new messages any more, and before the broker does.
#[tokio::test]
async fn a_will_whose_delay_ends_during_the_shutdown_waits_for_the_next_broker() {
    let disk = Disk::default();
    let broker = disk.broker().await;
    drop(watcher(&broker).await);
    // The broker waits for this one's PUBACK.
    let mut slow = Client::connect(&broker, "slow").await;
    slow.subscribe("t", Qos::AtLeastOnce).await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    publisher.publish("t", "x", Qos::AtLeastOnce).await;
    let packet_id = slow.receive_publish().await.delivery.packet_id().unwrap();
    let leaves = connected(&broker, with_will(resuming("leaves", 1000), 1)).await;
    leaves
        .disconnect(ReasonCode::DisconnectWithWillMessage)
        .await;
    let stopping = tokio::spawn(broker.shutdown(Duration::from_secs(100)));
    publisher
        .expect_disconnect(ReasonCode::ServerShuttingDown)
        .await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    slow.send(Packet::PubAck(Ack::new(packet_id))).await;
    slow.expect_disconnect(ReasonCode::ServerShuttingDown).await;
    drop((slow, publisher));
    stopping.await.unwrap();

    let again = disk.broker().await;
    expect_wills(&mut back(&again).await, &["leaves"]).await;
}

/// Everybody is whom they say they are.
struct Trusting;

impl Authenticate for Trusting {
    fn authenticate<'a>(&'a self, login: &'a Login) -> BoxFuture<'a, Result<User, ReasonCode>> {
        let name = login.user_name.as_deref();
        let user = name.map_or_else(User::anonymous, User::named);
        Box::pin(async { Ok(user) })
    }
}

/// Lets only one user leave a will.
struct OnlyMeter;

impl Authorize for OnlyMeter {
    fn allows(&self, who: &Principal<'_>, action: &Action<'_>) -> bool {
        !matches!(action, Action::Will { .. }) || who.user.name() == Some("meter")
    }
}

/// Whoever a client was, its will is judged as that user's by the next broker, where its session is kept and where not.
#[tokio::test]
async fn a_will_is_its_users_after_a_crash() {
    let start = async |disk: &Disk| {
        let builder = Broker::builder().listen("mqtt://127.0.0.1:0");
        let builder = builder.authorize(OnlyMeter).authenticate(Trusting);
        let builder = builder.store(disk.clone(), Durability::Safe);
        builder.start().await.unwrap()
    };
    let disk = Disk::default();
    let broker = start(&disk).await;
    let mut held = Vec::new();
    for (id, interval) in [("kept", 1000), ("not-kept", 0)] {
        let mut asks = with_will(resuming(id, interval), 0);
        asks.user_name = Some(MqttString::try_from("meter").unwrap());
        held.push(connected(&broker, asks).await);
    }
    drop(watcher(&broker).await);
    let again = start(&disk.after_crash()).await;
    expect_wills(&mut back(&again).await, &["kept", "not-kept"]).await;
}
