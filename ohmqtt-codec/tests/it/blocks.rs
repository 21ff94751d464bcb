//! Blocks of properties by themselves: made of wire bytes, and read property by property.

use bytes::Bytes;
use ohmqtt_codec::{
    AckProperties, AuthProperties, ConnAckProperties, ConnectProperties, DisconnectProperties,
    Fault, InvalidProperties, PropertyId, PropertyType, PropertyValue, PublishProperties, Qos,
    ReasonCode, RetainHandling, SubAckProperties, SubscribeProperties, SubscriptionOptions,
    UnsubscribeProperties, WillProperties,
};

use crate::tables::{packets, properties};
use crate::wire::hex;

type Read = Result<Vec<String>, InvalidProperties>;

/// The properties of these bytes in this place, shown.
fn read(place: &str, block: &[u8]) -> Read {
    fn shown<'a>(properties: impl Iterator<Item = (PropertyId, PropertyValue<'a>)>) -> Vec<String> {
        properties
            .map(|(id, value)| format!("{id:?} {value:?}"))
            .collect()
    }
    macro_rules! read {
        ($properties:ident) => {{
            let properties = $properties::try_from(Bytes::copy_from_slice(block))?;
            assert_eq!(properties.as_bytes(), block);
            Ok(shown(properties.iter()))
        }};
    }
    match place {
        "CONNECT" => read!(ConnectProperties),
        "WILL" => read!(WillProperties),
        "CONNACK" => read!(ConnAckProperties),
        "PUBLISH" => read!(PublishProperties),
        "PUBACK" | "PUBREC" | "PUBREL" | "PUBCOMP" => read!(AckProperties),
        "SUBSCRIBE" => read!(SubscribeProperties),
        "SUBACK" | "UNSUBACK" => read!(SubAckProperties),
        "UNSUBSCRIBE" => read!(UnsubscribeProperties),
        "DISCONNECT" => read!(DisconnectProperties),
        "AUTH" => read!(AuthProperties),
        other => panic!("{other} is no place"),
    }
}

/// A value of each type on the wire, and how it reads.
fn example(wire_type: &str) -> (Vec<u8>, PropertyType, &'static str) {
    let (value, of_type, shown) = match wire_type {
        "Byte" => ("01", PropertyType::Byte, "Byte(1)"),
        "Two Byte Integer" => ("0102", PropertyType::TwoByteInteger, "TwoByteInteger(258)"),
        "Four Byte Integer" => (
            "FFFFFFFE",
            PropertyType::FourByteInteger,
            "FourByteInteger(4294967294)",
        ),
        "Variable Byte Integer" => (
            "8001",
            PropertyType::VariableByteInteger,
            "VariableByteInteger(128)",
        ),
        "UTF-8 String" => (
            "0003 'a/b'",
            PropertyType::Utf8String,
            "Utf8String(\"a/b\")",
        ),
        "Binary Data" => (
            "0002 00FF",
            PropertyType::BinaryData,
            "BinaryData([0, 255])",
        ),
        "UTF-8 String Pair" => (
            "0001 'n' 0002 'vv'",
            PropertyType::Utf8StringPair,
            "Utf8StringPair(\"n\", \"vv\")",
        ),
        other => panic!("{other} is no type"),
    };
    (hex(value), of_type, shown)
}

#[test]
fn each_property_reads_as_the_value_its_type_has() {
    for (row, id) in properties().iter().zip(PropertyId::ALL) {
        let (value, of_type, shown) = example(&row["type"]);
        assert_eq!(id.value_type(), of_type, "{}", row["name"]);
        let property = [&[*id as u8], &value[..]].concat();
        for place in packets(row) {
            let method = hex("15 0001 'm'");
            let needs_method = *id == PropertyId::AuthenticationData
                || place == "AUTH" && *id != PropertyId::AuthenticationMethod;
            let (block, before) = if needs_method {
                let before = "AuthenticationMethod Utf8String(\"m\")".to_owned();
                ([&method[..], &property].concat(), vec![before])
            } else {
                (property.clone(), vec![])
            };
            let want = [before, vec![format!("{id:?} {shown}")]].concat();
            assert_eq!(read(place, &block), Ok(want), "{} in {place}", row["name"]);
        }
    }
}

#[test]
fn properties_are_read_in_their_order_and_as_often_as_they_stand_there() {
    let block = hex("26 0001 'b' 0001 '1'  0B 07  01 01  26 0001 'a' 0001 '2'  0B 05");
    let want = [
        "UserProperty Utf8StringPair(\"b\", \"1\")",
        "SubscriptionIdentifier VariableByteInteger(7)",
        "PayloadFormatIndicator Byte(1)",
        "UserProperty Utf8StringPair(\"a\", \"2\")",
        "SubscriptionIdentifier VariableByteInteger(5)",
    ];
    assert_eq!(
        read("PUBLISH", &block),
        Ok(want.map(str::to_owned).to_vec())
    );
    assert_eq!(read("PUBLISH", &[]), Ok(vec![]));
}

#[test]
fn bytes_that_no_packet_could_hold_are_no_block() {
    let check = |place, block, message: &str, reason| {
        let error: InvalidProperties = read(place, &hex(block)).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.fault.reason(), reason);
    };
    let (malformed, protocol) = (ReasonCode::MalformedPacket, ReasonCode::ProtocolError);
    let misplaced = "properties: Topic Alias is not allowed here";
    check("PUBACK", "23 0001", misplaced, malformed);
    let alias = ReasonCode::TopicAliasInvalid;
    check("PUBLISH", "23 0000", "Topic Alias: is 0", alias);
    let unknown = "will properties: identifier 0x7e is of no property";
    check("WILL", "7E", unknown, malformed);
    let short = "Content Type: the packet ends before it does";
    check("PUBLISH", "03 0002 'a'", short, malformed);
    let twice = "Receive Maximum: stands there twice";
    check("CONNECT", "21 0001 21 0001", twice, protocol);
    let missing = "Authentication Method: is missing";
    check("AUTH", "", missing, protocol);
}

#[test]
fn the_byte_of_subscription_options_is_read_as_it_is_written() {
    let options = SubscriptionOptions {
        qos: Qos::ExactlyOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::SendIfNew,
    };
    assert_eq!(u8::from(options), 0x1E);
    assert_eq!(SubscriptionOptions::try_from(0x1E), Ok(options));
    for byte in 0..=u8::MAX {
        match SubscriptionOptions::try_from(byte) {
            Ok(options) => assert_eq!(u8::from(options), byte),
            Err(Fault::Bits(bits)) => assert!(bits == byte && byte >= 0x40),
            Err(_) => assert!(byte & 0x03 == 0x03 || byte & 0x30 == 0x30),
        }
    }
}
