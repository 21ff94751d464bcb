//! Connections that break, servers that refuse, sessions that are lost.

use std::collections::HashSet;
use std::time::Duration;

use ohmqtt_client::{
    Client, ConnectErrorKind, ConnectFailed, ConnectionState, LostMessage, Publication, Qos,
    ReasonCode, SessionLoss,
};
use ohmqtt_codec::{Ack, ConnAckProperties, Delivery, Disconnect, Packet, PacketId, PacketType};
use tokio::time::Instant;

use crate::support::script::{Conn, Script, Wire};
use crate::support::{accepted, eventually, free_port, next, soon, text};

/// A server that forgets nothing but its connections.
#[derive(Default)]
struct Server {
    /// Of QoS 2, between PUBLISH and PUBREL.
    held: HashSet<PacketId>,
    /// What was passed on, in order.
    arrived: Vec<String>,
}

impl Server {
    /// Serves until so many packets have come, the last of them answered or not.
    async fn serve(&mut self, conn: &mut Conn, packets: usize, answers_last: bool) {
        for n in 1..=packets {
            let Some(packet) = conn.next().await else {
                return;
            };
            let answer = self.take(packet);
            if let Some(packet) = answer
                && (n < packets || answers_last)
            {
                conn.send(packet).await;
            }
        }
    }

    fn take(&mut self, packet: Packet) -> Option<Packet> {
        match packet {
            Packet::Publish(publish) => {
                let text = String::from_utf8(publish.payload.to_vec()).unwrap();
                match publish.delivery {
                    Delivery::AtMostOnce => None,
                    Delivery::AtLeastOnce { packet_id, .. } => {
                        self.arrived.push(text);
                        Some(Packet::PubAck(Ack::new(packet_id)))
                    }
                    Delivery::ExactlyOnce { packet_id, .. } => {
                        if self.held.insert(packet_id) {
                            self.arrived.push(text);
                        }
                        Some(Packet::PubRec(Ack::new(packet_id)))
                    }
                }
            }
            Packet::PubRel(ack) => {
                self.held.remove(&ack.packet_id);
                Some(Packet::PubComp(Ack::new(ack.packet_id)))
            }
            Packet::PingReq => Some(Packet::PingResp),
            other => panic!("{other:?}"),
        }
    }
}

/// Cuts after 1, 2, 3 packets and so on, before or after the last one's answer, until all is delivered.
async fn check_cuts(qos: Qos) -> Vec<String> {
    let script = Script::start().await;
    let client = script.client().start().unwrap();
    let publications: Vec<_> = (0..100)
        .map(|n| client.publish("t", n.to_string()).qos(qos).send().unwrap())
        .collect();
    let mut server = Server::default();
    let mut connections = 0;
    let delivered = async {
        for publication in &publications {
            assert_eq!(
                publication.acked().await.unwrap().reason,
                ReasonCode::Success
            );
        }
    };
    let serve = async {
        loop {
            let (mut conn, _) = script.connect().await;
            conn.connack(connections > 0).await;
            server
                .serve(&mut conn, 1 + connections / 2, connections % 2 == 0)
                .await;
            connections += 1;
        }
    };
    tokio::select! {
        () = soon(delivered) => {}
        () = serve => {}
    }
    assert!(connections > 10, "{connections}");
    server.arrived
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}

#[tokio::test]
async fn qos_1_arrives_at_least_once_and_in_order_however_often_the_connection_is_cut() {
    let mut arrived = check_cuts(Qos::AtLeastOnce).await;
    let mut seen = HashSet::new();
    arrived.retain(|text| seen.insert(text.clone()));
    assert_eq!(arrived, numbers(100));
}

#[tokio::test]
async fn qos_2_arrives_exactly_once_and_in_order_however_often_the_connection_is_cut() {
    assert_eq!(check_cuts(Qos::ExactlyOnce).await, numbers(100));
}

