//! Streams that carry bytes in pieces of any size, or break.

use std::sync::Arc;

use ohmqtt_codec::{
    Delivery, Disconnect, Filters, Limits, MqttString, Packet, Qos, ReasonCode,
    SubscribeProperties, SubscriptionOptions, TopicFilter,
};
use ohmqtt_driver::{Clock, Driver, Handle};
use ohmqtt_session::{
    Accept, ClientConfig, ClientEvent, ClientSession, DisconnectCause, PublishOptions,
    ServerConfig, ServerEvent, ServerSession, Ticket,
};
use tokio::io::{AsyncWriteExt, duplex};

use crate::support::{Faults, Faulty, Raw, Side, bytes_of, connect, message, pair, settle, within};

/// A client publishes at every QoS over a stream with so much room, and all of it arrives and is acknowledged.
async fn check_exchange(room: usize, payload: usize) {
    let (mut client, mut server) = pair(room).await;
    let payload = bytes::Bytes::from(vec![7; payload]);
    for (ticket, qos) in [Qos::AtLeastOnce, Qos::ExactlyOnce].into_iter().enumerate() {
        let ticket = ticket as u64 + 1;
        client.publish(Qos::AtMostOnce, 100, payload.clone());
        client.publish(qos, ticket, payload.clone());
        assert_eq!(
            server.message().await,
            message(Qos::AtMostOnce, payload.clone())
        );
        assert_eq!(server.message().await, message(qos, payload.clone()));
        assert_eq!(client.acked(ticket).await, ReasonCode::Success);
    }
}

#[tokio::test]
async fn packets_arrive_over_a_stream_with_room_for_one_byte() {
    check_exchange(1, 300).await;
}

#[tokio::test]
async fn packets_arrive_over_a_stream_with_room_for_seven_bytes() {
    check_exchange(7, 5_000).await;
}

#[tokio::test]
async fn packets_arrive_over_a_stream_with_room_for_64_kib() {
    check_exchange(64 * 1024, 100).await;
}

#[tokio::test]
async fn a_packet_of_five_mebibytes_arrives_whole() {
    check_exchange(64 * 1024, 5 * 1024 * 1024).await;
}

#[tokio::test]
async fn a_thousand_messages_arrive_in_order_over_a_stream_of_pieces() {
    for piece in [1, 3, 1000] {
        let (near, far) = duplex(4096);
        let faults = Faults {
            piece,
            ..Faults::default()
        };
        let mut client = Side::client(Faulty::new(near, faults.clone()));
        let mut server = Side::server(Faulty::new(far, faults));
        client.connected().await;
        for n in 1..=1000 {
            client.publish(Qos::ExactlyOnce, n, n.to_string());
        }
        for n in 1..=1000 {
            assert_eq!(server.message().await.payload, n.to_string());
        }
        client.acked(1000).await;
        assert_eq!(client.handle.read(ClientSession::queued), (0, 0));
    }
}

#[tokio::test]
async fn what_has_gathered_leaves_in_one_write_of_many_pieces() {
    let (near, far) = duplex(1024 * 1024);
    let near = Faulty::new(near, Faults::default());
    let seen = Arc::clone(&near.seen);
    let mut client = Side::client(near);
    let mut server = Side::server(far);
    client.connected().await;
    seen.writes.lock().unwrap().clear();
    // Payloads of this size are chained, not copied: each is a piece of its own.
    for n in 1..=8 {
        client.publish(Qos::AtMostOnce, n, vec![0; 8 * 1024]);
    }
    for _ in 1..=8 {
        server.message().await;
    }
    assert_eq!(*seen.writes.lock().unwrap(), [16]);
}

#[tokio::test]
async fn more_pieces_than_one_write_takes_leave_in_several() {
    let (mut client, mut server) = pair(1024 * 1024).await;
    for n in 1..=100 {
        client.publish(Qos::AtLeastOnce, n, vec![n.to_le_bytes()[0]; 4096]);
    }
    for n in 1..=100u8 {
        assert_eq!(server.message().await.payload, vec![n; 4096]);
    }
    client.acked(100).await;
}

