//! Topics and texts that other brokers stumbled over.

use ohmqtt_codec::{Packet, ReasonCode};

use super::{Bystanders, connect, packet, publish, text};
use crate::client::{Client, broker};

/// SUBSCRIBE or UNSUBSCRIBE of this filter.
fn ask(first: u8, filter: &[u8]) -> Vec<u8> {
    let options: &[u8] = if first == 0x82 { &[0] } else { &[] };
    packet(
        first,
        &[b"\x00\x01\x00", &text(filter)[..], options].concat(),
    )
}

/// A CONNECT whose will has this topic.
fn with_will(topic: &[u8]) -> Vec<u8> {
    connect(
        b"stranger",
        0x04,
        &[b"\x00", &text(topic)[..], &text(b"x")].concat(),
    )
}

/// Sends each of these over a connection of its own, and gives what came in answer.
async fn try_each(packets: &[Vec<u8>]) -> Vec<Vec<Packet>> {
    let broker = broker().await;
    let mut bystanders = Bystanders::at(&broker).await;
    let mut answers = Vec::new();
    for bytes in packets {
        let mut stranger = if bytes[0] == 0x10 {
            Client::open(&broker).await
        } else {
            Client::connect(&broker, "stranger").await
        };
        // The broker may have ended the stream before it has all of one that is too large.
        let _ = stranger.try_send(bytes).await;
        answers.push(said(&mut stranger).await);
        bystanders.are_undisturbed().await;
    }
    answers
}

/// What the broker has to say on what it has read.
async fn said(stranger: &mut Client) -> Vec<Packet> {
    let mut said = Vec::new();
    // The answer to the first of these may overtake another one, that to the second comes behind all.
    for _ in 0..2 {
        if stranger.try_send(&[0xC0, 0x00]).await.is_err() {
            break;
        }
        while let Some(heard) = stranger.next().await
            && heard != Packet::PingResp
        {
            said.push(heard);
        }
    }
    said
}

/// The reason of the one answer.
fn reason(answer: &[Packet]) -> ReasonCode {
    match answer {
        [Packet::PubAck(ack)] => ack.reason,
        [Packet::SubAck(ack) | Packet::UnsubAck(ack)] => ack.codes.iter().next().unwrap(),
        [Packet::Disconnect(disconnect)] => disconnect.reason,
        [Packet::ConnAck(connack)] => connack.reason,
        other => panic!("{other:?}"),
    }
}

fn reasons(answers: &[Vec<Packet>]) -> Vec<ReasonCode> {
    answers.iter().map(|answer| reason(answer)).collect()
}

/// Fault class: an empty topic ends the broker. [MQTT-4.7.3-1]
#[tokio::test]
async fn an_empty_topic_disturbs_nobody() {
    let answers = try_each(&[
        publish(b"", &[]),
        ask(0x82, b""),
        ask(0xA2, b""),
        ask(0x82, b"$share/g/"),
        with_will(b""),
    ])
    .await;
    let (will, others) = answers.split_last().unwrap();
    for answer in others {
        assert!(
            matches!(
                reason(answer),
                ReasonCode::ProtocolError
                    | ReasonCode::MalformedPacket
                    | ReasonCode::TopicFilterInvalid
            ),
            "{answer:?}"
        );
    }
    assert_eq!(will, &[]);
}

/// Fault class: a topic of the server's own is written by a client, or one that begins with `$` takes another path. [MQTT-4.7.2-1]
#[tokio::test]
async fn a_dollar_topic_disturbs_nobody() {
    let answers = try_each(&[
        publish(b"$", &[]),
        publish(b"$SYS", &[]),
        publish(b"$SYS/broker/clients", &[]),
        publish(b"$share/g/quiet", &[]),
        publish(b"$queue/quiet", &[]),
        ask(0x82, b"$"),
        with_will(b"$SYS/x"),
    ])
    .await;
    assert_eq!(
        reasons(&answers),
        [
            ReasonCode::NoMatchingSubscribers,
            ReasonCode::NotAuthorized,
            ReasonCode::NotAuthorized,
            ReasonCode::NoMatchingSubscribers,
            ReasonCode::NoMatchingSubscribers,
            ReasonCode::GRANTED_QOS_0,
            ReasonCode::NotAuthorized,
        ]
    );
}

/// Fault class: each level of a topic is a call, or a node, that somebody pays for.
#[tokio::test]
async fn a_topic_of_65_000_slashes_disturbs_nobody() {
    let slashes = b"/".repeat(65_000);
    let shared = [b"$share/g/", &slashes[..]].concat();
    let any = b"+/".repeat(32_000);
    let answers = try_each(&[
        publish(&slashes, &[]),
        ask(0x82, &slashes),
        ask(0x82, &shared),
        ask(0x82, &any),
        ask(0xA2, &slashes),
    ])
    .await;
    assert_eq!(
        reasons(&answers),
        [
            ReasonCode::TopicNameInvalid,
            ReasonCode::TopicFilterInvalid,
            ReasonCode::TopicFilterInvalid,
            ReasonCode::TopicFilterInvalid,
            ReasonCode::NoSubscriptionExisted,
        ]
    );
    // A will of it fits into no CONNECT that is taken by default.
    assert_eq!(try_each(&[with_will(&slashes)]).await.len(), 1);
}

/// Fault class: ill-formed UTF-8 is passed on, and ends those who get it. [MQTT-1.5.4-1] [MQTT-1.5.4-2]
#[tokio::test]
async fn invalid_utf_8_disturbs_nobody() {
    // Overlong, a surrogate, above U+10FFFF, cut off, a lone continuation, U+0000.
    let ill: [&[u8]; 6] = [
        b"a\xC0\xAF",
        b"a\xED\xA0\x80",
        b"a\xF4\x90\x80\x80",
        b"a\xE2\x82",
        b"\x80",
        b"a\x00b",
    ];
    for text_ in ill {
        let pair = [b"\x26", &text(b"k")[..], &text(text_)].concat();
        let content_type = [b"\x03", &text(text_)[..]].concat();
        let told = [
            publish(text_, &[]),
            publish(b"quiet", &pair),
            publish(b"quiet", &content_type),
            ask(0x82, text_),
            ask(0xA2, text_),
        ];
        for answer in try_each(&told).await {
            assert_eq!(reason(&answer), ReasonCode::MalformedPacket, "{text_:?}");
        }
        // Before CONNACK nothing is told.
        for answer in try_each(&[connect(text_, 0, &[]), with_will(text_)]).await {
            assert_eq!(answer, [], "{text_:?}");
        }
    }
}
