//! `mosquitto_pub` and `mosquitto_sub` as the other side.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use ohmqtt_client::Qos;

use super::{ALL_QOS, connect, next, publish, subscribe, text};
use crate::support::mosquitto::{Mosquitto, program};
use crate::support::soon;

/// A command of Mosquitto's for this broker, to speak MQTT 5.0 if nothing else is said.
fn command(name: &str, broker: &Mosquitto, args: &[&str]) -> Command {
    let mut command = Command::new(program(name));
    command.args(["-h", "127.0.0.1", "-p", &broker.port().to_string()]);
    if !args.contains(&"-V") {
        command.args(["-V", "mqttv5"]);
    }
    command.args(args);
    command
}

/// Runs `mosquitto_pub` to its end.
fn mosquitto_pub(broker: &Mosquitto, args: &[&str]) {
    let output = command("mosquitto_pub", broker, args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// A `mosquitto_sub` that has subscribed.
struct Sub {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Sub {
    fn start(broker: &mut Mosquitto, args: &[&str]) -> Self {
        let mut process = command("mosquitto_sub", broker, args)
            .args(["-i", "the-sub", "-W", "60"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        broker.wait_for("Sending SUBACK to the-sub");
        Self { process, lines }
    }

    /// The next line it prints. It ends by itself when nothing comes.
    fn next(&mut self) -> String {
        self.lines.next().expect("a message in time").unwrap()
    }
}

impl Drop for Sub {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn mosquitto_pub_is_heard_with_all_its_properties() {
    let broker = Mosquitto::start();
    let client = connect(&broker, "reader").await;
    let mut inbox = subscribe(&client, "from/pub").await;
    for qos in ALL_QOS {
        let level = u8::from(qos).to_string();
        let properties = "-D publish content-type text/plain -D publish response-topic answers \
            -D publish correlation-data 42 -D publish user-property a 1 -D publish user-property a 2 \
            -D publish payload-format-indicator 1 -D publish message-expiry-interval 100";
        let mut args = vec!["-t", "from/pub", "-m", "grüße", "-q", &level];
        args.extend(properties.split_ascii_whitespace());
        mosquitto_pub(&broker, &args);
        let message = next(&mut inbox).await;
        assert_eq!((text(&message), message.qos), ("grüße", qos));
        let properties = message.properties;
        assert_eq!(properties.content_type(), Some("text/plain"));
        assert_eq!(properties.response_topic(), Some("answers"));
        assert_eq!(properties.correlation_data(), Some(&b"42"[..]));
        assert_eq!(properties.payload_format_indicator(), Some(true));
        assert!(properties.message_expiry_interval().is_some());
        let pairs: Vec<_> = properties.user_properties().collect();
        assert_eq!(pairs, [("a", "1"), ("a", "2")]);
    }
}

#[tokio::test]
async fn mosquitto_sub_hears_every_qos_with_all_properties() {
    let mut broker = Mosquitto::start();
    let client = connect(&broker, "writer").await;
    let format = "%t|%q|%l|%p|%C|%R|%D|%F|%P";
    let mut sub = Sub::start(&mut broker, &["-t", "to/#", "-q", "2", "-F", format]);
    for qos in ALL_QOS {
        let message = client
            .publish("to/sub", "grüße")
            .qos(qos)
            .content_type("text/plain")
            .response_topic("answers")
            .correlation_data("42")
            .user_property("a", "1")
            .properties(|properties| properties.set_payload_format_indicator(true));
        soon(soon(message).await.unwrap().acked()).await.unwrap();
        let want = format!(
            "to/sub|{}|7|grüße|text/plain|answers|42|1|a:1",
            u8::from(qos)
        );
        assert_eq!(sub.next(), want);
    }
}

fn hex_of(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[tokio::test]
async fn mosquitto_sub_hears_payloads_of_any_bytes_and_size() {
    let mut broker = Mosquitto::start();
    let client = connect(&broker, "writer").await;
    let mut sub = Sub::start(&mut broker, &["-t", "bytes", "-q", "1", "-F", "%x"]);
    for size in [0, 1, 256, 16_384, 1 << 20] {
        let payload: Vec<u8> = (0..=u8::MAX).cycle().take(size).collect();
        let hex = hex_of(&payload);
        publish(&client, "bytes", payload, Qos::AtLeastOnce).await;
        assert!(sub.next() == hex, "{size} bytes");
    }
}

#[tokio::test]
async fn a_client_of_mqtt_3_1_1_and_one_of_5_0_hear_each_other() {
    let mut broker = Mosquitto::start();
    let client = connect(&broker, "new").await;
    let mut inbox = subscribe(&client, "from/old").await;
    mosquitto_pub(
        &broker,
        &["-V", "mqttv311", "-t", "from/old", "-m", "hello", "-q", "2"],
    );
    assert_eq!(text(&next(&mut inbox).await), "hello");
    let mut sub = Sub::start(&mut broker, &["-V", "mqttv311", "-t", "to/old", "-q", "2"]);
    publish(&client, "to/old", "hello", Qos::ExactlyOnce).await;
    assert_eq!(sub.next(), "hello");
}
