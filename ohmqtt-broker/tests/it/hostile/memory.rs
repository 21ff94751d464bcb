//! What must not stay: memory after hostile peers and after sessions that have ended.

use std::num::NonZeroU16;
use std::time::Duration;

use ohmqtt_codec::{Ack, Packet, PacketId, Qos, ReasonCode};

use super::process::{alone, computed, reserved, resident};
use super::{connect, length, packet, text, user_properties};
use crate::client::{Client, broker, broker_with, resuming, will};

const MIB: usize = 1 << 20;

/// Fault class: a length is believed, and so much memory is taken for it.
#[test]
fn a_claimed_256_mib_packet_allocates_nothing() {
    alone(
        module_path!(),
        "a_claimed_256_mib_packet_allocates_nothing",
        async {
            // A broker that would take such a packet, if it came.
            let broker = broker_with(|limits| {
                limits.packet_size = 268_435_460.try_into().unwrap();
                limits.connect_packet_size = limits.packet_size;
            })
            .await;
            let mut good = Client::connect(&broker, "good").await;
            let before = reserved();
            let mut claims = Vec::new();
            for n in 0..32 {
                let mut stranger = Client::open(&broker).await;
                stranger
                    .send_bytes(b"\x10\xFF\xFF\xFF\x7F\x00\x04MQTT\x05")
                    .await;
                let mut client = Client::connect(&broker, &n.to_string()).await;
                // What stands before it is answered, so it was read.
                client
                    .send_bytes(b"\xC0\x00\x30\xFF\xFF\xFF\x7F\x00\x01t\x00")
                    .await;
                assert_eq!(client.receive().await, Packet::PingResp);
                claims.push((stranger, client));
            }
            for _ in 0..50 {
                good.expect_nothing().await;
            }
            let taken = reserved().saturating_sub(before);
            println!(
                "{} connections claim 256 MiB each: {} KiB reserved",
                2 * claims.len(),
                taken / 1024
            );
            assert!(taken < 32 * MIB, "{taken}");
        },
    );
}

/// Fault class: a QoS 2 identifier that comes again leaves something each time.
#[test]
fn repeated_qos_2_identifiers_leak_nothing() {
    alone(
        module_path!(),
        "repeated_qos_2_identifiers_leak_nothing",
        async {
            let broker =
                broker_with(|limits| limits.receive_maximum = NonZeroU16::new(2).unwrap()).await;
            let mut client = Client::connect(&broker, "c").await;
            let body = [text(b"t"), vec![0, 1, 0], vec![b'x'; 1000]].concat();
            let publish = packet(0x3C, &body);
            let mut before = 0;
            for round in 0..1000 {
                if round == 100 {
                    before = resident();
                }
                let asked = [publish.repeat(50), vec![0xC0, 0x00]].concat();
                client.send_bytes(&asked).await;
                // Those that came in one piece may have one answer, before this one or behind it.
                while client.receive().await != Packet::PingResp {}
            }
            client.send(Packet::PingReq).await;
            while client.receive().await != Packet::PingResp {}
            let grown = resident().saturating_sub(before);
            println!("45,000 repetitions of 1,000 bytes: {} KiB", grown / 1024);
            assert!(grown < 8 * MIB, "{grown}");
            // It was one message all the time: there is room for one more, and when it is released for another.
            let id = PacketId::new(1).unwrap();
            client.send(Packet::PubRel(Ack::new(id))).await;
            assert_eq!(client.receive().await, Packet::PubComp(Ack::new(id)));
            for id in 1..=2 {
                let body = [text(b"t"), vec![0, id, 0]].concat();
                client.send_bytes(&packet(0x34, &body)).await;
                assert!(matches!(client.receive().await, Packet::PubRec(_)));
            }
        },
    );
}

/// Fault class: a CONNECT that is refused leaves its connection, its will or a session behind.
#[test]
fn refused_connects_leak_nothing() {
    alone(module_path!(), "refused_connects_leak_nothing", async {
        let broker = broker_with(|limits| {
            limits.connections = 1;
            limits.sessions = 1;
            limits.half_open = 4;
        })
        .await;
        // One may come, and is there.
        let good = Client::connect(&broker, "good").await;
        let will = |topic: &[u8]| [b"\x00", &text(topic)[..], &text(&[b'x'; 8000])].concat();
        let refused = [
            // No room for another, with and without a will; a method nobody knows; a topic of the broker's own; an identifier too long.
            connect(b"another", 0, &[]),
            connect(b"another", 0x04, &will(b"t")),
            [b"\x10\x16\x00\x04MQTT\x05\x02\x00\x00\x08\x15\x00\x05magic\x00\x01c".to_vec()]
                .concat(),
            connect(b"another", 0x04, &will(b"$SYS/x")),
            connect(&[b'c'; 8000], 0, &[]),
            // MQTT 3.1.1; none at all; flags that may not be.
            b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01c".to_vec(),
            packet(0x10, &[0xFF; 8000]),
            connect(b"another", 0x01, &[]),
        ];
        let mut before = 0;
        for n in 0..10_000 {
            if n == 1000 {
                before = resident();
            }
            let mut stranger = Client::open(&broker).await;
            stranger.send_bytes(&refused[n % refused.len()]).await;
            while let Some(answer) = stranger.next().await {
                match answer {
                    Packet::ConnAck(connack) => assert!(connack.reason.is_error()),
                    other => panic!("{other:?}"),
                }
            }
        }
        let grown = resident().saturating_sub(before);
        println!("9,000 refused CONNECTs: {} KiB", grown / 1024);
        assert!(grown < 8 * MIB, "{grown}");
        // None of them is counted as a client or a session.
        let held = broker.metrics();
        assert_eq!((held.connected, held.most_connected), (1, 1));
        assert_eq!((held.sessions, held.queued, held.retained), (1, 0, 0));
        good.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
        let mut again = Client::connect(&broker, "again").await;
        again.expect_nothing().await;
    });
}

