//! The will (section 3.1.2.5) and the session's expiry, as the broker hears of them; and take-over.

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

fn with_will(expiry: Option<u32>) -> Connect {
    let mut connect = connect();
    connect.will = Some(Will {
        topic: topic("will"),
        payload: Binary::try_from(&b"gone"[..]).unwrap(),
        qos: QOS1,
        retain: true,
        properties: WillProperties::default(),
    });
    if let Some(expiry) = expiry {
        connect.properties.set_session_expiry_interval(expiry);
    }
    connect
}

/// Whether there is a will, and how long the session is kept, once the connection has ended like this.
fn ended(expiry: Option<u32>, end: impl FnOnce(&mut Script<ServerSession>)) -> (bool, u32) {
    let config = ServerConfig::default();
    let mut script = Script::server_with(config, with_will(expiry), Accept::default());
    end(&mut script);
    script.sent();
    script.cut();
    match script.events_in_full().pop() {
        Some(ServerEvent::Disconnected {
            will,
            session_expiry_interval,
            ..
        }) => {
            if let Some(will) = &will {
                assert_eq!(**will, with_will(None).will.unwrap());
            }
            (will.is_some(), session_expiry_interval)
        }
        other => panic!("{other:?}"),
    }
}

fn says(reason: ReasonCode, expiry: Option<u32>) -> impl FnOnce(&mut Script<ServerSession>) {
    move |script| {
        let mut disconnect = Disconnect::new(reason);
        if let Some(expiry) = expiry {
            disconnect.properties.set_session_expiry_interval(expiry);
        }
        script.receive(Packet::Disconnect(disconnect));
    }
}

/// [MQTT-3.1.2-7] [MQTT-3.1.2-8] The will is handed over however the connection ends, but for an orderly end.
#[test]
fn the_will_is_handed_over_when_the_connection_ends_without_an_orderly_disconnect() {
    assert!(ended(None, |_| {}).0, "the stream ended");
    assert!(ended(None, |script| script.after(secs(90))).0, "keep alive");
    assert!(
        ended(None, |script| script.receive(Packet::PingResp)).0,
        "violation"
    );
    assert!(
        ended(None, |script| {
            let busy = Disconnect::new(ReasonCode::ServerBusy);
            script.session.disconnect(busy);
        })
        .0,
        "the server's end"
    );
    let with_will = ReasonCode::DisconnectWithWillMessage;
    assert!(ended(None, says(with_will, None)).0);
    assert!(ended(None, says(ReasonCode::UnspecifiedError, None)).0);
}

/// [MQTT-3.14.4-3] [MQTT-3.1.2-10] DISCONNECT with 0x00 takes the will with it.
#[test]
fn an_orderly_disconnect_revokes_the_will() {
    let normal = ReasonCode::NORMAL_DISCONNECTION;
    assert_eq!(ended(Some(0), says(normal, None)), (false, 0));
}

/// [MQTT-3.1.2-23] The session is kept as long as CONNECT said, or DISCONNECT at last.
#[test]
fn the_session_expiry_interval_may_change_on_disconnect() {
    let normal = ReasonCode::NORMAL_DISCONNECTION;
    assert_eq!(ended(Some(9), |_| {}), (true, 9));
    assert_eq!(ended(Some(9), says(normal, None)), (false, 9));
    assert_eq!(ended(Some(9), says(normal, Some(70))), (false, 70));
    assert_eq!(ended(Some(9), says(normal, Some(0))), (false, 0));
    assert_eq!(ended(Some(0), says(normal, Some(0))), (false, 0));
}

#[test]
fn a_session_that_ends_with_its_connection_cannot_be_prolonged() {
    let mut script = Script::server_with(
        ServerConfig::default(),
        with_will(Some(0)),
        Accept::default(),
    );
    says(ReasonCode::NORMAL_DISCONNECTION, Some(1))(&mut script);
    assert_eq!(script.violated(), ["DISCONNECT 0x82"]);
    script.cut();
    // It was no valid DISCONNECT, and the will stays.
    let events = script.events_in_full();
    assert!(
        matches!(
            &events[..],
            [ServerEvent::Disconnected { will: Some(_), .. }]
        ),
        "{events:?}"
    );
}

