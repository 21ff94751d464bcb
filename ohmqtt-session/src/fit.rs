//! What is optional in a packet gives way before the packet is larger than the other side accepts.

use ohmqtt_codec::Packet;

/// How the other side wants its packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wishes {
    /// Its Maximum Packet Size, in bytes.
    pub(crate) size: usize,
    /// Whether Reason String and User Properties may stand on every packet that has them (section 3.1.2.11.7).
    pub(crate) problem_information: bool,
}

/// Leaves out User Properties and then the Reason String where the other side does not want them, or the packet would be too large
/// with them; false when it is too large all the same.
pub(crate) fn fit(packet: &mut Packet, wishes: Wishes) -> bool {
    // [MQTT-3.1.2-29] Without Request Problem Information they stand on PUBLISH, CONNACK and DISCONNECT only.
    let is_listed = matches!(
        packet,
        Packet::Publish(_) | Packet::ConnAck(_) | Packet::Disconnect(_)
    );
    if !wishes.problem_information && !is_listed {
        remove_user_properties(packet);
        remove_reason_string(packet);
    }
    packet.encoded_len() <= wishes.size || give_way(packet, wishes.size)
}

fn give_way(packet: &mut Packet, size: usize) -> bool {
    // [MQTT-3.2.2-20] [MQTT-3.4.2-3] [MQTT-3.5.2-3] [MQTT-3.6.2-3] [MQTT-3.7.2-3] [MQTT-3.9.2-2] [MQTT-3.11.2-2] [MQTT-3.14.2-4]
    // [MQTT-3.15.2-3] User Properties are left out where they make the packet too large.
    remove_user_properties(packet);
    // [MQTT-3.2.2-19] [MQTT-3.4.2-2] [MQTT-3.5.2-2] [MQTT-3.6.2-2] [MQTT-3.7.2-2] [MQTT-3.9.2-1] [MQTT-3.11.2-1] [MQTT-3.14.2-3]
    // [MQTT-3.15.2-2] And so is the Reason String.
    if packet.encoded_len() > size {
        remove_reason_string(packet);
    }
    packet.encoded_len() <= size
}

fn remove_user_properties(packet: &mut Packet) {
    match packet {
        Packet::ConnAck(connack) => connack.properties.remove_user_properties(),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            ack.properties.remove_user_properties()
        }
        Packet::SubAck(suback) | Packet::UnsubAck(suback) => {
            suback.properties.remove_user_properties()
        }
        Packet::Disconnect(disconnect) => disconnect.properties.remove_user_properties(),
        Packet::Auth(auth) => auth.properties.remove_user_properties(),
        _ => false,
    };
}

