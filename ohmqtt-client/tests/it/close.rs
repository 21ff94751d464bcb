//! The end of a client: what is delivered first, what is reported, and who is told.

use std::process::Command;
use std::time::Duration;

use ohmqtt_client::{Client, ConnectionState, LostMessage, PublishError, Qos, ReasonCode};
#[cfg(feature = "redb")]
use ohmqtt_client::{Durability, RedbStore};
use ohmqtt_codec::{ConnAckProperties, Packet};
use tokio::time::Instant;

use crate::support::script::{Conn, Script, Wire};
use crate::support::{accepted, broker, client, next, soon, text};

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn close_delivers_what_was_accepted_and_says_goodbye() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let mut publications = Vec::new();
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
        publications.push(client.publish("t", "x").qos(qos).send().unwrap());
    }
    let serve = async {
        for _ in 0..3 {
            let publish = conn.publish().await;
            conn.ack(&publish).await;
        }
        let goodbye = conn.goodbye().await;
        assert_eq!(goodbye.reason, ReasonCode::NORMAL_DISCONNECTION);
        drop(conn);
    };
    let (closed, ()) = tokio::join!(soon(client.close(PATIENCE)), serve);
    assert_eq!((closed.unacknowledged, closed.bytes), (0, 0));
    for publication in publications {
        soon(publication.acked()).await.unwrap();
    }
    assert!(matches!(client.state(), ConnectionState::Closed { .. }));
}

#[tokio::test]
async fn close_reports_what_the_server_did_not_acknowledge() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let publication = accepted(&client, "t", "x", Qos::AtLeastOnce);
    conn.publish().await;
    let serve = async {
        conn.goodbye().await;
        drop(conn);
    };
    let (closed, ()) = tokio::join!(soon(client.close(Duration::from_millis(50))), serve);
    assert_eq!(closed.unacknowledged, 1);
    assert!(closed.bytes > 0);
    assert_eq!(soon(publication.acked()).await, Err(LostMessage::Closed));
    assert_eq!(client.metrics().queued_messages, 1);
}

#[tokio::test(start_paused = true)]
async fn close_takes_no_longer_than_it_was_given_and_the_stream_needs() {
    let (wire, mut ends) = Wire::new();
    let connect = tokio::spawn(Client::builder("server").connector(wire).connect());
    let mut conn = Conn::new(ends.recv().await.unwrap());
    conn.connect().await;
    conn.connack(false).await;
    let client = soon(connect).await.unwrap().unwrap();
    // The server neither answers nor reads any more, and what waits is more than the stream takes.
    for _ in 0..10 {
        accepted(&client, "t", vec![0; 1024 * 1024], Qos::AtLeastOnce);
    }
    let began = Instant::now();
    let closed = client.close(Duration::from_secs(5)).await;
    assert_eq!(closed.unacknowledged, 10);
    let took = began.elapsed();
    assert!(
        took >= Duration::from_secs(5) && took <= Duration::from_secs(8),
        "{took:?}"
    );
}

#[tokio::test]
async fn a_client_without_a_connection_closes_at_once_when_nothing_waits() {
    let script = Script::start().await;
    let client = script.client().start().unwrap();
    let closed = soon(client.close(Duration::MAX)).await;
    assert_eq!(closed.unacknowledged, 0);
    let again = soon(client.close(PATIENCE)).await;
    assert_eq!(again, closed);
}

#[tokio::test]
async fn a_client_without_a_connection_reports_what_waits_for_one() {
    let script = Script::start().await;
    let url = script.url();
    drop(script);
    let client = Client::builder(url).start().unwrap();
    let kept = client.publish("t", "x").keep_offline(true).send().unwrap();
    let waits = accepted(&client, "t", "x", Qos::AtLeastOnce);
    let closed = soon(client.close(Duration::from_millis(20))).await;
    assert_eq!(closed.unacknowledged, 2);
    assert_eq!(soon(kept.acked()).await, Err(LostMessage::Closed));
    assert_eq!(soon(waits.acked()).await, Err(LostMessage::Closed));
}

#[tokio::test]
async fn a_closing_client_reconnects_to_deliver() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    accepted(&client, "t", "x", Qos::AtLeastOnce);
    let close = tokio::spawn({
        let client = client.clone();
        async move { client.close(PATIENCE).await }
    });
    conn.publish().await;
    drop(conn);
    let mut conn = script.resume().await;
    let publish = conn.publish().await;
    conn.ack(&publish).await;
    conn.goodbye().await;
    drop(conn);
    assert_eq!(soon(close).await.unwrap().unacknowledged, 0);
}

