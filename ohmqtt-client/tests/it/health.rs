//! Why nothing flows: each obstacle is named, and is gone when it is gone.

use std::time::Duration;

use ohmqtt_client::{Client, Obstacle, PublishError, Qos, ReasonCode};
use ohmqtt_codec::{ConnAckProperties, Packet};
use std::num::NonZeroU16;

use crate::support::script::{Conn, Script, Wire};
use crate::support::{accepted, eventually, next, soon};

fn only(client: &Client) -> Obstacle {
    let mut obstacles = client.health().obstacles;
    assert_eq!(obstacles.len(), 1, "{obstacles:?}");
    obstacles.remove(0)
}

#[tokio::test]
async fn a_connection_that_stands_has_nothing_in_its_way() {
    let (client, _conn) = Script::start().await.pair().await;
    assert!(client.health().is_flowing());
    assert_eq!(client.health().to_string(), "all flows");
}

#[tokio::test]
async fn no_route_and_a_refusal_are_told_apart_with_the_time_of_the_next_attempt() {
    let script = Script::start().await;
    let wait = Duration::from_secs(1000);
    let client = script.client().backoff(wait, wait).start().unwrap();
    assert!(matches!(only(&client), Obstacle::Connecting));
    let (mut conn, _) = script.connect().await;
    let properties = ConnAckProperties::default();
    conn.answer(false, ReasonCode::ServerBusy, properties).await;
    let is_refused = || matches!(only(&client), Obstacle::Refused { .. });
    eventually(is_refused).await;
    let Obstacle::Refused { error, retry_in } = only(&client) else {
        panic!()
    };
    assert_eq!(error.reason_code(), Some(ReasonCode::ServerBusy));
    assert!(retry_in.is_some_and(|left| left <= wait));

    let script = Script::start().await;
    let client = script.client().backoff(wait, wait).start().unwrap();
    drop(script.connect().await);
    let has_no_route = || {
        matches!(
            only(&client),
            Obstacle::NoRoute {
                retry_in: Some(_),
                ..
            }
        )
    };
    eventually(has_no_route).await;
    assert!(client.health().to_string().starts_with("no connection: "));
    client.close(Duration::ZERO).await;
    assert!(matches!(only(&client), Obstacle::Closed { .. }));
}

#[tokio::test]
async fn a_server_that_acknowledges_nothing_is_named() {
    let script = Script::start().await;
    let client = script.client().start().unwrap();
    let (mut conn, _) = script.connect().await;
    let mut properties = ConnAckProperties::default();
    properties.set_receive_maximum(NonZeroU16::MIN);
    conn.answer(false, ReasonCode::Success, properties).await;
    for _ in 0..2 {
        accepted(&client, "t", "", Qos::AtLeastOnce);
    }
    let first = conn.publish().await;
    eventually(|| !client.health().is_flowing()).await;
    let Obstacle::QuotaFull { in_flight: 1, .. } = only(&client) else {
        panic!("{:?}", client.health())
    };
    conn.ack(&first).await;
    let second = conn.publish().await;
    conn.ack(&second).await;
    eventually(|| client.health().is_flowing()).await;
}

/// The clock is the test's own.
async fn in_memory(receive_maximum: u16) -> (Client, Conn) {
    let (wire, mut ends) = Wire::new();
    let builder = Client::builder("server").receive_maximum(receive_maximum);
    let connect = tokio::spawn(builder.connector(wire).connect());
    let mut conn = Conn::new(ends.recv().await.unwrap());
    conn.connect().await;
    conn.connack(false).await;
    (connect.await.unwrap().unwrap(), conn)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_named() {
    let (client, mut conn) = in_memory(10).await;
    // A Keep Alive of 60 seconds, and then some.
    tokio::time::sleep(Duration::from_secs(65)).await;
    assert!(matches!(conn.recv().await, Packet::PingReq));
    let Obstacle::ServerSilent { since } = only(&client) else {
        panic!("{:?}", client.health())
    };
    assert!(since >= Duration::from_secs(5), "{since:?}");
    conn.send(Packet::PingResp).await;
    eventually(|| client.health().is_flowing()).await;
}

#[tokio::test]
async fn a_full_outbox_is_named_until_the_message_would_find_room() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair_of(script.client().outbox(1, 1000)).await;
    let publish = || client.publish("t", "x").qos(Qos::AtLeastOnce).send();
    publish().unwrap();
    assert!(client.health().is_flowing());
    assert!(matches!(publish(), Err(PublishError::Full(_))));
    let Obstacle::OutboxFull { messages: 1, .. } = only(&client) else {
        panic!("{:?}", client.health())
    };
    let first = conn.publish().await;
    conn.ack(&first).await;
    eventually(|| client.health().is_flowing()).await;
}

#[tokio::test]
async fn a_reader_that_does_not_read_and_one_that_forgets_are_named() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair_of(script.client().receive_maximum(2)).await;
    let mut inbox = client.subscribe("t").manual_ack().send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    for id in 1..=2 {
        conn.deliver("t", "x", Qos::AtLeastOnce, id).await;
    }
    let is_slow = || {
        let obstacles = client.health().obstacles;
        matches!(obstacles[..], [Obstacle::ReaderSlow { unacknowledged: 2 }])
    };
    eventually(is_slow).await;
    drop(next(&mut inbox).await);
    let obstacles = client.health().obstacles;
    let names = matches!(
        obstacles[..],
        [
            Obstacle::ReaderSlow { .. },
            Obstacle::Abandoned { messages: 1 }
        ]
    );
    assert!(names, "{obstacles:?}");
    // The next connection begins without either.
    drop(conn);
    let _conn = script.resume().await;
    soon(
        client.wait_for(|state| matches!(state, ohmqtt_client::ConnectionState::Connected { .. })),
    )
    .await;
    assert!(client.health().is_flowing(), "{:?}", client.health());
}
