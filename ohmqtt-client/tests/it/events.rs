//! The events of a client: each end and each beginning of a connection in order, what was refused, and the end of it all.

use std::time::Duration;

use ohmqtt_client::{
    Client, ConnectError, ConnectErrorKind, DisconnectCause, Event, Events, LostMessage, Qos,
    ReasonCode, SubscribeError, TransportErrorKind, blocking,
};
use ohmqtt_codec::{ConnAckProperties, Disconnect, Packet};

use crate::support::script::{Conn, Script};
use crate::support::{next, soon, text};

const PATIENCE: Duration = Duration::from_secs(30);

async fn event(events: &mut Events) -> Event {
    soon(events.recv()).await.expect("an open client")
}

/// The next event says that the server has accepted, and whether the session goes on.
async fn connected(events: &mut Events) -> (String, bool) {
    match event(events).await {
        Event::Connected {
            address,
            session_present,
            ..
        } => (address, session_present),
        other => panic!("{other:?}"),
    }
}

async fn disconnected(events: &mut Events) -> (ConnectError, Option<Duration>) {
    match event(events).await {
        Event::Disconnected { error, retry_in } => (error, retry_in),
        other => panic!("{other:?}"),
    }
}

async fn failed(events: &mut Events) -> (ConnectError, Option<Duration>) {
    match event(events).await {
        Event::ConnectFailed { error, retry_in } => (error, retry_in),
        other => panic!("{other:?}"),
    }
}

/// The client closes in order.
async fn close(client: &Client, mut conn: Conn) {
    let serve = async {
        conn.goodbye().await;
        drop(conn);
    };
    tokio::join!(soon(client.close(PATIENCE)), serve);
}

async fn refuse(script: &Script, reason: ReasonCode, properties: ConnAckProperties) {
    let (mut conn, _) = script.connect().await;
    conn.answer(false, reason, properties).await;
}

#[tokio::test]
async fn connections_and_their_ends_are_told_in_order_and_then_no_more() {
    let script = Script::start().await;
    let builder = script.client();
    let mut events = builder.events();
    let client = builder.start().unwrap();
    let url = script.url();
    drop(script.accept().await);
    assert_eq!(connected(&mut events).await, (url.clone(), false));
    let (error, retry_in) = disconnected(&mut events).await;
    assert_eq!(error.address, url);
    assert!(error.is_retryable(), "{error}");
    // The longest that was said to wait is ten milliseconds.
    assert!(retry_in.unwrap() <= Duration::from_millis(10));
    let conn = script.resume().await;
    assert_eq!(connected(&mut events).await, (url, true));
    close(&client, conn).await;
    the_end(&mut events).await;
    assert!(events.try_recv().is_none());
    // There is nothing to hear of a client that has closed.
    assert!(soon(client.events().recv()).await.is_none());
}

#[tokio::test]
async fn a_server_that_says_why_is_quoted() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let mut events = client.events();
    let goodbye = Disconnect::new(ReasonCode::ServerShuttingDown);
    conn.send(Packet::Disconnect(goodbye)).await;
    let (error, retry_in) = disconnected(&mut events).await;
    assert_eq!(error.reason_code(), Some(ReasonCode::ServerShuttingDown));
    assert!(retry_in.is_some());
    let (mut conn, _) = script.connect().await;
    conn.connack(true).await;
    connected(&mut events).await;
    // Another client has the session now, and taking it back would never end.
    let taken = Disconnect::new(ReasonCode::SessionTakenOver);
    conn.send(Packet::Disconnect(taken)).await;
    let (error, retry_in) = disconnected(&mut events).await;
    assert_eq!(error.reason_code(), Some(ReasonCode::SessionTakenOver));
    assert_eq!(retry_in, None);
    the_end(&mut events).await;
}

