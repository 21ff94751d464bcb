//! DISCONNECT (section 3.14): the orderly end, from either side.

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

fn normal() -> Disconnect {
    Disconnect::new(ReasonCode::NORMAL_DISCONNECTION)
}

/// [MQTT-3.14.4-1] [MQTT-3.14.4-2] What waits for nothing leaves first; behind DISCONNECT the stream is closed.
#[test]
fn acknowledgements_leave_before_disconnect_and_nothing_behind_it() {
    let mut script = Script::connected();
    script.receive(publish(QOS1, 1, "a"));
    script.receive(publish(QOS1, 2, "b"));
    script.events();
    script.answer(0);
    script.submit(message(QOS1, "stays"), 1);
    script.session.disconnect(normal());
    assert!(!script.session.is_connected());
    assert!(!script.session.poll_close());
    assert_eq!(script.sent(), ["PUBACK #1", "DISCONNECT"]);
    assert!(script.session.poll_close());
    script.answer(1);
    script.submit(message(QOS0, "c"), 2);
    script.receive(publish(QOS1, 3, "d"));
    script.after(secs(1000));
    assert_eq!(script.violated(), [""; 0]);
    script.cut();
    assert_eq!(
        script.events(),
        ["lost 2 Offline", "disconnected: disconnected on request"]
    );
    assert_eq!(script.session.queued().0, 1);
    assert_eq!(script.reconnect(connack(true)), ["PUBLISH 1 #1 stays"]);
}

/// [MQTT-3.14.4-1] What waits for the store when DISCONNECT leaves does not follow it.
#[test]
fn nothing_that_waited_for_the_store_leaves_behind_disconnect() {
    let mut script = ClientSession::durable();
    script.submit(message(QOS2, "a"), 0);
    script.sent();
    script.store.held = true;
    script.receive(pubrec(1));
    script.receive(publish(QOS2, 9, "b"));
    script.events();
    script.answer(0);
    script.session.disconnect(normal());
    assert_eq!(script.sent(), ["DISCONNECT"]);
    script.store.held = false;
    assert_eq!(script.violated(), [""; 0]);
}

#[test]
fn a_disconnect_before_connect_has_left_ends_the_stream_without_a_word() {
    let mut script = Script::client(|config| config.durable = true);
    script.session.handle_connected(START);
    script.session.disconnect(normal());
    assert_eq!(script.violated(), [""; 0]);
    script.cut();
    assert_eq!(script.events(), ["disconnected: disconnected on request"]);
}

#[test]
fn a_disconnect_may_follow_connect_at_once() {
    let mut script = Script::client(|_| {});
    script.dial();
    script.session.disconnect(normal());
    assert_eq!(script.violated(), ["DISCONNECT"]);
}

#[test]
fn a_client_offline_has_nothing_to_disconnect() {
    let mut script = Script::client(|_| {});
    script.session.disconnect(normal());
    assert!(!script.session.poll_close());
    assert_eq!(script.events(), [""; 0]);
    assert_eq!(script.reconnect(connack(false)), [""; 0]);
}

/// [MQTT-3.14.2-1] What only the other side may say is not said.
#[test]
fn a_disconnect_has_only_what_its_sender_may_say() {
    let mut client = Script::connected();
    let mut disconnect = Disconnect::new(ReasonCode::SessionTakenOver);
    disconnect.properties.set_session_expiry_interval(9);
    disconnect
        .properties
        .set_server_reference(&text("elsewhere"));
    client.session.disconnect(disconnect);
    assert_eq!(
        client.packets(),
        [Packet::Disconnect(Disconnect::new(
            ReasonCode::UnspecifiedError
        ))]
    );
    let mut server = Script::accepted();
    let mut disconnect = Disconnect::new(ReasonCode::DisconnectWithWillMessage);
    disconnect.properties.set_session_expiry_interval(9);
    server.session.disconnect(disconnect);
    assert_eq!(
        server.packets(),
        [Packet::Disconnect(Disconnect::new(
            ReasonCode::UnspecifiedError
        ))]
    );
}

#[test]
fn a_client_changes_its_session_expiry_interval_where_connect_had_one() {
    let change = |config: &mut ClientConfig| {
        config.connect.properties.set_session_expiry_interval(100);
    };
    let mut script = Script::client_with(change, connack(false));
    let mut disconnect = normal();
    disconnect.properties.set_session_expiry_interval(9);
    script.session.disconnect(disconnect.clone());
    assert_eq!(script.packets(), [Packet::Disconnect(disconnect)]);
}

/// [MQTT-3.14.4-2] A server that disconnects drops what it had queued.
#[test]
fn a_server_says_why_it_ends_a_connection() {
    let mut script = Script::accepted();
    script.receive(Packet::PingReq);
    script
        .session
        .disconnect(Disconnect::new(ReasonCode::ServerShuttingDown));
    assert_eq!(script.violated(), ["DISCONNECT 0x8B"]);
    script.cut();
    assert_eq!(
        script.events(),
        ["disconnected: ended by this side: Server shutting down (0x8B)"]
    );
}

/// [MQTT-3.14.0-1] No DISCONNECT before a successful CONNACK: before CONNECT there is none, behind accept CONNACK leaves first.
#[test]
fn a_server_says_disconnect_only_behind_connack() {
    let mut script = Script::server(ServerConfig::default());
    script
        .session
        .disconnect(Disconnect::new(ReasonCode::ServerBusy));
    assert_eq!(script.violated(), [""; 0]);
    let mut script = Script::server(ServerConfig::default());
    script.receive(Packet::Connect(connect().into()));
    script.session.accept(START, Accept::default());
    script.receive(Packet::PingResp);
    assert_eq!(script.violated(), ["CONNACK", "DISCONNECT 0x82"]);
}

#[test]
fn a_disconnect_of_the_other_side_ends_the_connection_and_is_told() {
    let mut client = Script::connected();
    client.receive(disconnect(ReasonCode::ServerShuttingDown));
    assert_eq!(client.violated(), [""; 0]);
    client.cut();
    assert_eq!(
        client.events(),
        ["disconnected: disconnected by the other side: Server shutting down (0x8B)"]
    );
    let mut server = Script::accepted();
    server.receive(disconnect(ReasonCode::NORMAL_DISCONNECTION));
    assert_eq!(server.violated(), [""; 0]);
    server.cut();
    assert_eq!(
        server.events(),
        ["disconnected: disconnected by the other side: Success (0x00)"]
    );
}

#[test]
fn the_end_of_the_stream_is_told_once_for_each_connection() {
    fn check<S: Side>() {
        let mut script = S::open(1);
        for _ in 0..2 {
            script.cut();
            script.cut();
            let want = "disconnected: the connection ended without a DISCONNECT";
            assert_eq!(script.events(), [want]);
            S::resume(&mut script, 1);
            script.events();
        }
    }
    both_roles!(check);
}
