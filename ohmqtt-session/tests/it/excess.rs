//! A server that exceeds the client's Receive Maximum, as some do with a backlog (section 3.1.2.11.3): it is borne as long as the
//! application's own acknowledgements can mend it.

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

/// A client with this Receive Maximum, a Keep Alive of 10 seconds and 5 seconds for a PINGRESP.
fn client(receive_maximum: u16) -> Script<ClientSession> {
    let change = |config: &mut ClientConfig| {
        config.connect.keep_alive = 10;
        config.ping_timeout = secs(5);
        let properties = &mut config.connect.properties;
        properties.set_receive_maximum(core::num::NonZeroU16::new(receive_maximum).unwrap());
    };
    Script::client_with(change, connack(false))
}

impl Script<ClientSession> {
    /// Reads these packets as a driver does, as long as the session is ready. How many it has taken.
    fn read(&mut self, packets: &mut Vec<Packet>) -> usize {
        let mut taken = 0;
        while self.session.is_ready() && !packets.is_empty() {
            let packet = packets.remove(0);
            self.receive(packet);
            taken += 1;
        }
        taken
    }
}

#[test]
fn one_message_beyond_is_taken_and_nothing_behind_it_until_the_application_acknowledges() {
    for qos in [QOS1, QOS2] {
        let mut script = client(2);
        let mut stream: Vec<_> = (1..=6).map(|n| publish(qos, n, &n.to_string())).collect();
        stream.push(publish(QOS0, 0, "behind"));
        assert_eq!(script.read(&mut stream), 3);
        assert!(script.session.is_held_back());
        assert_eq!(script.events(), ["message 1", "message 2", "message 3"]);
        let answer = if qos == QOS1 { "PUBACK" } else { "PUBREC" };
        for n in 1..=3 {
            script.answer(n - 1);
            assert_eq!(script.sent(), [format!("{answer} #{n}")]);
            assert!(!script.session.is_held_back());
            assert_eq!(script.read(&mut stream), 1);
            assert_eq!(script.events(), [format!("message {}", n + 3)]);
            assert!(script.session.is_held_back());
        }
        script.answer(3);
        assert_eq!(script.read(&mut stream), 1);
        assert_eq!(script.events(), ["message behind"]);
        assert!(!script.session.is_held_back());
    }
}

#[test]
fn a_full_window_alone_holds_nothing_back() {
    let mut script = client(2);
    script.receive(publish(QOS1, 1, "a"));
    script.receive(publish(QOS2, 2, "b"));
    assert!(script.session.is_ready());
    script.receive(Packet::PingResp);
    script.receive(publish(QOS0, 0, "c"));
    assert!(script.session.is_ready());
    assert_eq!(script.events(), ["message a", "message b", "message c"]);
}

/// What waits for its PUBREL is for the server to mend, and that stands in the stream behind the excess.
#[test]
fn messages_that_wait_for_their_release_hold_nothing_back() {
    let mut script = client(1);
    for n in 1..=20 {
        script.receive(publish(QOS2, n, "a"));
        script.events();
        script.answer(usize::from(n) - 1);
        assert_eq!(script.sent(), [format!("PUBREC #{n}")]);
        assert!(script.session.is_ready());
    }
    for n in 1..=20 {
        assert_eq!(script.exchange([pubrel(n)]), [format!("PUBCOMP #{n}")]);
    }
}

#[test]
fn words_out_of_order_do_not_lift_the_bound() {
    let mut script = client(3);
    let mut stream: Vec<_> = (1..=9).map(|n| publish(QOS1, n, "a")).collect();
    assert_eq!(script.read(&mut stream), 4);
    script.events();
    for n in 1..4 {
        script.answer(n);
        assert!(!script.session.is_ready(), "the first is awaited");
    }
    assert_eq!(script.sent(), [""; 0]);
    script.answer(0);
    assert_eq!(script.sent().len(), 4);
    assert_eq!(script.read(&mut stream), 4);
}

/// Section 3.1.2.11.3: where no word of the application can mend it, it is an error: 0x93.
#[test]
fn excess_that_nobody_can_mend_ends_the_connection() {
    // The application has abandoned what it had: the server is to send it again, and can on another connection only.
    let mut script = client(1);
    script.receive(publish(QOS1, 1, "a"));
    script.receive(publish(QOS1, 2, "b"));
    script.events();
    assert!(!script.session.is_ready());
    script.session.abandon(script.receipts[0]);
    assert!(!script.session.is_ready());
    script.answer(1);
    assert!(script.session.is_ready());
    script.receive(publish(QOS1, 3, "c"));
    assert_eq!(script.violated(), ["DISCONNECT 0x93"]);
    // A caller that does not ask whether the session is ready.
    let mut script = client(1);
    for n in 1..=3 {
        script.receive(publish(QOS1, n, "a"));
    }
    assert_eq!(script.violated(), ["DISCONNECT 0x93"]);
}

