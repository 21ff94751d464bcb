//! What is encoded is decoded to the same packet.

use ohmqtt_codec::{EncodeBuf, Packet, PacketRef, PacketType, Publish, PublishTopic, TopicAlias};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::generate::{any_packet, each_packet, publish};
use crate::wire::{decode_one, encode, hex};

/// [MQTT-3.1.3-1], [MQTT-3.1.3-3], [MQTT-3.1.2-9], [MQTT-3.3.2-1], [MQTT-2.2.2-1]
#[test]
fn every_packet_is_decoded_to_what_was_encoded() {
    for (strategy, packet_type) in each_packet().into_iter().zip(PacketType::ALL) {
        let mut runner = TestRunner::new(Config::with_cases(300));
        let result = runner.run(&strategy, |packet| {
            prop_assert_eq!(packet.packet_type(), *packet_type);
            let bytes = encode(&packet);
            prop_assert_eq!(packet.encoded_len(), bytes.len());
            let mut by_reference = EncodeBuf::new();
            PacketRef::from(&packet).encode(&mut by_reference).unwrap();
            prop_assert_eq!(&by_reference.into_bytes()[..], &bytes[..]);
            prop_assert_eq!(decode_one(&bytes).unwrap(), packet);
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{packet_type}: {error}"));
    }
}

#[test]
fn a_packet_is_at_most_112_bytes() {
    assert!(size_of::<Packet>() <= 112, "{} bytes", size_of::<Packet>());
}

proptest! {
    #[test]
    fn debug_is_one_line_without_the_payload(packet in any_packet()) {
        let shown = format!("{packet:?}");
        prop_assert!(!shown.contains('\n'));
        prop_assert!(shown.len() < 30_000);
    }

    #[test]
    fn a_detached_publish_is_equal_and_holds_no_other_memory(publish in publish()) {
        let chunk = bytes::Bytes::from(encode(&Packet::Publish(publish.clone())));
        let mut buf = bytes::BytesMut::from(&chunk[..]);
        let range = buf.as_ptr_range();
        let decoded = ohmqtt_codec::decode(&mut buf, &ohmqtt_codec::Limits::default()).unwrap().unwrap();
        let Packet::Publish(decoded) = decoded else { panic!("{decoded:?}") };
        let own = decoded.clone().detached();
        prop_assert_eq!(&own, &decoded);
        for part in [&own.payload[..], own.properties.as_bytes()] {
            prop_assert!(part.is_empty() || !range.contains(&part.as_ptr()));
        }
        if let PublishTopic::Name(name) = &own.topic {
            prop_assert!(!range.contains(&name.as_bytes().as_ptr()));
        }
    }

    #[test]
    fn the_alias_in_place_of_a_topic_is_the_one_sent(publish in publish(), alias in 1..=u16::MAX) {
        let alias = TopicAlias::new(alias).unwrap();
        let sent = Publish { topic: PublishTopic::Alias(alias), ..publish.clone() };
        let bytes = encode(&Packet::Publish(sent.clone()));
        prop_assert_eq!(sent.encoded_len(), bytes.len());
        let Packet::Publish(got) = decode_one(&bytes).unwrap() else { panic!("no PUBLISH") };
        prop_assert_eq!(&got.topic, &PublishTopic::Alias(alias));
        prop_assert_eq!(got.properties.topic_alias(), Some(alias));
        prop_assert_eq!(got.properties.content_type(), publish.properties.content_type());
        prop_assert_eq!(
            got.properties.user_properties().collect::<Vec<_>>(),
            publish.properties.user_properties().collect::<Vec<_>>()
        );
        prop_assert_eq!(got.payload, publish.payload);
    }
}

#[test]
fn a_publish_with_name_and_alias_has_both() {
    let bytes = hex("30 09 0001 'a' 03 23 0007 'p' 'q'");
    let Packet::Publish(publish) = decode_one(&bytes).unwrap() else {
        panic!("no PUBLISH")
    };
    assert!(matches!(&publish.topic, PublishTopic::Name(name) if *name == "a"));
    assert_eq!(publish.properties.topic_alias(), TopicAlias::new(7));
    assert_eq!(encode(&Packet::Publish(publish)), bytes);
}
