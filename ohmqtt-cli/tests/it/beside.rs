//! The command beside mosquitto's: the same flags, the same output, the same exit code, at both brokers.

use std::process::{Command, Stdio};

use ohmqtt_broker::faults::Packet;

use crate::support::broker::TestBroker;
use crate::support::mosquitto::{Mosquitto, program};
use crate::support::{Ran, done, ohmqtt};

/// What is published for those who subscribe: payloads and flags.
const MESSAGES: &[&[&str]] = &[
    &["-t", "x/1", "-m", "first", "-r"],
    &["-t", "x/2", "-m", "second"],
    &["-t", "x/2", "-n"],
    &["-t", "x/3/y", "-m", "{\"a\": [1, \"ü\"]}"],
    &[
        "-t",
        "x/4",
        "-m",
        "five words are in here",
        "-D",
        "publish",
        "content-type",
        "text/plain",
        "-D",
        "publish",
        "user-property",
        "a",
        "b",
        "-D",
        "publish",
        "user-property",
        "a",
        "c",
        "-D",
        "publish",
        "correlation-data",
        "corr",
        "-D",
        "publish",
        "response-topic",
        "re/sponse",
        "-D",
        "publish",
        "payload-format-indicator",
        "1",
    ],
    &["-t", "x/5", "-m", "-5"],
];

/// The flags of a subscriber, and how many of the messages above it prints.
const SUBSCRIBERS: &[&[&str]] = &[
    &["-C", "5"],
    &["-v", "-C", "6"],
    &["-N", "-C", "6"],
    &["-v", "-N", "-C", "6"],
    &["-v", "-T", "x/2", "-T", "x/+/y", "-C", "3"],
    &["-v", "-C", "2"],
    &["-v", "-R", "-C", "5"],
    &[
        "-F",
        "%t|%p|%l|%q|%r|%x|%X|%%|@@|\\\\|\\t\\e\\a\\v\\r",
        "-C",
        "6",
    ],
    &["-F", "%C|%D|%F|%P|%R|%S|%A|%E", "-C", "6"],
    &["-F", "%10t|%-10t|%.3t|%-10.3t|%10.3t|%2t", "-C", "6"],
    &["-F", "%5l|%-5l|%05l|%-05l|%3C|%-12C|%12.4C", "-C", "6"],
    &["-F", "%30p|%-30p|%4p|%030p", "-C", "6"],
    &["-F", "%4F|%04F|%-4F|%4A|%04S|%4E", "-C", "6"],
    &["-F", "@Y@m@d", "-C", "1"],
    &[
        "-F", "%J", "-T", "x/1", "-T", "x/2", "-T", "x/4", "-T", "x/5", "-C", "1", "-N",
    ],
    &["-v", "-C", "7"],
    // Long enough for all to come on a busy machine.
    &["-W", "3", "-C", "9", "-v"],
    &["-W", "3", "-v"],
];

/// Subscribes in a session, publishes, and gives what the subscriber prints when it comes back.
fn subscriber(command: impl Fn() -> Command, port: &str, flags: &[&str], id: &str) -> Ran {
    let session = ["-p", port, "-i", id, "-c", "-q", "1", "-t", "x/#"];
    let subscribed = command().args(session).arg("-E").output().unwrap();
    assert!(subscribed.status.success(), "{:?}", Ran::from(subscribed));
    for message in MESSAGES {
        // What is published at QoS 0 no broker need keep for who is away.
        let mut args = vec!["pub", "-p", port, "-q", "1"];
        args.extend(*message);
        done(&args);
    }
    // None of them is to wait for what does not come.
    let patience = if flags.contains(&"-W") {
        &[][..]
    } else {
        &["-W", "60"]
    };
    let ran = command().args(session).args(flags).args(patience).output();
    let ran: Ran = ran.unwrap().into();
    // What it left is not for the next.
    let ended = command()
        .args(["-p", port, "-i", id, "-t", "none", "-E"])
        .output();
    assert!(ended.unwrap().status.success());
    done(&["pub", "-p", port, "-t", "x/1", "-r", "-n", "-q", "1"]);
    ran
}

fn mosquitto_sub() -> Command {
    let mut command = Command::new(program("mosquitto_sub"));
    command
        .args(["-V", "mqttv5"])
        .stdin(Stdio::null())
        .env("TZ", "UTC");
    command
}