#[tokio::test]
async fn two_tasks_may_close_and_the_shorter_time_counts() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    accepted(&client, "t", "x", Qos::AtLeastOnce);
    conn.publish().await;
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.close(Duration::from_secs(3600)).await }
    });
    tokio::task::yield_now().await;
    let serve = async {
        conn.goodbye().await;
        drop(conn);
    };
    let (second, ()) = tokio::join!(soon(client.close(Duration::from_millis(20))), serve);
    assert_eq!(second.unacknowledged, 1);
    assert_eq!(soon(first).await.unwrap(), second);
}

#[tokio::test]
async fn a_closing_client_takes_nothing_more_and_gives_it_back() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair_of(script.client().outbox(1, 1000)).await;
    accepted(&client, "t", "1", Qos::AtLeastOnce);
    let publish = conn.publish().await;
    let waits = tokio::spawn({
        let client = client.clone();
        async move { client.publish("t", "2").qos(Qos::AtLeastOnce).await }
    });
    tokio::task::yield_now().await;
    let close = tokio::spawn({
        let client = client.clone();
        async move { client.close(PATIENCE).await }
    });
    // Who waits for room is told at once, not at the end.
    let error = soon(waits).await.unwrap().unwrap_err();
    assert!(matches!(error, PublishError::Closed(_)), "{error:?}");
    assert_eq!(error.into_message().unwrap().payload, "2");
    let error = client.publish("t", "3").send().unwrap_err();
    assert!(error.to_string().contains("closed"), "{error}");
    assert_eq!(error.into_message().unwrap().payload, "3");
    conn.ack(&publish).await;
    conn.goodbye().await;
    drop(conn);
    soon(close).await.unwrap();
}

#[tokio::test]
async fn dropping_the_last_handle_delivers_and_says_goodbye() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let publication = accepted(&client, "t", "x", Qos::ExactlyOnce);
    let clone = client.clone();
    drop(client);
    assert_eq!(conn.before_echo().await.len(), 1);
    drop(clone);
    // It has not been acknowledged yet.
    let id = ohmqtt_codec::PacketId::new(1).unwrap();
    conn.send(Packet::PubRec(ohmqtt_codec::Ack::new(id))).await;
    assert!(matches!(conn.recv().await, Packet::PubRel(_)));
    conn.send(Packet::PubComp(ohmqtt_codec::Ack::new(id))).await;
    conn.goodbye().await;
    soon(publication.acked()).await.unwrap();
}

#[tokio::test]
async fn a_subscription_keeps_its_client_alive() {
    let broker = broker().await;
    let reader = client(&broker).await;
    let mut inbox = soon(reader.subscribe("t")).await.unwrap();
    drop(reader);
    let writer = client(&broker).await;
    soon(writer.publish("t", "x").qos(Qos::AtLeastOnce))
        .await
        .unwrap();
    assert_eq!(text(&next(&mut inbox).await), "x");
}

#[tokio::test]
async fn a_client_that_gave_up_tells_everyone() {
    let script = Script::start().await;
    let client = script.client().start().unwrap();
    let publication = accepted(&client, "t", "x", Qos::AtLeastOnce);
    let mut inbox = client.subscribe("t").send().unwrap();
    let (mut conn, _) = script.connect().await;
    let (code, properties) = (ReasonCode::NotAuthorized, ConnAckProperties::default());
    conn.answer(false, code, properties).await;
    assert_eq!(soon(publication.acked()).await, Err(LostMessage::Closed));
    assert!(soon(inbox.recv()).await.is_none());
    let error = soon(client.publish("t", "y")).await.unwrap_err();
    assert!(matches!(error, PublishError::Closed(_)), "{error:?}");
    assert_eq!(soon(client.close(PATIENCE)).await.unacknowledged, 1);
}

/// How many messages the process of the next test publishes.
const MESSAGES: usize = 500;
/// Where it publishes them: the test sets it for its child.
const URL: &str = "OHMQTT_TEST_CLOSE_URL";

#[tokio::test]
async fn a_process_that_exits_right_after_close_has_lost_nothing() {
    let broker = broker().await;
    let reader = client(&broker).await;
    let mut inbox = soon(reader.subscribe("t")).await.unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "close::exits_right_after_close", "--nocapture"])
        .env(URL, broker.url());
    let status = tokio::task::spawn_blocking(move || child.status());
    for n in 0..MESSAGES {
        assert_eq!(text(&next(&mut inbox).await), n.to_string());
    }
    assert_eq!(soon(status).await.unwrap().unwrap().code(), Some(7));
}