/// Fault class: each user property is looked for among those before it. A megabyte costs ten times what 100 KB do, not a hundred times.
#[test]
fn a_megabyte_of_user_properties_costs_linear_time() {
    alone(
        module_path!(),
        "a_megabyte_of_user_properties_costs_linear_time",
        async {
            let broker = broker_with(|limits| {
                limits.user_properties = usize::MAX;
                limits.property_bytes = usize::MAX;
            })
            .await;
            let mut client = Client::connect(&broker, "c").await;
            client
                .subscribe_with(
                    "t",
                    ohmqtt_codec::SubscriptionOptions::new(Qos::AtMostOnce),
                    Some(1),
                )
                .await;
            let message = |size: usize| {
                let properties = user_properties(size);
                let mut body = [text(b"t"), vec![0, 1]].concat();
                length(&mut body, properties.len());
                packet(0x33, &[body, properties].concat())
            };
            let (small, large) = (message(100_000), message(1_000_000));
            // The least of several: what the machine does besides only adds.
            let mut costs = [Duration::MAX; 2];
            for _ in 0..7 {
                for (cost, (packet, times)) in costs.iter_mut().zip([(&small, 10), (&large, 1)]) {
                    let before = computed();
                    for _ in 0..times {
                        client.send_bytes(packet).await;
                        let heard = [client.receive().await, client.receive().await];
                        assert!(
                            heard
                                .iter()
                                .any(|packet| matches!(packet, Packet::PubAck(_))),
                            "{heard:?}"
                        );
                    }
                    *cost = (*cost).min(computed().saturating_sub(before));
                }
            }
            let [small, large] = costs;
            println!("1 MB of user properties: {small:?} in ten messages, {large:?} in one");
            assert!(
                large < small * 4,
                "{large:?} for 1 MB at once, {small:?} in ten pieces"
            );
        },
    );
}

/// Fault class: what a session held stays behind its end, however it came.
#[test]
fn sessions_that_have_ended_give_their_memory_back() {
    alone(
        module_path!(),
        "sessions_that_have_ended_give_their_memory_back",
        async {
            let broker = broker().await;
            let mut watcher = Client::connect(&broker, "watcher").await;
            watcher.subscribe("ended/#", Qos::AtLeastOnce).await;
            let mut publisher = Client::connect(&broker, "publisher").await;
            let mut after = Vec::new();
            for _ in 0..6 {
                round(&broker, &mut publisher, &mut watcher).await;
                after.push(resident());
            }
            // What the first rounds have left is what an allocator keeps for the next ones.
            let grown = after[5].saturating_sub(after[1]);
            println!(
                "after each round of {SESSIONS} sessions: {:?} KiB",
                after.iter().map(|bytes| bytes / 1024).collect::<Vec<_>>()
            );
            assert!(grown < 8 * MIB, "{after:?}");
        },
    );
}

const SESSIONS: usize = 200;

/// Sessions with fifty subscriptions and 64 KiB of messages each, half of which expire and half of which are begun anew.
async fn round(broker: &ohmqtt_broker::Broker, publisher: &mut Client, watcher: &mut Client) {
    for n in 0..SESSIONS {
        let id = format!("c{n}");
        let expires = n % 2 == 0;
        let mut connect = resuming(&id, if expires { 1 } else { 1000 });
        let mut last = will(&format!("ended/{n}"), "x");
        last.properties.set_will_delay_interval(1000);
        connect.will = expires.then_some(last);
        let (mut client, _) = Client::connect_with(broker, connect).await;
        for filter in 0..50 {
            client
                .subscribe(&format!("{id}/{filter}/+/#"), Qos::AtLeastOnce)
                .await;
        }
        // A session that is kept for a second is connected until it has all, however long that takes.
        let there = expires.then_some(client);
        // At this QoS it is queued, whether the broker has seen the end of the connection or not.
        for filter in 0..8 {
            let topic = format!("{id}/{filter}/x");
            let reason = publisher
                .publish(&topic, &"x".repeat(8192), Qos::AtLeastOnce)
                .await;
            assert_eq!(reason, ReasonCode::Success);
        }
        drop(there);
    }
    for n in (1..SESSIONS).step_by(2) {
        let client = Client::connect(broker, &format!("c{n}")).await;
        client.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    }
    // The will comes with the end of the session at the latest.
    for _ in (0..SESSIONS).step_by(2) {
        watcher.receive_message().await;
    }
    watcher.expect_nothing().await;
    let held = broker.metrics();
    assert_eq!((held.sessions, held.subscriptions), (2, 1));
    assert_eq!((held.queued, held.queued_bytes), (0, 0));
    for n in [0, 1, SESSIONS - 1] {
        let reason = publisher
            .publish(&format!("c{n}/0/x"), "x", Qos::AtLeastOnce)
            .await;
        assert_eq!(reason, ReasonCode::NoMatchingSubscribers);
    }
}