/// [MQTT-3.1.2-20] PINGREQ goes on; its answer stands unread and is not missed.
#[test]
fn a_client_that_is_held_back_pings_and_does_not_wait_for_the_answer() {
    let mut script = client(1);
    script.receive(publish(QOS1, 1, "a"));
    script.receive(publish(QOS1, 2, "b"));
    script.events();
    for _ in 0..50 {
        assert_eq!(script.timeout(), Some(secs(10)));
        script.after(secs(10));
        assert_eq!(script.sent(), ["PINGREQ"]);
    }
    assert!(script.session.is_connected());
    script.after(secs(6));
    script.answer(0);
    // From here on the answer has the time that it always has, whoever looks first.
    assert_eq!(script.sent(), ["PUBACK #1"]);
    assert_eq!(script.timeout(), Some(secs(5)));
    script.after(secs(4));
    assert!(script.session.is_connected());
    let mut late = client(1);
    late.receive(publish(QOS1, 1, "a"));
    late.receive(publish(QOS1, 2, "b"));
    late.events();
    late.after(secs(10));
    late.answer(0);
    late.after(secs(9));
    assert!(late.session.is_connected());
    late.after(secs(5));
    assert!(!late.session.is_connected(), "it was listened to");
    // And in time it is missed.
    script.receive(Packet::PingResp);
    script.after(secs(10));
    assert_eq!(script.sent(), ["PINGREQ"]);
    script.after(secs(5));
    assert_eq!(script.violated(), ["DISCONNECT 0x80"]);
}

#[test]
fn a_client_that_is_held_back_disconnects_all_the_same() {
    let mut script = client(1);
    script.receive(publish(QOS1, 1, "a"));
    script.receive(publish(QOS1, 2, "b"));
    script.events();
    assert!(!script.session.is_ready());
    let goodbye = Disconnect::new(ReasonCode::NORMAL_DISCONNECTION);
    script.session.disconnect(goodbye);
    // What still comes is read and dropped.
    assert!(script.session.is_ready());
    script.receive(publish(QOS1, 3, "c"));
    assert_eq!(script.sent(), ["DISCONNECT"]);
    assert!(script.session.poll_close());
    assert_eq!(script.events(), [""; 0]);
}

/// An application may acknowledge only when it has heard of what it published: that stands unread.
#[test]
fn an_answer_that_stands_unread_for_a_minute_ends_the_connection() {
    let mut script = client(1);
    script.receive(publish(QOS1, 1, "a"));
    script.receive(publish(QOS1, 2, "b"));
    script.events();
    for _ in 0..20 {
        script.after(secs(10));
        assert_eq!(script.sent(), ["PINGREQ"]);
    }
    script.submit(message(QOS1, "out"), 0);
    assert_eq!(script.sent(), ["PUBLISH 1 #1 out"]);
    script.after(secs(59));
    // A word that mends it gives it time again.
    script.answer(0);
    assert!(script.sent().contains(&"PUBACK #1".to_owned()));
    script.receive(publish(QOS1, 3, "c"));
    script.events();
    script.sent();
    script.after(secs(59));
    assert!(script.session.is_connected());
    script.after(secs(1));
    assert_eq!(script.violated().pop().unwrap(), "DISCONNECT 0x93");
    assert_eq!(
        script.session.poll_event(),
        None,
        "the stream has not ended"
    );
    script.cut();
    assert_eq!(script.reconnect(connack(true)), ["PUBLISH 1 #1 dup out"]);
}

#[test]
fn a_request_whose_answer_stands_unread_for_a_minute_ends_the_connection() {
    let mut script = client(1);
    script.receive(publish(QOS1, 1, "a"));
    let properties = SubscribeProperties::default();
    let asked = script
        .session
        .subscribe(filters(&["a"]), properties, Ticket(1));
    assert!(asked.is_ok());
    script.receive(publish(QOS1, 2, "b"));
    assert_eq!(script.sent(), ["SUBSCRIBE #1"]);
    script.after(secs(60));
    assert_eq!(script.violated().pop().unwrap(), "DISCONNECT 0x93");
}

#[test]
fn a_client_that_is_held_back_publishes_on() {
    let mut script = client(1);
    script.receive(publish(QOS1, 1, "a"));
    script.receive(publish(QOS1, 2, "b"));
    script.submit(message(QOS1, "out"), 0);
    assert_eq!(script.sent(), ["PUBLISH 1 #1 out"]);
    script.cut();
    script.events();
    script.reconnect(connack(true));
    assert!(script.session.is_ready(), "what was held comes again");
}
