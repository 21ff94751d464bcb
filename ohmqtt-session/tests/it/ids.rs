//! Packet Identifiers (section 2.2.1): one set for PUBLISH, SUBSCRIBE and UNSUBSCRIBE, none used twice at once.

use std::collections::BTreeSet;

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

fn sent_id(packet: &Packet) -> u16 {
    match packet {
        Packet::Publish(publish) => publish.delivery.packet_id().unwrap().get(),
        Packet::Subscribe(subscribe) => subscribe.packet_id.get(),
        Packet::Unsubscribe(unsubscribe) => unsubscribe.packet_id.get(),
        other => panic!("{other:?}"),
    }
}

/// [MQTT-2.2.1-3] PUBLISH, SUBSCRIBE and UNSUBSCRIBE have identifiers of one set.
#[test]
fn publish_subscribe_and_unsubscribe_share_one_set_of_identifiers() {
    let mut script = Script::connected();
    script.submit(message(QOS1, "a"), 0);
    let packets = script.packets();
    assert_eq!(sent_id(&packets[0]), 1);
    let subscribed =
        script
            .session
            .subscribe(filters(&["a"]), SubscribeProperties::default(), Ticket(1));
    assert_eq!(subscribed, Ok(id(2)));
    let unsubscribed = script.session.unsubscribe(
        unsubscribe_filters(&["a"]),
        UnsubscribeProperties::default(),
        Ticket(2),
    );
    assert_eq!(unsubscribed, Ok(id(3)));
    script.submit(message(QOS2, "b"), 0);
    assert_eq!(
        script.sent(),
        ["SUBSCRIBE #2", "UNSUBSCRIBE #3", "PUBLISH 2 #4 b"]
    );
}

/// [MQTT-2.2.1-3] [MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1] No identifier is used while it is in use, also when they wrap.
#[test]
fn no_identifier_is_used_again_while_it_is_in_use_after_the_ring_has_wrapped() {
    fn check<S: Side>() {
        let mut script = S::open(u16::MAX);
        let mut in_use = BTreeSet::new();
        // Of every thousand messages one stays unacknowledged.
        let mut n = 0_u32;
        for _ in 0..150_000 {
            n += 1;
            let qos = if n.is_multiple_of(2) { QOS1 } else { QOS2 };
            script.submit(message(qos, ""), 0);
            let packets = script.packets();
            let used = sent_id(&packets[0]);
            assert!(used != 0 && in_use.insert(used), "{used} is in use");
            if n.is_multiple_of(1000) {
                continue;
            }
            if qos == QOS1 {
                script.receive(puback(used));
            } else {
                script.receive(pubrec(used));
                script.sent();
                script.receive(pubcomp(used));
            }
            in_use.remove(&used);
        }
        assert_eq!(in_use.len(), 150);
        assert_eq!(script.session.in_flight(), 150);
        script.events();
    }
    both_roles!(check);
}

#[test]
fn all_identifiers_can_be_in_use_and_what_needs_none_goes_on() {
    let mut script = Script::client_with(
        |config| config.outbox.limits.messages = 70_000,
        connack(false),
    );
    for _ in 0..100 {
        let subscribed =
            script
                .session
                .subscribe(filters(&["a"]), SubscribeProperties::default(), Ticket(1));
        assert!(subscribed.is_ok());
    }
    for _ in 0..65_500 {
        script.submit(message(QOS1, ""), 0);
    }
    assert_eq!(script.packets().len(), 65_535);
    script.submit(message(QOS0, "needs none"), 0);
    assert_eq!(script.sent(), ["PUBLISH 0 needs none"]);
    let subscribed =
        script
            .session
            .subscribe(filters(&["a"]), SubscribeProperties::default(), Ticket(1));
    assert_eq!(subscribed, Err(SubscribeError::NoPacketId));
    assert_eq!(script.exchange([puback(101)]), ["PUBLISH 1 #101 "]);
}

/// [MQTT-2.2.1-3] A SUBSCRIBE finds an identifier however many messages wait in a durable outbox.
#[test]
fn messages_that_wait_for_their_turn_hold_no_identifiers() {
    let mut script = Script::client_with(
        |config| {
            config.durable = true;
            config.outbox.limits.messages = 70_000;
        },
        connack(false),
    );
    for n in 0..66_000 {
        script.submit(message(QOS1, ""), 0);
        if n % 1000 == 0 {
            script.serve();
        }
    }
    let subscribed =
        script
            .session
            .subscribe(filters(&["a"]), SubscribeProperties::default(), Ticket(1));
    assert!(subscribed.is_ok());
}

#[test]
fn identifiers_are_free_again_on_every_way_a_flow_can_end() {
    fn check<S: Side>() {
        let mut script = S::open(3);
        for n in 1..=30_u16 {
            script.submit(message(if n % 3 == 1 { QOS1 } else { QOS2 }, ""), 0);
            assert_eq!(script.packets().len(), 1, "a slot leaked before {n}");
            match n % 6 {
                1 => script.receive(puback(n)),
                2 => script.receive(because(pubrec(n), ReasonCode::QuotaExceeded)),
                3 => {
                    script.receive(pubrec(n));
                    script.receive(because(pubcomp(n), ReasonCode::PacketIdentifierNotFound));
                }
                4 => script.receive(because(puback(n), ReasonCode::NotAuthorized)),
                _ => {
                    script.receive(pubrec(n));
                    script.receive(pubcomp(n));
                }
            }
            script.sent();
        }
        assert_eq!(script.session.in_flight(), 0);
        assert_eq!(script.session.queued(), (0, 0));
    }
    both_roles!(check);
}
