//! `ohmqtt bench`: figures that add up. How large they are is no test's business.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::broker::TestBroker;
use crate::support::{done, ohmqtt, run, start};

fn bench(broker: &TestBroker, args: &[&str]) -> Value {
    let port = broker.port();
    let base = ["bench", args[0], "-p", &port, "--time", "0.5", "--json"];
    let printed = done(&[&base[..], &args[1..]].concat());
    serde_json::from_str(&printed).unwrap()
}

/// Waits until it is so.
fn until(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "it never is");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn each_kind_counts_what_it_does() {
    let broker = TestBroker::start();
    for (args, published) in [
        (&["pub", "-q", "1", "--clients", "2"][..], true),
        (&["pub", "-q", "0", "--size", "0"][..], true),
        (&["pingpong", "-q", "2", "--size", "1000"][..], true),
        (&["conn", "--clients", "2"][..], false),
    ] {
        let before = broker.broker().metrics();
        let figures = bench(&broker, args);
        let count = figures["count"].as_u64().unwrap();
        assert!(count > 0, "{args:?}: {figures}");
        if published {
            // What was under way at the end is not counted; at QoS 0 the broker may have it later than the process ends.
            until(|| broker.broker().metrics().published - before.published >= count);
            let size = figures["size"].as_u64().unwrap();
            let rate = figures["per_second"].as_f64().unwrap();
            #[expect(clippy::cast_precision_loss, reason = "a size of a test")]
            let bytes = rate * size as f64 / 1e6;
            assert!((figures["megabytes_per_second"].as_f64().unwrap() - bytes).abs() < 1e-6);
        }
        let latency = &figures["latency_seconds"];
        let quantiles = ["p50", "p99", "p99.9", "max"].map(|name| latency[name].as_f64().unwrap());
        assert!(quantiles[0] > 0.0 && quantiles.is_sorted(), "{latency}");
    }
}

#[test]
fn a_subscriber_knows_how_old_the_messages_of_a_bench_are() {
    let broker = TestBroker::start();
    let port = broker.port();
    let mut subscriber = start(&mut ohmqtt(&[
        "bench", "sub", "-p", &port, "--time", "5", "--json",
    ]));
    until(|| broker.broker().metrics().subscriptions > 0);
    while subscriber.try_wait().unwrap().is_none() {
        bench(&broker, &["pub", "--inflight", "10"]);
    }
    let output = subscriber.wait_with_output().unwrap();
    let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(figures["count"].as_u64().unwrap() > 0, "{figures}");
    assert!(figures["latency_seconds"]["p50"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_table_is_printed_and_a_picture_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let svg = folder.path().join("bench.svg");
    let broker = TestBroker::start();
    let (port, file) = (broker.port(), svg.to_str().unwrap());
    let printed = done(&["bench", "pub", "-p", &port, "--time", "0.7", "--svg", file]);
    for name in [
        "messages ",
        "rate ",
        "p50 ",
        "p99 ",
        "p99.9 ",
        "max ",
        "client's CPU ",
    ] {
        assert!(
            printed.lines().any(|line| line.starts_with(name)),
            "{name}: {printed}"
        );
    }
    let picture = std::fs::read_to_string(svg).unwrap();
    assert!(
        picture.starts_with("<svg ") && picture.ends_with("</svg>\n"),
        "{picture}"
    );
}

#[test]
fn a_bench_of_nothing_says_why() {
    assert_eq!(run(&["bench", "pub", "-p", "1"]).code, Some(1));
    assert_eq!(run(&["bench", "dance"]).code, Some(2));
    assert_eq!(run(&["bench", "pub", "--clients", "0"]).code, Some(2));
    assert_eq!(
        run(&["bench", "pub", "--clients", "2", "-i", "me"]).code,
        Some(2)
    );
}
