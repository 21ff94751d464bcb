//! A session that is told later where it is to connect, and as whom.

use core::time::Duration;
use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

/// A client that knows nothing yet, with two messages that wait for its first connection.
fn unborn(policy: SessionLoss) -> Script<ClientSession> {
    let mut config = ClientConfig::new(MqttString::default());
    config.session_loss = policy;
    let mut script = Script::new(ClientSession::new(config));
    script.submit(message(QOS1, "a"), 1);
    script.submit(message(QOS2, "b"), 2);
    script
}

fn named(client_id: &str, clean_start: bool) -> Connect {
    Connect {
        client_id: text(client_id),
        clean_start,
        ..connect()
    }
}

/// The next connection is begun as this says, and the server has no session. What was sent, and what was heard.
fn meet(
    script: &mut Script<ClientSession>,
    connect: Connect,
    present: bool,
) -> (Connect, Vec<String>, Vec<String>) {
    script.session.reconfigure(connect, Duration::from_secs(7));
    let mut events = script.events();
    let said = script.dial();
    script.receive(Packet::ConnAck(connack(present).into()));
    let sent = script.sent();
    events.extend(script.events());
    (said, sent, events)
}

#[test]
fn what_was_accepted_before_there_was_a_session_goes_out_in_the_first() {
    for policy in [SessionLoss::Fail, SessionLoss::Resend, SessionLoss::Clear] {
        for clean_start in [false, true] {
            let mut script = unborn(policy);
            let (said, sent, events) = meet(&mut script, named("c", clean_start), false);
            assert_eq!(
                (said.client_id.as_str(), said.clean_start),
                ("c", clean_start)
            );
            assert_eq!(sent, ["PUBLISH 1 #1 a", "PUBLISH 2 #2 b"]);
            assert_eq!(events, ["connected", "sent 1", "sent 2"], "{policy:?}");
        }
    }
}

#[test]
fn the_same_session_goes_on_at_another_server() {
    let mut script = unborn(SessionLoss::Clear);
    meet(&mut script, named("c", false), false);
    script.cut();
    script.events();
    let again = Connect {
        keep_alive: 7,
        ..named("c", false)
    };
    let (said, sent, _) = meet(&mut script, again, true);
    assert_eq!((said.keep_alive, said.clean_start), (7, false));
    assert_eq!(sent, ["PUBLISH 1 #1 dup a", "PUBLISH 2 #2 dup b"]);
}

/// [MQTT-3.1.2-4]
#[test]
fn a_clean_start_discards_what_this_side_holds_of_the_session() {
    let mut script = unborn(SessionLoss::Clear);
    meet(&mut script, named("c", false), false);
    script.receive(publish(QOS2, 9, "incoming"));
    script.events();
    script.answer(0);
    script.cut();
    script.events();
    let (said, sent, events) = meet(&mut script, named("c", true), false);
    assert!(said.clean_start);
    assert_eq!(sent, [""; 0]);
    assert!(
        events[0].starts_with("session lost: 2 messages"),
        "{events:?}"
    );
    assert_eq!(
        events[1..],
        ["lost 1 SessionLost", "lost 2 SessionLost", "connected"]
    );
    script.receive(publish(QOS2, 9, "new"));
    assert_eq!(script.events(), ["message new"]);
}

#[test]
fn another_client_identifier_means_another_session() {
    let mut script = unborn(SessionLoss::Fail);
    meet(&mut script, named("c", false), false);
    script.cut();
    script.events();
    script.submit(message(QOS1, "unsent"), 3);
    let (said, sent, events) = meet(&mut script, named("d", false), false);
    assert_eq!((said.client_id.as_str(), said.clean_start), ("d", false));
    assert_eq!(sent, ["PUBLISH 1 #3 unsent"]);
    assert_eq!(events[1..3], ["lost 1 SessionLost", "lost 2 SessionLost"]);
    assert_eq!(script.session.client_id().as_str(), "d");
}

/// [MQTT-3.2.2-4]
#[test]
fn a_server_that_resumes_what_was_given_up_is_in_error() {
    let mut script = unborn(SessionLoss::Fail);
    meet(&mut script, named("c", false), false);
    script.cut();
    script.events();
    let (_, sent, _) = meet(&mut script, named("c", true), true);
    assert_eq!(sent, ["DISCONNECT 0x82"]);
}
