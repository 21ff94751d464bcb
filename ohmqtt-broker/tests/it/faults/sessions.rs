//! Sessions that are forgotten, and a disk that is full.

use ohmqtt_broker::faults::ReasonCode;
use ohmqtt_broker::{Broker, Durability, MemoryStore};
use ohmqtt_client::{Client, Event, Qos};

use super::{builder, connected, event, faulty, publish, soon};

/// A client whose session is kept.
async fn kept(broker: &Broker, id: &str) -> Client {
    let expiry = std::time::Duration::from_secs(1000);
    let client = builder(broker, id).session_expiry(expiry).start().unwrap();
    connected(&client).await;
    client
}

#[tokio::test]
async fn a_client_whose_session_is_forgotten_is_told_and_subscribes_again() {
    let (broker, faults) = faulty().await;
    let client = kept(&broker, "c").await;
    let mut inbox = soon(client.subscribe("t")).await.unwrap();
    let mut events = client.events();
    // To be cut alone costs no session.
    faults.client("c").cut();
    let present = |event| match event {
        Event::Connected {
            session_present, ..
        } => Some(session_present),
        _ => None,
    };
    assert!(event(&mut events, present).await);
    assert!(faults.forget_session("c"));
    assert!(!event(&mut events, present).await);
    let is_loss = |event| matches!(event, Event::SessionLost { .. }).then_some(());
    event(&mut events, is_loss).await;
    soon(inbox.granted()).await.unwrap();
    soon(publish(&client, "x", Qos::AtLeastOnce).await.acked())
        .await
        .unwrap();
    assert_eq!(soon(inbox.recv()).await.unwrap().payload, "x");
    assert!(!faults.forget_session("nobody"));
}

#[tokio::test]
async fn a_full_disk_refuses_messages_until_there_is_room() {
    let builder = Broker::builder().listen("mqtt://127.0.0.1:0");
    let store = MemoryStore::default();
    let broker = builder
        .store(store, Durability::Safe)
        .start()
        .await
        .unwrap();
    let faults = broker.faults();
    let client = kept(&broker, "c").await;
    let _inbox = soon(client.subscribe("t").qos(Qos::AtLeastOnce))
        .await
        .unwrap();
    let reason = async || {
        let publication = publish(&client, "x", Qos::AtLeastOnce).await;
        soon(publication.acked()).await.unwrap().reason
    };
    assert_eq!(reason().await, ReasonCode::Success);
    faults.fill_disk();
    assert_eq!(reason().await, ReasonCode::QuotaExceeded);
    faults.free_disk();
    // A store that failed is left alone for a moment.
    soon(async { while reason().await != ReasonCode::Success {} }).await;
}
