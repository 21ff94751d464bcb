//! A message for many subscribers stands once in the store, from before it is acknowledged until the last of them has it.

use std::ops::ControlFlow;

use ohmqtt_broker::Store;
use ohmqtt_codec::{Qos, ReasonCode};

use crate::client::Client;
use crate::disk::Disk;

const NAMES: [&str; 3] = ["one", "two", "three"];
const GONE: ReasonCode = ReasonCode::NORMAL_DISCONNECTION;

fn payload() -> String {
    "0123456789".repeat(100)
}

/// How many values in the store have the payload in them.
fn copies(disk: &Disk) -> usize {
    let payload = payload();
    let mut copies = 0;
    let mut look = |_: &[u8], value: &[u8]| {
        let has = value
            .windows(payload.len())
            .any(|at| at == payload.as_bytes());
        copies += usize::from(has);
        ControlFlow::Continue(())
    };
    disk.records.scan(b"", b"", &mut look).unwrap();
    copies
}

/// Three sessions with the same subscription, each at another QoS or with another identifier.
async fn subscribers(broker: &ohmqtt_broker::Broker) -> Vec<Client> {
    let mut clients = Vec::new();
    for (name, qos) in NAMES
        .into_iter()
        .zip([Qos::AtLeastOnce, Qos::ExactlyOnce, Qos::ExactlyOnce])
    {
        let (mut client, _) = Client::resume(broker, name, 1000).await;
        client.subscribe("t/+", qos).await;
        clients.push(client);
    }
    clients
}

#[tokio::test]
async fn three_subscribers_that_are_away_have_one_record_until_the_last_has_the_message() {
    let disk = Disk::default();
    let broker = disk.broker().await;
    for client in subscribers(&broker).await {
        client.disconnect(GONE).await;
    }
    let mut publisher = Client::connect(&broker, "publisher").await;
    let answer = publisher.publish("t/x", &payload(), Qos::ExactlyOnce).await;
    assert_eq!(answer, ReasonCode::Success);
    assert_eq!(copies(&disk), 1);

    let after = disk.after_crash();
    let again = after.broker().await;
    for name in NAMES {
        assert_eq!(copies(&after), 1, "before {name} has it");
        let (mut client, present) = Client::resume(&again, name, 1000).await;
        assert!(present);
        assert_eq!(client.receive_message().await.payload, payload());
        client.disconnect(GONE).await;
    }
    again.shutdown(std::time::Duration::from_secs(10)).await;
    assert_eq!(copies(&after), 0);
}

#[tokio::test]
async fn subscribers_that_are_there_and_one_that_is_away_share_the_record() {
    let disk = Disk::default();
    let broker = disk.broker().await;
    let mut clients = subscribers(&broker).await;
    clients.pop().unwrap().disconnect(GONE).await;
    let mut publisher = Client::connect(&broker, "publisher").await;
    publisher.publish("t/x", &payload(), Qos::AtLeastOnce).await;
    // Nobody has acknowledged it.
    assert_eq!(copies(&disk), 1);
    for client in &mut clients {
        assert_eq!(client.receive_message().await.payload, payload());
    }
    assert_eq!(copies(&disk), 1);
}

/// Behind whichever commit the process ends: what was acknowledged is there for all three, and what was not for all or for none.
#[tokio::test]
async fn a_crash_behind_any_commit_leaves_the_message_to_all_or_to_none() {
    let disk = Disk::watched();
    let broker = disk.broker().await;
    for client in subscribers(&broker).await {
        client.disconnect(GONE).await;
    }
    let before = disk.after_each_commit().len();
    let mut publisher = Client::connect(&broker, "publisher").await;
    publisher.publish("t/x", &payload(), Qos::AtLeastOnce).await;
    let acknowledged = disk.after_each_commit().len();
    for (at, after) in disk.after_each_commit().iter().enumerate().skip(before) {
        let again = after.broker().await;
        let mut marker = Client::connect(&again, "marker").await;
        let mut had = Vec::new();
        for name in NAMES {
            let (mut client, _) = Client::resume(&again, name, 1000).await;
            marker.publish("t/y", "marker", Qos::AtLeastOnce).await;
            let first = client.receive_message().await.payload;
            had.push(first == payload());
        }
        let all = [true; 3];
        assert!(
            had == all || had == [false; 3],
            "{had:?} behind commit {at}"
        );
        assert!(had == all || at + 1 < acknowledged, "acknowledged and lost");
    }
}

/// The same with a file and a process that is killed.
#[cfg(all(unix, feature = "redb"))]
#[tokio::test]
async fn a_broker_that_is_killed_has_the_message_once_for_all_three() {
    use crate::examples::{example, first_line};

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broker.redb");
    let arguments = ["mqtt://127.0.0.1:0", "--store", file.to_str().unwrap()];
    let mut child = example(&arguments);
    let url = first_line(&mut child).await;
    for name in NAMES {
        let mut client = Client::resume_at(&url, name, 1000).await;
        client.subscribe("t/+", Qos::AtLeastOnce).await;
    }
    let mut publisher = Client::resume_at(&url, "publisher", 0).await;
    for _ in 0..20 {
        let answer = publisher.publish("t/x", &payload(), Qos::AtLeastOnce).await;
        assert_eq!(answer, ReasonCode::Success);
    }
    // SIGKILL, and nothing else comes before it.
    child.kill().await.unwrap();

    let mut child = example(&arguments);
    let url = first_line(&mut child).await;
    for name in NAMES {
        let mut client = Client::resume_at(&url, name, 1000).await;
        for _ in 0..20 {
            assert_eq!(client.receive_message().await.payload, payload(), "{name}");
        }
    }
    child.kill().await.unwrap();
}
