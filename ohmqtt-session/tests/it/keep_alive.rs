//! Keep Alive (section 3.1.2.10): who asks, who answers, and how long silence lasts.

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

fn client(keep_alive: u16) -> Script<ClientSession> {
    Script::client_with(
        |config| config.connect.keep_alive = keep_alive,
        connack(false),
    )
}

fn server(keep_alive: u16) -> Script<ServerSession> {
    let mut connect = connect();
    connect.keep_alive = keep_alive;
    Script::server_with(ServerConfig::default(), connect, Accept::default())
}

/// [MQTT-3.1.2-20] PINGREQ comes one Keep Alive after the last packet, and not before.
#[test]
fn a_silent_client_sends_pingreq_after_its_keep_alive() {
    let mut script = client(10);
    assert_eq!(script.timeout(), Some(secs(10)));
    script.after(secs(9));
    assert_eq!(script.sent(), [""; 0]);
    script.after(secs(1));
    assert_eq!(script.sent(), ["PINGREQ"]);
    assert_eq!(script.timeout(), Some(secs(10)));
    script.after(secs(0));
    assert_eq!(script.sent(), [""; 0], "one is under way");
    script.receive(Packet::PingResp);
    script.after(secs(10));
    assert_eq!(script.sent(), ["PINGREQ"]);
}

#[test]
fn a_client_that_sends_and_hears_sends_no_pingreq() {
    let mut script = client(10);
    for n in 1..20 {
        script.submit(message(QOS1, "a"), 0);
        assert_eq!(script.sent().len(), 1);
        script.receive(puback(n));
        script.after(secs(9));
        assert_eq!(script.sent(), [""; 0]);
    }
}

#[test]
fn a_client_that_sends_and_hears_nothing_asks() {
    let mut script = client(10);
    script.after(secs(6));
    script.submit(message(QOS0, "a"), 0);
    assert_eq!(script.sent(), ["PUBLISH 0 a"]);
    assert_eq!(script.timeout(), Some(secs(4)));
    script.after(secs(4));
    assert_eq!(script.sent(), ["PINGREQ"]);
}

/// [MQTT-3.1.2-20] A server that sends without end and answers late is no reason to fall silent.
#[test]
fn pingreq_goes_on_while_an_answer_is_late_and_the_server_is_heard() {
    let mut script = client(10);
    script.after(secs(10));
    assert_eq!(script.sent(), ["PINGREQ"]);
    for second in 1..=30 {
        script.receive(publish(QOS0, 0, "busy"));
        script.after(secs(1));
        let want: &[&str] = if second % 10 == 0 { &["PINGREQ"] } else { &[] };
        assert_eq!(script.sent(), want);
    }
    assert!(!script.session.poll_close());
    script.receive(Packet::PingResp);
    script.after(secs(9));
    assert_eq!(script.sent(), [""; 0]);
}

#[test]
fn a_server_that_does_not_answer_pingreq_is_left() {
    let mut script = Script::client_with(
        |config| {
            config.connect.keep_alive = 60;
            config.ping_timeout = secs(5);
        },
        connack(false),
    );
    script.after(secs(60));
    assert_eq!(script.sent(), ["PINGREQ"]);
    assert_eq!(script.timeout(), Some(secs(5)));
    script.after(secs(4));
    assert!(!script.session.poll_close());
    script.after(secs(1));
    // 0x8D is for servers to say.
    assert_eq!(script.violated(), ["DISCONNECT 0x80"]);
    script.cut();
    assert_eq!(
        script.events(),
        ["disconnected: nothing was heard from the other side within the keep alive time"]
    );
}

#[test]
fn a_clock_that_jumps_asks_once_and_waits_for_the_answer() {
    let mut script = client(10);
    script.after(secs(1_000_000));
    assert_eq!(script.sent(), ["PINGREQ"]);
    assert_eq!(script.timeout(), Some(secs(10)));
    script.receive(Packet::PingResp);
    assert!(!script.session.poll_close());
}

#[test]
fn a_stream_that_takes_nothing_does_not_make_deadlines_come_at_once() {
    let mut script = client(10);
    for _ in 0..5 {
        // The packet is not polled.
        script.receive(publish(QOS0, 0, "busy"));
        script.after(secs(9));
        assert!(script.timeout() > Some(secs(0)));
    }
    assert_eq!(script.sent(), ["PINGREQ"], "one, however late");
}

/// [MQTT-3.1.2-21] [MQTT-3.2.2-21] The server's Keep Alive takes the place of the client's.
#[test]
fn the_servers_keep_alive_takes_the_place_of_the_clients() {
    let mut connack = connack(false);
    connack.properties.set_server_keep_alive(3);
    let script = Script::client_with(|config| config.connect.keep_alive = 60, connack.clone());
    assert_eq!(script.timeout(), Some(secs(3)));
    let script = Script::client_with(|config| config.connect.keep_alive = 0, connack.clone());
    assert_eq!(script.timeout(), Some(secs(3)));
    connack.properties.set_server_keep_alive(0);
    let script = Script::client_with(|config| config.connect.keep_alive = 60, connack);
    assert_eq!(script.timeout(), None);
}

#[test]
fn without_a_keep_alive_there_is_no_deadline_at_either_side() {
    let mut script = client(0);
    assert_eq!(script.timeout(), None);
    script.after(secs(1_000_000));
    assert_eq!(script.sent(), [""; 0]);
    let mut script = server(0);
    assert_eq!(script.timeout(), None);
    script.after(secs(1_000_000));
    assert!(script.session.is_connected());
}

/// [MQTT-3.12.4-1] PINGREQ is answered.
#[test]
fn pingreq_is_answered() {
    let mut script = server(10);
    assert_eq!(
        script.exchange([Packet::PingReq, Packet::PingReq]),
        ["PINGRESP", "PINGRESP"]
    );
}

/// [MQTT-3.1.2-22] Silence for half as much again as the Keep Alive ends the connection, with its will.
#[test]
fn a_client_that_is_silent_for_one_and_a_half_keep_alives_is_disconnected() {
    let mut script = server(10);
    assert_eq!(script.timeout(), Some(secs(15)));
    script.after(secs(14));
    script.receive(Packet::PingReq);
    assert_eq!(script.timeout(), Some(secs(15)));
    script.submit(message(QOS0, "what is sent does not count"), 0);
    script.sent();
    script.after(secs(14));
    assert!(script.session.is_connected());
    script.after(secs(1));
    assert_eq!(script.violated(), ["DISCONNECT 0x8D"]);
    script.cut();
    assert_eq!(
        script.events().last().unwrap(),
        "disconnected: nothing was heard from the other side within the keep alive time"
    );
}

/// [MQTT-3.2.2-22] Without a Server Keep Alive the client's counts; with one, that.
#[test]
fn the_server_measures_by_the_keep_alive_it_told() {
    assert_eq!(server(4).timeout(), Some(secs(6)));
    let mut config = ServerConfig::default();
    config.server_keep_alive = Some(20);
    let script = Script::server_with(config, connect(), Accept::default());
    assert_eq!(script.timeout(), Some(secs(30)));
}