#[tokio::test]
async fn a_stream_that_breaks_at_any_byte_ends_the_run_with_its_error() {
    for at in 1..60 {
        let (near, far) = duplex(1024);
        let faults = Faults {
            write_fails_at: Some(at),
            ..Faults::default()
        };
        let mut client = Side::client(Faulty::new(near, faults));
        let _server = Side::server(far);
        client.publish(Qos::AtLeastOnce, 1, vec![0; 64]);
        let error = client.end().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        let last = client.events().pop();
        assert_eq!(
            last,
            Some(ClientEvent::Disconnected(DisconnectCause::StreamEnded))
        );
        assert_eq!(client.handle.read(ClientSession::queued).0, 1);
    }
}

#[tokio::test]
async fn a_stream_that_cannot_be_read_any_more_ends_the_run_with_its_error() {
    for at in [1, 2, 4] {
        let (near, far) = duplex(1024);
        let faults = Faults {
            read_fails_at: Some(at),
            ..Faults::default()
        };
        let mut client = Side::client(Faulty::new(near, faults));
        let _server = Side::server(far);
        assert!(client.end().await.is_err());
    }
}

#[tokio::test]
async fn what_came_before_the_end_of_the_stream_is_handled_before_it() {
    let (near, far) = duplex(1024 * 1024);
    let mut server = Side::server(far);
    let mut raw = Raw::new(near);
    raw.send(connect()).await;
    raw.next().await;
    // More packets than are handled under one lock, and the end right behind them.
    let publish = Packet::Publish(message(Qos::AtMostOnce, "x").to_publish(Delivery::AtMostOnce));
    raw.stream
        .write_all(&bytes_of(&publish).repeat(1000))
        .await
        .unwrap();
    raw.stream.shutdown().await.unwrap();
    server.end().await.unwrap();
    let came = server
        .events()
        .iter()
        .filter(|event| matches!(event, ServerEvent::Message { .. }))
        .count();
    assert_eq!(came, 1000);
}

#[tokio::test]
async fn packets_behind_a_connect_wait_until_it_is_accepted() {
    let (near, far) = duplex(1024);
    let clock = Clock::new();
    let session = ServerSession::new(clock.now(), ServerConfig::default());
    let handle = Handle::new(session, clock);
    let mut server = Side::spawn(handle, None, far, |_, _| {});
    let mut raw = Raw::new(near);
    // In one piece: both are in the driver's buffer when the session asks for an answer.
    let both = [bytes_of(&connect()), bytes_of(&Packet::PingReq)].concat();
    raw.stream.write_all(&both).await.unwrap();
    server
        .until(|event| matches!(event, ServerEvent::Connect(_)).then_some(()))
        .await;
    settle().await;
    server
        .handle
        .with(|session, now| session.accept(now, Accept::default()));
    assert!(matches!(raw.next().await, Some(Packet::ConnAck(_))));
    assert_eq!(raw.next().await, Some(Packet::PingResp));
}

/// [MQTT-4.13.1-1] Bytes that are no packet end the connection, and are told of in a DISCONNECT.
#[tokio::test]
async fn malformed_bytes_end_the_connection_with_a_disconnect() {
    let (near, far) = duplex(1024);
    let mut client = Side::client(near);
    let mut raw = Raw::new(far);
    raw.accept().await;
    client.connected().await;
    raw.stream.write_all(&[0xF1, 0x00]).await.unwrap();
    let Some(Packet::Disconnect(disconnect)) = raw.next().await else {
        panic!("no DISCONNECT");
    };
    assert_eq!(disconnect.reason, ReasonCode::MalformedPacket);
    assert_eq!(raw.next().await, None);
    drop(raw);
    client.end().await.unwrap();
    let last = client.events().pop();
    let cause = |event| match event {
        Some(ClientEvent::Disconnected(DisconnectCause::Protocol(error))) => Some(error.reason()),
        _ => None,
    };
    assert_eq!(cause(last), Some(ReasonCode::MalformedPacket));
}

