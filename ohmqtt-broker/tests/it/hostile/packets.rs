//! Packets that may not come: any as the first, those of a server, and none at all.

use ohmqtt_codec::{Packet, ReasonCode};

use super::{Bystanders, connect, hear_out, packet};
use crate::client::{Client, broker};

/// What may stand behind a first byte: nothing, an identifier, an identifier with a code, and what no packet is.
const BODIES: [&[u8]; 4] = [&[], &[0, 1], &[0, 1, 0, 0], &[0xFF; 16]];

/// Fault class: a packet before CONNECT is acted on, or ends the broker.
#[tokio::test]
async fn any_packet_as_the_first_ends_its_own_connection() {
    let broker = broker().await;
    let mut bystanders = Bystanders::at(&broker).await;
    for first in 0..=u8::MAX {
        for body in BODIES {
            let mut stranger = Client::open(&broker).await;
            stranger.send_bytes(&packet(first, body)).await;
            // At most a client of another version is told so.
            for heard in hear_out(&mut stranger).await {
                match heard {
                    Packet::ConnAck(connack) => assert_eq!(
                        (first, connack.reason),
                        (0x10, ReasonCode::UnsupportedProtocolVersion)
                    ),
                    other => panic!("{first:#X} {body:?}: {other:?}"),
                }
            }
        }
    }
    bystanders.are_undisturbed().await;
}

/// Fault class: bytes that are no packet, or one at the wrong moment, end more than their connection.
#[tokio::test]
async fn any_packet_behind_connect_disturbs_nobody() {
    let broker = broker().await;
    let mut bystanders = Bystanders::at(&broker).await;
    for first in 0..=u8::MAX {
        for body in BODIES {
            let mut stranger = Client::connect(&broker, "stranger").await;
            let bytes = [packet(first, body), vec![0xE0, 0x00]].concat();
            stranger.send_bytes(&bytes).await;
            // What is wrong is told; what may be is answered or not.
            for heard in hear_out(&mut stranger).await {
                assert!(
                    !matches!(heard, Packet::ConnAck(_) | Packet::Publish(_)),
                    "{first:#X} {body:?}: {heard:?}"
                );
            }
        }
    }
    bystanders.are_undisturbed().await;
}

/// Fault class: a packet that only a server sends is taken from a client.
#[tokio::test]
async fn packets_of_a_server_end_the_connection_of_the_client_that_sends_them() {
    let broker = broker().await;
    let mut bystanders = Bystanders::at(&broker).await;
    // CONNACK, SUBACK, UNSUBACK, PINGRESP.
    let of_servers: [(u8, &[u8]); 4] = [
        (0x20, &[0, 0, 0]),
        (0x90, &[0, 1, 0, 0]),
        (0xB0, &[0, 1, 0, 0]),
        (0xD0, &[]),
    ];
    for (first, body) in of_servers {
        let mut stranger = Client::connect(&broker, "stranger").await;
        stranger.send_bytes(&packet(first, body)).await;
        stranger.expect_disconnect(ReasonCode::ProtocolError).await;
    }
    bystanders.are_undisturbed().await;
}

/// Fault class: the second half of a packet that never comes holds something of others.
#[tokio::test]
async fn half_a_packet_disturbs_nobody() {
    let broker = broker().await;
    let mut bystanders = Bystanders::at(&broker).await;
    let whole = connect(b"stranger", 0, &[]);
    let mut halves = Vec::new();
    for cut in 1..whole.len() {
        let mut stranger = Client::open(&broker).await;
        stranger.send_bytes(&whole[..cut]).await;
        halves.push(stranger);
    }
    bystanders.are_undisturbed().await;
    for (stranger, cut) in halves.iter_mut().zip(1..) {
        stranger.send_bytes(&whole[cut..]).await;
        match stranger.receive().await {
            Packet::ConnAck(connack) => assert_eq!(connack.reason, ReasonCode::Success),
            other => panic!("{other:?}"),
        }
    }
    bystanders.are_undisturbed().await;
}
