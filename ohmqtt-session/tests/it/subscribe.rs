//! SUBSCRIBE and UNSUBSCRIBE at both roles (sections 3.8 to 3.11).

use core::num::NonZeroU32;

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

fn subscribe(
    script: &mut Script<ClientSession>,
    names: &[&str],
    ticket: u64,
) -> Result<PacketId, SubscribeError> {
    let properties = SubscribeProperties::default();
    script
        .session
        .subscribe(filters(names), properties, Ticket(ticket))
}

fn unsubscribe(script: &mut Script<ClientSession>, names: &[&str], ticket: u64) {
    let properties = UnsubscribeProperties::default();
    script
        .session
        .unsubscribe(unsubscribe_filters(names), properties, Ticket(ticket))
        .unwrap();
}

#[test]
fn the_servers_codes_come_with_the_ticket_of_the_request() {
    let mut script = Script::connected();
    subscribe(&mut script, &["a", "b", "c"], 7).unwrap();
    unsubscribe(&mut script, &["d"], 8);
    assert_eq!(script.sent(), ["SUBSCRIBE #1", "UNSUBSCRIBE #2"]);
    script.receive(unsuback(2, &[ReasonCode::NoSubscriptionExisted]));
    script.receive(suback(
        1,
        &[
            ReasonCode::GrantedQos2,
            ReasonCode::GRANTED_QOS_0,
            ReasonCode::NotAuthorized,
        ],
    ));
    assert_eq!(
        script.events(),
        ["unsubscribed 8 11", "subscribed 7 02 00 87"]
    );
    assert!(script.session.is_connected());
}

#[test]
fn an_answer_with_another_number_of_codes_ends_the_connection_and_the_request_is_lost() {
    for codes in [1, 3] {
        let mut script = Script::connected();
        subscribe(&mut script, &["a", "b"], 7).unwrap();
        unsubscribe(&mut script, &["a", "b"], 8);
        script.sent();
        script.receive(suback(1, &vec![ReasonCode::Success; codes]));
        assert_eq!(script.violated(), ["DISCONNECT 0x82"]);
        script.cut();
        assert_eq!(
            script.events(),
            [
                "request lost 7".to_owned(),
                "request lost 8".to_owned(),
                format!(
                    "disconnected: the other side broke the protocol: SUBACK with {codes} reason codes for 2 filters"
                )
            ]
        );
    }
}

#[test]
fn an_answer_to_no_request_ends_the_connection() {
    let answers = [
        suback(9, &[ReasonCode::Success]),
        unsuback(9, &[ReasonCode::Success]),
        unsuback(1, &[ReasonCode::Success]),
        suback(2, &[ReasonCode::Success]),
        puback(1),
        pubrec(1),
        pubcomp(1),
    ];
    for answer in answers {
        let mut script = Script::connected();
        subscribe(&mut script, &["a"], 7).unwrap();
        script.submit(message(QOS1, "a"), 0);
        script.sent();
        script.receive(answer);
        assert_eq!(script.violated(), ["DISCONNECT 0x82"]);
    }
}

#[test]
fn a_request_is_answered_once() {
    let mut script = Script::connected();
    subscribe(&mut script, &["a"], 7).unwrap();
    script.sent();
    script.receive(suback(1, &[ReasonCode::Success]));
    script.receive(suback(1, &[ReasonCode::Success]));
    assert_eq!(script.violated(), ["DISCONNECT 0x82"]);
}

#[test]
fn requests_are_lost_with_their_connection_and_their_identifiers_are_free() {
    let mut script = Script::connected();
    subscribe(&mut script, &["a"], 7).unwrap();
    unsubscribe(&mut script, &["a"], 8);
    script.sent();
    script.cut();
    assert_eq!(
        script.events(),
        [
            "request lost 7",
            "request lost 8",
            "disconnected: the connection ended without a DISCONNECT"
        ]
    );
    assert_eq!(
        subscribe(&mut script, &["a"], 9),
        Err(SubscribeError::NotConnected)
    );
    assert_eq!(script.reconnect(connack(true)), [""; 0]);
    script.receive(suback(1, &[ReasonCode::Success]));
    assert_eq!(script.violated(), ["DISCONNECT 0x82"]);
}

#[test]
fn what_the_server_does_not_offer_is_refused_before_anything_is_sent() {
    let offering = |change: fn(&mut ConnAckProperties)| {
        let mut connack = connack(false);
        change(&mut connack.properties);
        Script::client_with(|_| {}, connack)
    };
    let check = |mut script: Script<ClientSession>, name: &str, want: &str| {
        let mut properties = SubscribeProperties::default();
        properties.set_subscription_identifier(SubscriptionId::new(1).unwrap());
        let result = script
            .session
            .subscribe(filters(&["plain", name]), properties, Ticket(1));
        assert_eq!(result.unwrap_err().to_string(), want);
        assert_eq!(script.sent(), [""; 0]);
        assert!(subscribe(&mut script, &["plain"], 2).is_ok());
    };
    check(
        offering(|it| it.set_wildcard_subscription_available(false)),
        "a/#",
        "the server does not support wildcard subscriptions, which 'a/#' needs",
    );
    check(
        offering(|it| it.set_shared_subscription_available(false)),
        "$share/g/a",
        "the server does not support shared subscriptions, which '$share/g/a' needs",
    );
    check(
        offering(|it| it.set_subscription_identifier_available(false)),
        "a",
        "the server does not support subscription identifiers, which 'plain' needs",
    );
}

/// [MQTT-3.2.2-15] Nor is a request sent that is larger than the server accepts; its identifier is free.
#[test]
fn a_request_larger_than_the_server_accepts_is_refused() {
    let mut connack = connack(false);
    connack
        .properties
        .set_maximum_packet_size(NonZeroU32::new(20).unwrap());
    let mut script = Script::client_with(|_| {}, connack);
    assert_eq!(
        subscribe(&mut script, &["a-longer-filter"], 1),
        Err(SubscribeError::TooLarge {
            size: 23,
            limit: 20
        })
    );
    assert_eq!(script.sent(), [""; 0]);
    assert_eq!(subscribe(&mut script, &["short"], 1), Ok(id(2)));
}

/// [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-2.2.1-6] The answers have the identifiers of the requests.
#[test]
fn a_server_answers_requests_by_their_identifiers() {
    let mut script = Script::accepted();
    script.receive(crate::peer::subscribe(5, &["a"]));
    script.receive(crate::peer::unsubscribe(6, &["b"]));
    assert_eq!(script.events(), ["subscribe #5", "unsubscribe #6"]);
    let codes = || ReasonCodes::new(ReasonCode::Success);
    script.session.unsuback(id(6), codes());
    script.session.suback(id(5), codes());
    assert_eq!(script.sent(), ["UNSUBACK #6", "SUBACK #5"]);
    script.cut();
    script.session.suback(id(7), codes());
    assert_eq!(script.sent(), [""; 0]);
}