/// The other process. Without an address it is not asked to do anything.
#[test]
fn exits_right_after_close() {
    let Ok(url) = std::env::var(URL) else {
        return;
    };
    let client = ohmqtt_client::blocking::Client::connect(url.as_str()).unwrap();
    for n in 0..MESSAGES {
        let publish = client.publish("t", n.to_string());
        publish.qos(Qos::ExactlyOnce).send().unwrap();
    }
    assert_eq!(client.close(PATIENCE).unacknowledged, 0);
    std::process::exit(7);
}

/// Where the process of the next test keeps what it publishes, and how.
#[cfg(feature = "redb")]
const STORE: &str = "OHMQTT_TEST_CLOSE_STORE";
#[cfg(feature = "redb")]
const FAST: &str = "OHMQTT_TEST_CLOSE_FAST";

#[cfg(feature = "redb")]
#[tokio::test]
async fn a_process_that_exits_right_after_close_keeps_what_its_server_never_acknowledged() {
    for fast in [false, true] {
        let script = Script::start().await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.redb");
        let mut child = Command::new(std::env::current_exe().unwrap());
        child
            .args(["--exact", "close::exits_with_its_outbox_full"])
            .env(URL, script.url())
            .env(STORE, &path);
        if fast {
            child.env(FAST, "");
        }
        let status = tokio::task::spawn_blocking(move || child.status());
        let mut conn = script.accept().await;
        // It reads what comes, and answers nothing.
        while conn.next().await.is_some() {}
        drop(conn);
        assert_eq!(soon(status).await.unwrap().unwrap().code(), Some(7));

        let store = RedbStore::open(&path).unwrap();
        let client = script.client().store(store, Durability::Safe);
        let client = client.start().unwrap();
        assert_eq!(client.metrics().queued_messages, MESSAGES);
        let mut conn = script.resume().await;
        for n in 0..MESSAGES {
            let publish = conn.publish().await;
            assert_eq!(publish.payload, n.to_string());
            conn.ack(&publish).await;
        }
    }
}

/// The other process. Without a store it is not asked to do anything.
#[cfg(feature = "redb")]
#[test]
fn exits_with_its_outbox_full() {
    let (Ok(url), Ok(path)) = (std::env::var(URL), std::env::var(STORE)) else {
        return;
    };
    let durability = match std::env::var(FAST) {
        Ok(_) => Durability::Fast,
        Err(_) => Durability::Safe,
    };
    let builder = Client::builder(url.as_str()).client_id("c");
    let builder = builder.store(RedbStore::open(path).unwrap(), durability);
    let client = ohmqtt_client::blocking::Client::with(builder).unwrap();
    for n in 0..MESSAGES {
        let publish = client.publish("t", n.to_string()).qos(Qos::AtLeastOnce);
        // The last of them are not in the store yet when the client closes.
        if n < MESSAGES / 2 {
            publish.send().unwrap();
        } else {
            publish.try_send().unwrap();
        }
    }
    assert_eq!(client.close(Duration::ZERO).unacknowledged, MESSAGES);
    std::process::exit(7);
}

#[tokio::test]
async fn a_client_may_be_closed_at_any_moment_of_its_connecting() {
    let script = Script::start().await;
    let url = script.url();
    // A server that hangs up on everybody.
    let server = tokio::spawn(async move {
        loop {
            drop(script.stream().await);
        }
    });
    for yields in 0..200 {
        let client = Client::builder(url.as_str()).start().unwrap();
        for _ in 0..yields % 20 {
            tokio::task::yield_now().await;
        }
        soon(client.close(Duration::ZERO)).await;
    }
    server.abort();
}

/// The server chose the name of the session, so nobody could ever go on with it.
#[tokio::test]
async fn a_session_without_a_name_of_its_own_ends_with_its_client() {
    let script = Script::start().await;
    for (id, expiry) in [("", Some(0)), ("mine", None)] {
        let (client, mut conn) = script.pair_of(script.client().client_id(id)).await;
        let closing = tokio::spawn(async move { client.close(Duration::MAX).await });
        let goodbye = conn.goodbye().await;
        assert_eq!(goodbye.properties.session_expiry_interval(), expiry, "{id}");
        drop(conn);
        soon(closing).await.unwrap();
    }
}