#[tokio::test]
async fn the_broker_may_go_away_and_come_back() {
    let url = format!("mqtt://127.0.0.1:{}", free_port());
    let first = ohmqtt_broker::Broker::builder().listen(url.as_str());
    let first = first.start().await.unwrap();
    let backoff = (Duration::from_millis(1), Duration::from_millis(10));
    let builder = || Client::builder(url.as_str()).backoff(backoff.0, backoff.1);
    let client = soon(builder().client_id("c").connect()).await.unwrap();
    let mut inbox = soon(client.subscribe("t")).await.unwrap();
    first.shutdown(Duration::from_secs(1)).await;
    let waiting = |state: &ConnectionState| matches!(state, ConnectionState::Connecting { .. });
    soon(client.wait_for(waiting)).await;
    let publication = accepted(&client, "t", "x", Qos::AtLeastOnce);
    let listen = || {
        ohmqtt_broker::Broker::builder()
            .listen(url.as_str())
            .start()
    };
    let _second = soon(async {
        loop {
            // The port may still be in the hands of the first.
            match listen().await {
                Ok(broker) => return broker,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    soon(publication.acked()).await.unwrap();
    assert_eq!(text(&next(&mut inbox).await), "x");
}

/// A message that was sent, one that was not, and a server that has lost the session.
async fn check_loss(policy: SessionLoss) -> (Conn, Publication, Publication) {
    let script = Script::start().await;
    let connect = tokio::spawn(script.client().session_loss(policy).connect());
    let (mut conn, _) = script.connect().await;
    let mut properties = ConnAckProperties::default();
    properties.set_receive_maximum(1.try_into().unwrap());
    conn.answer(false, ReasonCode::Success, properties).await;
    let client = soon(connect).await.unwrap().unwrap();
    let publish = |text: &'static str| client.publish("t", text).qos(Qos::AtLeastOnce).send();
    let (sent, unsent) = (publish("sent").unwrap(), publish("unsent").unwrap());
    assert_eq!(conn.publish().await.payload, "sent");
    drop(conn);
    let conn = script.accept().await;
    // The client goes on in the background for as long as its messages take.
    drop(client);
    (conn, sent, unsent)
}

#[tokio::test]
async fn a_lost_session_fails_what_was_sent_and_sends_the_rest() {
    let (mut conn, sent, unsent) = check_loss(SessionLoss::Fail).await;
    assert_eq!(soon(sent.acked()).await, Err(LostMessage::SessionLost));
    let publish = conn.publish().await;
    assert_eq!(publish.payload, "unsent");
    conn.ack(&publish).await;
    soon(unsent.acked()).await.unwrap();
}

#[tokio::test]
async fn a_lost_session_may_be_made_up_for_by_sending_all_again() {
    let (mut conn, sent, unsent) = check_loss(SessionLoss::Resend).await;
    for (publication, payload) in [(sent, "sent"), (unsent, "unsent")] {
        let publish = conn.publish().await;
        assert_eq!(publish.payload, payload);
        assert!(
            !publish.delivery.dup(),
            "it is a new message to the new session"
        );
        conn.ack(&publish).await;
        soon(publication.acked()).await.unwrap();
    }
}

#[tokio::test]
async fn a_lost_session_may_take_everything_with_it() {
    let (mut conn, sent, unsent) = check_loss(SessionLoss::Clear).await;
    assert_eq!(soon(sent.acked()).await, Err(LostMessage::SessionLost));
    assert_eq!(soon(unsent.acked()).await, Err(LostMessage::SessionLost));
    conn.goodbye().await;
}

#[tokio::test]
async fn a_refusal_is_tried_again_unless_waiting_does_not_mend_it() {
    let hopeless = [
        ReasonCode::MalformedPacket,
        ReasonCode::ProtocolError,
        ReasonCode::UnsupportedProtocolVersion,
        ReasonCode::ClientIdentifierNotValid,
        ReasonCode::BadUserNameOrPassword,
        ReasonCode::NotAuthorized,
        ReasonCode::Banned,
        ReasonCode::BadAuthenticationMethod,
        ReasonCode::TopicNameInvalid,
        ReasonCode::PacketTooLarge,
        ReasonCode::PayloadFormatInvalid,
        ReasonCode::RetainNotSupported,
        ReasonCode::QosNotSupported,
        ReasonCode::UseAnotherServer,
        ReasonCode::ServerMoved,
    ];
    let codes = (0x80..=0xFF)
        .filter_map(|code| ReasonCode::try_from(code).ok())
        .filter(|code| code.allowed_in(PacketType::ConnAck));
    let mut refused = 0;
    for code in codes {
        refused += 1;
        let script = Script::start().await;
        let client = script.client().start().unwrap();
        let (mut conn, _) = script.connect().await;
        conn.answer(false, code, ConnAckProperties::default()).await;
        if hopeless.contains(&code) {
            let closed = |state: &ConnectionState| matches!(state, ConnectionState::Closed { .. });
            let ConnectionState::Closed { error } = soon(client.wait_for(closed)).await else {
                panic!("not closed");
            };
            assert_eq!(error.reason_code(), Some(code));
            assert!(error.to_string().contains(code.name()), "{error}");
            assert!(!error.is_retryable());
        } else {
            let _conn = script.accept().await;
            let connected =
                |state: &ConnectionState| matches!(state, ConnectionState::Connected { .. });
            soon(client.wait_for(connected)).await;
        }
    }
    assert_eq!(refused, 21);
}

#[tokio::test]
async fn connect_returns_the_first_refusal_whether_or_not_it_passes() {
    let script = Script::start().await;
    let connect = tokio::spawn(script.client().connect());
    let (mut conn, _) = script.connect().await;
    conn.answer(false, ReasonCode::ServerBusy, ConnAckProperties::default())
        .await;
    let Err(ConnectFailed::Connect(error)) = soon(connect).await.unwrap() else {
        panic!("not refused");
    };
    assert_eq!(error.reason_code(), Some(ReasonCode::ServerBusy));
    assert!(error.is_retryable());
    // It does not go on behind the caller's back.
    assert_eq!(conn.next().await, None);
}

#[tokio::test]
async fn a_client_whose_session_is_taken_over_does_not_take_it_back() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    conn.send(Packet::Disconnect(Disconnect::new(
        ReasonCode::SessionTakenOver,
    )))
    .await;
    drop(conn);
    let closed = |state: &ConnectionState| matches!(state, ConnectionState::Closed { .. });
    let ConnectionState::Closed { error } = soon(client.wait_for(closed)).await else {
        panic!("not closed");
    };
    assert_eq!(error.reason_code(), Some(ReasonCode::SessionTakenOver));
    assert!(
        error.to_string().contains("same client identifier"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_shuts_down_is_looked_for_again_and_the_reason_is_told() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let shutdown = Disconnect::new(ReasonCode::ServerShuttingDown);
    conn.send(Packet::Disconnect(shutdown)).await;
    drop(conn);
    let (mut conn, connect) = script.connect().await;
    assert!(!connect.clean_start);
    let ConnectionState::Connecting {
        attempt,
        last_error,
    } = client.state()
    else {
        panic!("{:?}", client.state());
    };
    assert_eq!(
        attempt, 1,
        "attempts are counted from the last connection on"
    );
    assert_eq!(
        last_error.unwrap().reason_code(),
        Some(ReasonCode::ServerShuttingDown)
    );
    conn.connack(true).await;
    let connected = |state: &ConnectionState| matches!(state, ConnectionState::Connected { .. });
    soon(client.wait_for(connected)).await;
}

#[tokio::test]
async fn an_assigned_client_identifier_is_used_from_then_on() {
    let script = Script::start().await;
    let connect = tokio::spawn(script.client().client_id("").connect());
    let (mut conn, first) = script.connect().await;
    assert_eq!(first.client_id, "");
    let mut properties = ConnAckProperties::default();
    properties.set_assigned_client_identifier(&"assigned".try_into().unwrap());
    conn.answer(false, ReasonCode::Success, properties).await;
    let client = soon(connect).await.unwrap().unwrap();
    assert_eq!(client.client_id(), "assigned");
    drop(conn);
    let (_conn, again) = script.connect().await;
    assert_eq!(again.client_id, "assigned");
    assert!(!again.clean_start);
}

#[tokio::test]
async fn a_server_that_breaks_the_protocol_is_told_so_and_tried_again() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    // SUBACK to nobody.
    conn.suback(PacketId::new(7).unwrap(), [ReasonCode::Success])
        .await;
    let goodbye = conn.goodbye().await;
    assert_eq!(goodbye.reason, ReasonCode::ProtocolError);
    drop(conn);
    let _conn = script.resume().await;
    eventually(|| client.metrics().connections == 2).await;
}

#[tokio::test]
async fn what_is_published_while_reconnecting_goes_out_in_order() {
    let script = Script::start().await;
    let (client, conn) = script.pair().await;
    drop(conn);
    for n in 0..10 {
        let qos = if n % 2 == 0 {
            Qos::AtLeastOnce
        } else {
            Qos::ExactlyOnce
        };
        client.publish("t", n.to_string()).qos(qos).send().unwrap();
    }
    let mut conn = script.resume().await;
    let mut server = Server::default();
    // One packet for each message of QoS 1, two for each of QoS 2.
    server.serve(&mut conn, 15, true).await;
    assert_eq!(server.arrived, numbers(10));
    eventually(|| client.metrics().in_flight == 0).await;
}

/// Waits between attempts are anything up to a bound, which doubles from one second to a minute.
#[tokio::test(start_paused = true)]
async fn attempts_come_at_growing_intervals() {
    let (wire, ends) = Wire::new();
    drop(ends);
    let client = Client::builder("nowhere")
        .seed(7)
        .connector(wire)
        .start()
        .unwrap();
    let began = Instant::now();
    let mut last = began;
    for attempt in 1..=12 {
        let reached = move |state: &ConnectionState| matches!(state, ConnectionState::Connecting { attempt: now, last_error: Some(_) } if *now >= attempt);
        client.wait_for(reached).await;
        let waited = last.elapsed();
        let bound = Duration::from_secs(60.min(1 << (attempt.max(2) - 2)));
        assert!(
            waited <= bound + Duration::from_millis(5),
            "{attempt}: {waited:?}"
        );
        last = Instant::now();
    }
    assert!(began.elapsed() > Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn connecting_and_the_servers_answer_share_one_deadline() {
    let (mut wire, mut ends) = Wire::new();
    wire.takes = Duration::from_secs(20);
    let builder = Client::builder("nowhere").connector(wire);
    let began = Instant::now();
    let Err(ConnectFailed::Connect(error)) = builder.connect().await else {
        panic!("connected");
    };
    let took = began.elapsed();
    assert!(
        took >= Duration::from_secs(30) && took < Duration::from_secs(31),
        "{took:?}"
    );
    assert!(
        matches!(error.kind, ConnectErrorKind::Session(_)),
        "{error}"
    );
    // The server did hear of it.
    let mut conn = Conn::new(ends.recv().await.unwrap());
    conn.connect().await;
    assert_eq!(conn.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_stood_for_a_while_makes_the_next_wait_short() {
    let (wire, mut ends) = Wire::new();
    let client = Client::builder("nowhere")
        .seed(7)
        .connector(wire)
        .start()
        .unwrap();
    // Six connections that are cut at once; then one that stands.
    for _ in 0..6 {
        let mut conn = Conn::new(ends.recv().await.unwrap());
        conn.connect().await;
        conn.connack(false).await;
    }
    let mut conn = Conn::new(ends.recv().await.unwrap());
    conn.connect().await;
    conn.connack(true).await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    drop(conn);
    let began = Instant::now();
    ends.recv().await.unwrap();
    assert!(began.elapsed() <= Duration::from_millis(1005));
    drop(client);
}
