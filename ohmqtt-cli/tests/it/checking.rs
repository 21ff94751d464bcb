//! `ohmqtt check`: what a broker said, and whether it is enough.

use ohmqtt_broker::{Limits, Qos};

use crate::support::broker::TestBroker;
use crate::support::mosquitto::Mosquitto;
use crate::support::{done, run};

fn limited() -> TestBroker {
    let mut limits = Limits::default();
    limits.maximum_qos = Qos::AtLeastOnce;
    limits.shared_subscription_available = false;
    limits.topic_aliases = 7;
    limits.session_expiry = Some(std::time::Duration::from_secs(300));
    TestBroker::with(|builder| builder.listen("mqtt://127.0.0.1:0").limits(limits))
}

#[test]
fn what_a_broker_supports_is_a_table() {
    let broker = limited();
    let url = broker.url();
    let printed = done(&["check", &url]);
    let mut lines = printed.lines();
    let first = lines.next().unwrap();
    assert!(
        first.starts_with(&format!("{url}: MQTT 5.0, connected in ")),
        "{first}"
    );
    let rows: Vec<_> = lines.take(10).collect();
    assert_eq!(
        rows,
        [
            "  maximum QoS               1",
            "  retained messages         yes",
            "  wildcard subscriptions    yes",
            "  shared subscriptions      no",
            "  subscription identifiers  yes",
            "  topic aliases             7",
            "  messages under way        1024 of QoS 1 and 2",
            "  largest packet            2097152 bytes",
            "  longest session           300 s",
            "  keep alive                60 s",
        ]
    );
    assert!(printed.contains("\n  assigned identifier "), "{printed}");
}

#[test]
fn what_is_required_and_missing_is_an_error() {
    let broker = limited();
    let url = broker.url();
    done(&[
        "check",
        &url,
        "--require",
        "retain",
        "--require",
        "qos=1",
        "--require",
        "aliases=7",
    ]);
    let ran = run(&[
        "check",
        &url,
        "--require",
        "shared",
        "--require",
        "qos=2",
        "--require",
        "retain",
    ]);
    assert_eq!(ran.code, Some(1));
    let want = format!(
        "ohmqtt: check {url}: required and not there: shared subscriptions, maximum QoS of 2 (it is 1); \
         raise the broker's limits or use another one\n"
    );
    assert_eq!(ran.err, want);
    assert_eq!(run(&["check", &url, "--require", "colour"]).code, Some(2));
}

#[test]
fn what_mosquitto_supports_is_json_too() {
    let broker = Mosquitto::start();
    let printed = done(&[
        "check",
        "--json",
        "-p",
        &broker.port(),
        "--require",
        "shared",
    ]);
    let object: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(object["qos"], 2);
    assert_eq!(object["shared"], 1);
    assert_eq!(object["receive-maximum"], 20);
}