/// [MQTT-3.1.4-3] The old connection is told 0x8E; the session goes on over the new one.
#[test]
fn a_session_goes_on_over_the_connection_that_takes_it() {
    let mut script = Script::accepted();
    script.submit(message(QOS1, "sent"), 0);
    script.submit(message(QOS2, "released"), 0);
    script.sent();
    script.exchange([pubrec(2)]);
    script.receive(publish(QOS2, 7, "taken"));
    script.receive(publish(QOS2, 8, "held"));
    script.events();
    script.answer(0);
    script.sent();
    script.submit(message(QOS1, "waiting"), 0);
    let flows = script.session.take_flows(ReasonCode::SessionTakenOver);
    assert_eq!(script.violated(), ["DISCONNECT 0x8E"]);
    script.cut();
    let mut again = connect();
    again.clean_start = false;
    assert_eq!(
        script.come_back(ServerConfig::default(), again, Some(flows)),
        ["PUBREL #2", "PUBLISH 1 #1 dup sent", "PUBLISH 1 #3 waiting"]
    );
    let repeat = [
        super::peer::again(publish(QOS2, 7, "taken")),
        super::peer::again(publish(QOS2, 8, "held")),
    ];
    assert_eq!(script.exchange(repeat), ["PUBREC #7"]);
    assert_eq!(script.events(), [""; 0]);
    // A receipt of the old connection keeps its meaning at the new one.
    script.answer(1);
    assert_eq!(script.sent(), ["PUBREC #8"]);
}

#[test]
fn what_the_store_did_not_answer_before_a_take_over_is_asked_for_again() {
    let mut script = ServerSession::durable();
    script.store.held = true;
    script.submit(message(QOS2, "a"), 1);
    script.serve();
    assert_eq!(script.store.asked(), ["put message 0 #1"]);
    let flows = script.session.take_flows(ReasonCode::SessionTakenOver);
    // The answer comes to the session that asked, and means nothing there.
    let mut old = script.store.clone();
    old.confirm(&mut script.session, 1);
    assert_eq!(script.events(), [""; 0]);
    script.store.pending.clear();
    let mut config = ServerConfig::default();
    config.durable = true;
    let mut again = connect();
    again.clean_start = false;
    assert_eq!(script.come_back(config, again, Some(flows)), [""; 0]);
    assert_eq!(script.store.asked(), ["put message 0 #1"]);
    script.store.held = false;
    assert_eq!(script.sent(), ["PUBLISH 2 #1 a"]);
    assert_eq!(script.events(), ["accepted 1", "sent 1"]);
}

#[test]
fn a_record_that_was_asked_for_twice_and_fails_is_taken_back() {
    let mut script = ServerSession::durable();
    script.store.held = true;
    script.submit(message(QOS2, "a"), 1);
    script.serve();
    let flows = script.session.take_flows(ReasonCode::SessionTakenOver);
    // It is stored, and the answer is nobody's.
    script.store.store(1);
    let mut config = ServerConfig::default();
    config.durable = true;
    let mut again = connect();
    again.clean_start = false;
    script.come_back(config, again, Some(flows));
    assert_eq!(script.store.asked(), ["put message 0 #1"]);
    script.store.fail(&mut script.session, 1);
    assert_eq!(script.events(), ["lost 1 StoreFailed"]);
    script.serve();
    assert_eq!(script.store.asked(), ["delete 0"]);
    script.store.confirm(&mut script.session, 1);
    assert!(script.store.kept.is_empty());
}

#[test]
fn a_store_that_goes_on_failing_after_a_take_over_is_not_asked_for_more_and_more() {
    let mut script = ServerSession::durable();
    script.store.held = true;
    script.submit(message(QOS2, "a"), 1);
    script.serve();
    let flows = script.session.take_flows(ReasonCode::SessionTakenOver);
    script.store.crash();
    let mut config = ServerConfig::default();
    config.durable = true;
    let mut again = connect();
    again.clean_start = false;
    script.come_back(config, again, Some(flows));
    for n in 0..100 {
        script.submit(message(QOS1, "b"), n);
        script.serve();
        script.store.fail(&mut script.session, usize::MAX);
        script.serve();
        assert_eq!(script.store.asked(), ["delete 0"]);
    }
}