fn check_subscribers(port: &str) {
    for flags in SUBSCRIBERS {
        let theirs = subscriber(mosquitto_sub, port, flags, "theirs");
        let ours = subscriber(|| ohmqtt(&["sub"]), port, flags, "ours");
        let (out, want) = (comparable(flags, &ours.out), comparable(flags, &theirs.out));
        assert_eq!(out, want, "{flags:?}");
        assert_eq!(ours.code, theirs.code, "{flags:?}: {}", ours.err);
    }
}

/// In JSON a time differs from run to run, and theirs has the packet identifier, which our client does not tell.
fn comparable(flags: &[&str], out: &str) -> String {
    if !flags.contains(&"%J") {
        return out.to_owned();
    }
    let (_, rest) = out.split_once("\"topic\"").unwrap();
    match rest.split_once("\"mid\":") {
        Some((before, behind)) => format!("{before}{}", behind.split_once(',').unwrap().1),
        None => rest.to_owned(),
    }
}

#[test]
fn a_subscriber_prints_what_mosquittos_prints_at_our_broker() {
    check_subscribers(&TestBroker::start().port());
}

#[test]
fn a_subscriber_prints_what_mosquittos_prints_at_mosquitto() {
    check_subscribers(&Mosquitto::start().port());
}

/// The flags of a publisher, with what is on its standard input.
const PUBLISHERS: &[(&[&str], &str)] = &[
    (&["-t", "a", "-m", "text"], ""),
    (&["-t", "a/b", "-m", "-1", "-q", "1", "-r"], ""),
    (&["-t", "a", "-n", "-q", "2"], ""),
    (&["-t", "a", "-s", "-q", "1"], "all of\nit\n"),
    (&["-t", "a", "-l", "-q", "1"], "one\n\nthree\nfour"),
    (&["-t", "a", "-m", "x", "--repeat", "3", "-q", "1"], ""),
    (
        &[
            "-t",
            "a",
            "-m",
            "x",
            "-q",
            "1",
            "-D",
            "publish",
            "message-expiry-interval",
            "70",
        ],
        "",
    ),
    (
        &[
            "-t",
            "a",
            "-m",
            "x",
            "-D",
            "publish",
            "user-property",
            "n",
            "v",
        ],
        "",
    ),
];

/// What a publisher sent, as the broker got it: PUBLISH packets without their identifiers.
fn published(mut command: Command, broker: &TestBroker, id: &str, input: &str) -> Vec<String> {
    broker.broker().faults().clear_sent(id);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), input).unwrap();
    command.stdin(file.reopen().unwrap());
    let ran: Ran = command.args(["-i", id]).output().unwrap().into();
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let publish = |packet: &Packet| match packet {
        Packet::Publish(publish) => Some(format!(
            "{:?} {:?} {:?} {:?} {:?}",
            publish.topic,
            publish.retain,
            publish.payload,
            publish.properties,
            publish.delivery.qos(),
        )),
        _ => None,
    };
    let sent = broker.sent_until_disconnect(id);
    sent.iter().filter_map(publish).collect()
}

#[test]
fn a_publisher_sends_what_mosquittos_sends() {
    let broker = TestBroker::start();
    broker.broker().faults();
    for (flags, input) in PUBLISHERS {
        let mut theirs = Command::new(program("mosquitto_pub"));
        theirs
            .args(["-V", "mqttv5", "-p", &broker.port()])
            .args(*flags);
        let theirs = published(theirs, &broker, "theirs", input);
        let mut ours = ohmqtt(&["pub", "-p", &broker.port()]);
        ours.args(*flags);
        let ours = published(ours, &broker, "ours", input);
        assert_eq!(ours, theirs, "{flags:?}");
        assert!(!ours.is_empty());
    }
}

#[test]
fn a_will_is_left_as_mosquittos_is() {
    let broker = TestBroker::start();
    let faults = broker.broker().faults();
    let will = [
        "-t",
        "a",
        "-m",
        "x",
        "--will-topic",
        "gone",
        "--will-payload",
        "away",
        "--will-qos",
        "1",
        "--will-retain",
    ];
    let will_of = |mut command: Command, id: &str| {
        let output = command
            .args(["-p", &broker.port(), "-i", id])
            .args(will)
            .output();
        assert!(output.unwrap().status.success());
        let connect = faults
            .sent_by(id)
            .into_iter()
            .find_map(|packet| match packet {
                Packet::Connect(connect) => Some(connect),
                _ => None,
            });
        format!("{:?}", connect.unwrap().will.unwrap())
    };
    let mut theirs = Command::new(program("mosquitto_pub"));
    theirs.args(["-V", "mqttv5"]);
    let theirs = will_of(theirs, "theirs");
    assert_eq!(will_of(ohmqtt(&["pub"]), "ours"), theirs);
}
