//! The example `decode`: one line in, one line out.

#[expect(dead_code, reason = "its main is not called")]
#[path = "../../examples/decode.rs"]
mod decode;

use proptest::prelude::*;

use crate::generate::any_packet;
use crate::wire::encode;

fn hex_of(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[test]
fn each_line_has_its_answer() {
    for (line, want) in [
        (
            "40020007",
            "ok PubAck(Ack { packet_id: PacketId(7), reason: Success, properties: AckProperties })",
        ),
        ("c000", "ok PingReq"),
        ("C000", "ok PingReq"),
        (" C000\r", "ok PingReq"),
        ("", "incomplete"),
        ("\r", "incomplete"),
        ("40", "incomplete"),
        ("400200", "incomplete"),
        ("40020000", "error 0x82 PUBACK: packet identifier: is 0"),
        ("00", "error 0x81 packet type: type 0 is reserved"),
        (
            "c000d0",
            "error 0x81 1 bytes follow the packet: one packet a line",
        ),
        (
            "c0000",
            "error 0x81 the line is not hex: write two digits for each byte",
        ),
        (
            "c0 00",
            "error 0x81 the line is not hex: write two digits for each byte",
        ),
        (
            "zz",
            "error 0x81 the line is not hex: write two digits for each byte",
        ),
        (
            "é",
            "error 0x81 the line is not hex: write two digits for each byte",
        ),
        (
            "30050002612b00",
            "error 0x90 PUBLISH: topic name: contains the wildcard '+'",
        ),
        (
            "300800026162000a0b0c",
            "ok Publish(Publish { topic: Name(\"ab\"), delivery: AtMostOnce, retain: false, \
             properties: PublishProperties, payload: <3 bytes> })",
        ),
    ] {
        assert_eq!(decode::answer(line.as_bytes()), want, "{line}");
    }
}

proptest! {
    #[test]
    fn every_packet_is_ok_and_each_of_its_prefixes_incomplete(packet in any_packet()) {
        let bytes = encode(&packet);
        prop_assert_eq!(decode::answer(hex_of(&bytes).as_bytes()), format!("ok {packet:?}"));
        for end in 0..bytes.len().min(40) {
            prop_assert_eq!(decode::answer(hex_of(&bytes[..end]).as_bytes()), "incomplete");
        }
    }

    #[test]
    fn any_line_has_an_answer_of_one_line(line in proptest::collection::vec(any::<u8>(), 0..80)) {
        let answer = decode::answer(&line);
        prop_assert!(!answer.contains('\n'));
        prop_assert!(["ok ", "incomplete", "error 0x"].iter().any(|start| answer.starts_with(start)));
    }
}
