//! Ten thousand connections that say nothing, from a process of their own: each has an open file there and one at the broker.

use std::process::Stdio;
use std::time::{Duration, Instant};

use ohmqtt_codec::{Qos, ReasonCode};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::process::{again, alone, open_files};
use crate::client::{Client, broker_with};

const SILENT: usize = 10_000;
/// Those of a process besides.
const OTHER_FILES: usize = 200;

/// The longest of fifty acknowledgements.
async fn slowest(good: &mut Client) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..50 {
        let start = Instant::now();
        let reason = good.publish("t", "x", Qos::AtLeastOnce).await;
        assert_eq!(reason, ReasonCode::NoMatchingSubscribers);
        slowest = slowest.max(start.elapsed());
    }
    slowest
}

/// Where the process that says nothing says it.
const AT: &str = "OHMQTT_TEST_SILENT_AT";
const TEST: &str = "ten_thousand_half_open_connections_keep_no_good_client_waiting";

/// The other process: it connects, tells how often, and holds that until it is killed.
async fn say_nothing(url: &str) {
    let connections = SILENT.min(open_files(SILENT + OTHER_FILES) - OTHER_FILES);
    let mut silent = Vec::new();
    for n in 0..connections {
        let mut client = Client::open_at(url).await;
        // Some have begun with something.
        if n % 2 == 0 {
            client.send_bytes(&[0x10, 0x7F, 0x00]).await;
        }
        silent.push(client);
    }
    println!("\n{HOLDS}{connections}");
    // Until the other process has seen enough. Silence needs no runtime.
    assert!(std::io::stdin().lines().next().is_none());
    for client in &mut silent {
        client.is_open().await;
    }
}

const HOLDS: &str = "half-open connections held: ";

/// Fault class: connections that say nothing take the time of those who do. All of them are held while a good client publishes, comes
/// anew, and publishes again; the broker without them, in the same run, says what this machine can do at the moment.
#[test]
fn ten_thousand_half_open_connections_keep_no_good_client_waiting() {
    alone(module_path!(), TEST, async {
        if let Ok(url) = std::env::var(AT) {
            return say_nothing(&url).await;
        }
        let files = open_files(SILENT + OTHER_FILES);
        let broker = broker_with(|limits| {
            limits.half_open = SILENT + 10;
            limits.connect_timeout = Duration::from_secs(600);
        })
        .await;
        let mut good = Client::connect(&broker, "good").await;
        let idle = slowest(&mut good).await;
        let mut other = again(module_path!(), TEST);
        other.env(AT, broker.url());
        let mut other = tokio::process::Command::from(other)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(other.stdout.take().unwrap()).lines();
        let connections: usize = loop {
            let line = lines
                .next_line()
                .await
                .unwrap()
                .expect("the other process ended");
            if let Some(held) = line.strip_prefix(HOLDS) {
                break held.parse().unwrap();
            }
        };
        if connections < SILENT || files < SILENT + OTHER_FILES {
            println!(
                "the system allows {files} open files: {connections} connections instead of {SILENT}"
            );
        }
        assert!(connections > 0);
        // On a machine that is busy with other things an idle broker is slow too.
        let bound = Duration::from_secs(1).max(idle * 20);
        let mut held = Duration::MAX;
        // The least of several: what the machine does besides only adds.
        for _ in 0..10 {
            let known = slowest(&mut good).await;
            let mut anew = Client::connect(&broker, "anew").await;
            held = held.min(known.max(slowest(&mut anew).await));
            if held < bound {
                break;
            }
        }
        println!(
            "slowest PUBACK: {idle:?} idle, {held:?} with {connections} half-open connections"
        );
        assert!(held < bound, "{held:?}, and {idle:?} without them");
        // They were there all the time: the other process looks.
        drop(other.stdin.take());
        assert!(other.wait().await.unwrap().success());
    });
}