#[tokio::test]
async fn each_refusal_is_told_and_the_last_says_that_it_is_the_last() {
    let script = Script::start().await;
    let client = script.client().start().unwrap();
    let mut events = client.events();
    for _ in 0..3 {
        refuse(
            &script,
            ReasonCode::ServerBusy,
            ConnAckProperties::default(),
        )
        .await;
        let (error, retry_in) = failed(&mut events).await;
        assert_eq!(error.reason_code(), Some(ReasonCode::ServerBusy));
        assert!(retry_in.is_some());
    }
    refuse(
        &script,
        ReasonCode::NotAuthorized,
        ConnAckProperties::default(),
    )
    .await;
    let (error, retry_in) = failed(&mut events).await;
    assert_eq!(error.reason_code(), Some(ReasonCode::NotAuthorized));
    assert_eq!(retry_in, None);
    the_end(&mut events).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_with_its_address() {
    let script = Script::start().await;
    let builder = script.client();
    let url = script.url();
    drop(script);
    let client = builder.start().unwrap();
    let mut events = client.events();
    let (error, retry_in) = failed(&mut events).await;
    assert_eq!(error.address, url);
    let ConnectErrorKind::Transport(transport) = error.kind else {
        panic!("{error}");
    };
    assert_eq!(transport.kind(), TransportErrorKind::Refused);
    assert!(retry_in.is_some());
}

#[tokio::test]
async fn a_redirect_is_told_as_a_failure_that_is_tried_elsewhere_at_once() {
    let (first, second) = (Script::start().await, Script::start().await);
    let client = first.client().start().unwrap();
    let mut events = client.events();
    let mut properties = ConnAckProperties::default();
    let there = second.url().strip_prefix("mqtt://").unwrap().to_owned();
    properties.set_server_reference(&there.as_str().try_into().unwrap());
    refuse(&first, ReasonCode::UseAnotherServer, properties).await;
    let (error, retry_in) = failed(&mut events).await;
    assert_eq!(error.address, first.url());
    assert_eq!(error.reason_code(), Some(ReasonCode::UseAnotherServer));
    assert_eq!(retry_in, Some(Duration::ZERO));
    let _conn = second.accept().await;
    assert_eq!(connected(&mut events).await, (second.url(), false));
}

/// What a new session costs, by the event that follows its beginning.
async fn lost(events: &mut Events) -> (usize, usize, usize) {
    assert!(!connected(events).await.1);
    match event(events).await {
        Event::SessionLost {
            messages,
            bytes,
            sent,
        } => (messages, bytes, sent),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_lost_session_is_told_with_what_it_may_cost() {
    let script = Script::start().await;
    let client = script.client().start().unwrap();
    let mut events = client.events();
    let mut conn = script.accept().await;
    // A first session is no loss.
    connected(&mut events).await;
    let sent = client.publish("t", "1").qos(Qos::AtLeastOnce);
    let sent = sent.send().unwrap();
    conn.publish().await;
    drop(conn);
    disconnected(&mut events).await;
    let unsent = client.publish("t", "2").qos(Qos::AtLeastOnce);
    let unsent = unsent.send().unwrap();
    let queued = client.metrics();
    assert_eq!(queued.queued_messages, 2);
    let mut conn = script.accept().await;
    assert_eq!(lost(&mut events).await, (2, queued.queued_bytes, 1));
    assert_eq!(soon(sent.acked()).await, Err(LostMessage::SessionLost));
    let publish = conn.publish().await;
    assert_eq!(publish.payload, "2");
    conn.ack(&publish).await;
    soon(unsent.acked()).await.unwrap();
    drop(conn);
    disconnected(&mut events).await;
    let _conn = script.accept().await;
    assert_eq!(lost(&mut events).await, (0, 0, 0));
}

/// The last event, and nothing behind it.
async fn the_end(events: &mut Events) {
    let last = event(events).await;
    assert!(matches!(last, Event::Closed { .. }), "{last:?}");
    assert!(soon(events.recv()).await.is_none());
}

/// What the server refused, by the next event.
async fn refused(events: &mut Events) -> (String, ReasonCode) {
    match event(events).await {
        Event::SubscriptionRefused { filter, reason } => (filter, reason),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_filter_is_refused_at_first_or_once_the_server_has_lost_the_session() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let mut events = client.events();
    let inbox = client.subscribe("a").and("b").send().unwrap();
    let subscribe = conn.subscribe().await;
    let no = ReasonCode::NotAuthorized;
    conn.suback(subscribe.packet_id, [ReasonCode::GrantedQos1, no])
        .await;
    assert_eq!(refused(&mut events).await, ("b".to_owned(), no));
    let error = soon(inbox.granted()).await.unwrap_err();
    assert!(
        matches!(&error, SubscribeError::Refused { filter, .. } if filter == "b"),
        "{error}"
    );
    drop(conn);
    disconnected(&mut events).await;

    // The next answer is another one, and waited for.
    let mut conn = script.accept().await;
    lost(&mut events).await;
    let subscribe = conn.subscribe().await;
    let waits = tokio::spawn(async move { (inbox.granted().await, inbox) });
    let granted = [ReasonCode::GrantedQos2, ReasonCode::GRANTED_QOS_0];
    conn.before_echo().await;
    assert!(!waits.is_finished());
    conn.suback(subscribe.packet_id, granted).await;
    let (codes, inbox) = soon(waits).await.unwrap();
    assert_eq!(codes.unwrap(), granted);
    drop(conn);
    disconnected(&mut events).await;

    let mut conn = script.accept().await;
    lost(&mut events).await;
    let subscribe = conn.subscribe().await;
    let busy = ReasonCode::QuotaExceeded;
    conn.suback(subscribe.packet_id, [busy, busy]).await;
    assert_eq!(refused(&mut events).await, ("a".to_owned(), busy));
    assert_eq!(refused(&mut events).await, ("b".to_owned(), busy));
    let error = soon(inbox.granted()).await.unwrap_err();
    assert!(matches!(&error, SubscribeError::Refused { filter, .. } if filter == "a"));
}

#[tokio::test]
async fn what_finds_no_room_among_the_unclaimed_is_told() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let mut events = client.events();
    for n in 0..1002 {
        let topic = if n < 1000 { "kept" } else { "over" };
        conn.deliver(topic, &n.to_string(), Qos::AtMostOnce, 0)
            .await;
    }
    for _ in 0..2 {
        let Event::UnclaimedDropped { topic } = event(&mut events).await else {
            panic!("not dropped");
        };
        assert_eq!(topic.as_str(), "over");
    }
    assert_eq!(client.metrics().dropped, 2);
    let mut inbox = client.subscribe("kept").send().unwrap();
    for n in 0..1000 {
        assert_eq!(text(&next(&mut inbox).await), n.to_string());
    }
}

#[tokio::test]
async fn each_listener_hears_all_from_when_it_began() {
    let script = Script::start().await;
    let client = script.client().start().unwrap();
    let mut early = client.events();
    drop(script.accept().await);
    connected(&mut early).await;
    disconnected(&mut early).await;
    let mut late = client.events();
    let conn = script.resume().await;
    assert_eq!(connected(&mut early).await, connected(&mut late).await);
    close(&client, conn).await;
    the_end(&mut early).await;
    the_end(&mut late).await;
}

#[tokio::test]
async fn a_listener_that_is_slow_is_told_how_much_it_missed() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let mut events = client.events();
    let mut prompt = client.events();
    // Beyond the thousand that wait unclaimed, each is an event.
    for n in 0..1000 + 1024 + 7 {
        conn.deliver("t", &n.to_string(), Qos::AtMostOnce, 0).await;
        if n >= 1000 {
            assert!(matches!(
                event(&mut prompt).await,
                Event::UnclaimedDropped { .. }
            ));
        }
    }
    let first = event(&mut events).await;
    assert!(matches!(first, Event::Missed { events: 7 }), "{first:?}");
    for _ in 0..1024 {
        let event = events.try_recv();
        assert!(matches!(event, Some(Event::UnclaimedDropped { .. })));
    }
    assert!(events.try_recv().is_none());
}

#[tokio::test]
async fn events_do_not_keep_the_client() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let mut events = client.events();
    drop(client);
    conn.goodbye().await;
    drop(conn);
    the_end(&mut events).await;
}

#[tokio::test]
async fn the_blocking_client_tells_the_same() {
    let script = Script::start().await;
    let builder = script.client();
    let (listens, listening) = tokio::sync::oneshot::channel();
    let listen = tokio::task::spawn_blocking(move || {
        let client = blocking::Client::start(builder).unwrap();
        let mut events = client.events();
        listens.send(()).unwrap();
        let mut told = Vec::new();
        for _ in 0..3 {
            told.push(events.recv_timeout(PATIENCE).expect("an event"));
        }
        assert!(events.try_recv().is_none());
        client.close(Duration::ZERO);
        // It is an iterator that ends with the client.
        told.extend(events);
        told
    });
    listening.await.unwrap();
    drop(script.accept().await);
    let mut conn = script.resume().await;
    conn.goodbye().await;
    drop(conn);
    let told = soon(listen).await.unwrap();
    assert!(
        matches!(
            &told[..],
            [
                Event::Connected {
                    session_present: false,
                    ..
                },
                Event::Disconnected {
                    retry_in: Some(_),
                    ..
                },
                Event::Connected {
                    session_present: true,
                    ..
                },
                Event::Closed { .. },
            ]
        ),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_server_that_breaks_the_protocol_is_told_as_such() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let mut events = client.events();
    conn.connack(false).await;
    let (error, retry_in) = disconnected(&mut events).await;
    let ConnectErrorKind::Session(DisconnectCause::Protocol(_)) = error.kind else {
        panic!("{error}");
    };
    assert!(retry_in.is_some());
}