#[tokio::test]
async fn what_the_peer_said_before_it_went_is_heard_when_writing_fails() {
    let (near, far) = duplex(4096);
    let near = Faulty::new(
        near,
        Faults {
            write_fails_at: Some(100),
            ..Faults::default()
        },
    );
    let mut client = Side::client(near);
    let mut raw = Raw::new(far);
    raw.accept().await;
    client.connected().await;
    // The client hears of both in the same moment: that writing fails, and why.
    let taken_over = Disconnect::new(ReasonCode::SessionTakenOver);
    raw.send(Packet::Disconnect(taken_over)).await;
    client.publish(Qos::AtLeastOnce, 1, vec![0; 200]);
    let _ = client.end().await;
    let last = client.events().pop();
    let Some(ClientEvent::Disconnected(DisconnectCause::ByPeer(disconnect))) = last else {
        panic!("{last:?}");
    };
    assert_eq!(disconnect.reason, ReasonCode::SessionTakenOver);
}

#[tokio::test]
async fn the_end_of_a_stream_is_the_end_of_the_run() {
    let (near, far) = duplex(1024);
    let mut client = Side::client(near);
    let mut raw = Raw::new(far);
    raw.accept().await;
    client.connected().await;
    drop(raw);
    client.end().await.unwrap();
    let last = client.events().pop();
    assert_eq!(
        last,
        Some(ClientEvent::Disconnected(DisconnectCause::StreamEnded))
    );
}

#[tokio::test]
async fn half_a_packet_of_an_old_stream_is_not_seen_on_the_next_one() {
    let (first, far) = duplex(1024);
    let (second, next_far) = duplex(1024);
    let session = ClientSession::new(ClientConfig::new(MqttString::default()));
    let handle = Handle::new(session, Clock::new());
    let mut driver = Driver::new(handle.clone(), None, Limits::default(), |_| {});
    let runs = tokio::spawn(async move {
        driver.run(Box::new(first)).await.unwrap();
        driver.run(Box::new(second)).await.unwrap();
    });
    let mut raw = Raw::new(far);
    raw.accept().await;
    let half = bytes_of(&Packet::Publish(
        message(Qos::AtMostOnce, "x").to_publish(Delivery::AtMostOnce),
    ));
    raw.stream.write_all(&half[..4]).await.unwrap();
    settle().await;
    drop(raw);
    let mut raw = Raw::new(next_far);
    raw.accept().await;
    settle().await;
    assert!(handle.read(ClientSession::is_connected));
    drop(raw);
    within(runs).await.unwrap();
}

/// Subscriptions of a new session are made in answer to its event, and stand before messages that have waited for it.
#[tokio::test]
async fn what_is_said_to_an_event_goes_out_before_what_has_waited() {
    let (near, far) = duplex(1024);
    let session = ClientSession::new(ClientConfig::new(MqttString::default()));
    let handle = Handle::new(session, Clock::new());
    let waiting = message(Qos::AtLeastOnce, "x");
    handle
        .with(|session, now| session.publish(now, waiting, PublishOptions::default()))
        .unwrap();
    let _client = Side::spawn(handle, None, near, |handle, event| {
        if matches!(event, ClientEvent::Connected(_)) {
            let filter = TopicFilter::new("t").unwrap();
            let filters = Filters::new(&filter, SubscriptionOptions::default()).unwrap();
            let properties = SubscribeProperties::default();
            handle
                .with(|session, _| session.subscribe(filters, properties, Ticket::NONE))
                .unwrap();
        }
    });
    let mut raw = Raw::new(far);
    raw.accept().await;
    assert!(matches!(raw.next().await, Some(Packet::Subscribe(_))));
    assert!(matches!(raw.next().await, Some(Packet::Publish(_))));
}