fn remove_reason_string(packet: &mut Packet) {
    match packet {
        Packet::ConnAck(connack) => connack.properties.remove_reason_string(),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            ack.properties.remove_reason_string()
        }
        Packet::SubAck(suback) | Packet::UnsubAck(suback) => {
            suback.properties.remove_reason_string()
        }
        Packet::Disconnect(disconnect) => disconnect.properties.remove_reason_string(),
        Packet::Auth(auth) => auth.properties.remove_reason_string(),
        _ => false,
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;
    use alloc::vec::Vec;
    use ohmqtt_codec::{
        Ack, AckProperties, Auth, AuthProperties, ConnAck, ConnAckProperties, Disconnect,
        DisconnectProperties, MqttString, PacketId, ReasonCode, ReasonCodes, SubAck,
        SubAckProperties,
    };

    macro_rules! told {
        ($properties:ty) => {{
            let mut properties = <$properties>::default();
            properties.set_reason_string(&text("because"));
            properties.add_user_property(&text("name"), &text("value"));
            properties
        }};
    }

    fn text(text: &str) -> MqttString {
        MqttString::try_from(text).unwrap()
    }

    fn ack() -> Ack {
        let mut ack = Ack::with_reason(PacketId::new(1).unwrap(), ReasonCode::UnspecifiedError);
        ack.properties = told!(AckProperties);
        ack
    }

    fn suback() -> SubAck {
        let codes = ReasonCodes::new(ReasonCode::UnspecifiedError);
        let properties = told!(SubAckProperties);
        SubAck {
            packet_id: PacketId::new(1).unwrap(),
            properties,
            codes,
        }
    }

    /// Whether user properties and reason string are left, with the largest size that has no room for both, for one, and with all room.
    fn check(packet: &Packet) {
        let mut bare = packet.clone();
        remove_user_properties(&mut bare);
        let with_reason = bare.encoded_len();
        assert!(
            remove_reason_string_and_compare(&bare),
            "{packet:?} has a reason string"
        );
        let results: Vec<_> = [
            packet.encoded_len(),
            packet.encoded_len() - 1,
            with_reason - 1,
        ]
        .into_iter()
        .map(|size| {
            let mut packet = packet.clone();
            assert!(fit(
                &mut packet,
                Wishes {
                    size,
                    problem_information: true
                }
            ));
            assert!(packet.encoded_len() <= size);
            packet
        })
        .collect();
        assert_eq!(results[0], *packet);
        assert_eq!(results[1], bare);
        remove_reason_string(&mut bare);
        assert_eq!(results[2], bare);
        assert!(!fit(
            &mut bare.clone(),
            Wishes {
                size: 1,
                problem_information: true
            }
        ));
    }

    fn remove_reason_string_and_compare(packet: &Packet) -> bool {
        let mut without = packet.clone();
        remove_reason_string(&mut without);
        without.encoded_len() < packet.encoded_len()
    }

    /// [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3] PUBACK and PUBREC.
    #[test]
    fn puback_and_pubrec_give_way_to_the_size() {
        check(&Packet::PubAck(ack()));
        check(&Packet::PubRec(ack()));
    }

    /// [MQTT-3.6.2-2] [MQTT-3.6.2-3] [MQTT-3.7.2-2] [MQTT-3.7.2-3] PUBREL and PUBCOMP.
    #[test]
    fn pubrel_and_pubcomp_give_way_to_the_size() {
        check(&Packet::PubRel(ack()));
        check(&Packet::PubComp(ack()));
    }

    /// [MQTT-3.9.2-1] [MQTT-3.9.2-2] [MQTT-3.11.2-1] [MQTT-3.11.2-2] SUBACK and UNSUBACK.
    #[test]
    fn suback_and_unsuback_give_way_to_the_size() {
        check(&Packet::SubAck(suback()));
        check(&Packet::UnsubAck(suback()));
    }

    /// [MQTT-3.2.2-19] [MQTT-3.2.2-20] CONNACK.
    #[test]
    fn connack_gives_way_to_the_size() {
        let properties = told!(ConnAckProperties);
        let reason = ReasonCode::NotAuthorized;
        check(&Packet::ConnAck(Box::new(ConnAck {
            session_present: false,
            reason,
            properties,
        })));
    }

    /// [MQTT-3.14.2-3] [MQTT-3.14.2-4] [MQTT-3.15.2-2] [MQTT-3.15.2-3] DISCONNECT and AUTH.
    #[test]
    fn disconnect_and_auth_give_way_to_the_size() {
        let mut disconnect = Disconnect::new(ReasonCode::ServerBusy);
        disconnect.properties = told!(DisconnectProperties);
        check(&Packet::Disconnect(disconnect));
        let mut properties = told!(AuthProperties);
        properties.set_authentication(&text("method"), None);
        check(&Packet::Auth(Auth {
            reason: ReasonCode::ContinueAuthentication,
            properties,
        }));
    }

    /// [MQTT-3.1.2-29] Only PUBLISH, CONNACK and DISCONNECT keep them then.
    #[test]
    fn without_problem_information_acknowledgements_tell_only_codes() {
        let wishes = Wishes {
            size: 1000,
            problem_information: false,
        };
        for packet in [Packet::PubAck(ack()), Packet::SubAck(suback())] {
            let mut quiet = packet.clone();
            assert!(fit(&mut quiet, wishes));
            let mut bare = packet;
            remove_user_properties(&mut bare);
            remove_reason_string(&mut bare);
            assert_eq!(quiet, bare);
        }
        let mut disconnect = Disconnect::new(ReasonCode::ServerBusy);
        disconnect.properties = told!(DisconnectProperties);
        let mut packet = Packet::Disconnect(disconnect);
        let loud = packet.clone();
        assert!(fit(&mut packet, wishes));
        assert_eq!(packet, loud);
    }
}
