//! `ohmqtt pub`: where messages come from, and when it ends.

use std::io::{BufRead, BufReader};

use crate::support::broker::TestBroker;
use crate::support::mosquitto::free_port;
use crate::support::{done, fed, ohmqtt, run, start};

/// Declares a session that gets what is published from now on.
fn session(port: &str) {
    done(&[
        "sub", "-p", port, "-c", "-i", "reader", "-q", "2", "-t", "#", "-E",
    ]);
}

/// What came since, as these options print it.
fn came(port: &str, count: &str, print: &[&str]) -> String {
    let mut args = vec![
        "sub", "-p", port, "-c", "-i", "reader", "-q", "2", "-t", "#", "-W", "60", "-C", count,
    ];
    args.extend(print);
    done(&args)
}

#[test]
fn each_topic_gets_the_message() {
    let broker = TestBroker::start();
    session(&broker.port());
    done(&[
        "pub",
        "-p",
        &broker.port(),
        "-t",
        "a",
        "-t",
        "b",
        "-m",
        "00ff",
        "--hex",
        "-q",
        "1",
    ]);
    assert_eq!(
        came(&broker.port(), "2", &["-F", "%t %x"]),
        "a 00ff\nb 00ff\n"
    );
}

#[test]
fn a_url_may_end_in_the_topic() {
    let broker = TestBroker::start();
    session(&broker.port());
    let url = format!("mqtt://localhost:{}/a/b", broker.port());
    done(&["pub", "-L", &url, "-m", "x", "-q", "2"]);
    assert_eq!(came(&broker.port(), "1", &["-v"]), "a/b x\n");
}

#[test]
fn what_json_prints_json_reads() {
    let broker = TestBroker::start();
    let port = broker.port();
    session(&port);
    let lines = concat!(
        r#"{"topic":"a","qos":2,"retain":false,"payload":"text","properties":{"content-type":"x","user-properties":[["n","v"]]}}"#,
        "\n\n",
        r#"{"payload_base64":"AP8="}"#,
        "\n",
    );
    let ran = fed(
        &["pub", "-p", &port, "--json", "-t", "default", "-q", "1"],
        lines.as_bytes(),
    );
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let printed = came(&port, "2", &["--json"]);
    // The same once more, from what was printed.
    let ran = fed(&["pub", "-p", &port, "--json"], printed.as_bytes());
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let again = came(&port, "2", &["--json"]);
    let without_time = |text: &str| -> Vec<String> {
        let rest = |line: &str| line.split_once(",\"topic\"").unwrap().1.to_owned();
        text.lines().map(rest).collect()
    };
    assert_eq!(
        without_time(&printed),
        [
            r#":"a","qos":2,"retain":false,"payload":"text","properties":{"content-type":"x","user-properties":[["n","v"]]}}"#,
            r#":"default","qos":1,"retain":false,"payload_base64":"AP8="}"#,
        ]
    );
    assert_eq!(without_time(&again), without_time(&printed));
}

#[test]
fn a_line_of_json_that_is_none_is_named_by_its_number() {
    let broker = TestBroker::start();
    let ran = fed(
        &["pub", "-p", &broker.port(), "--json"],
        b"{\"topic\":\"a\"}\n{\"topic\":1}\n",
    );
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.err.starts_with("ohmqtt: --json: line 2: "),
        "{}",
        ran.err
    );
}

#[test]
fn what_a_store_keeps_goes_out_with_a_later_run() {
    for name in ["outbox.redb", "outbox.sqlite"] {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join(name);
        let store = store.to_str().unwrap();
        let nobody = free_port().to_string();
        let args = |port, text| {
            [
                "pub", "-p", port, "-i", "gate", "--store", store, "-t", "a", "-q", "1", "-m", text,
            ]
        };
        for (text, kept) in [
            ("one", "1 messages are kept"),
            ("two", "2 messages are kept"),
        ] {
            let ran = run(&args(&nobody, text));
            assert_eq!(ran.code, Some(1));
            assert!(
                ran.err.contains("connection refused") && ran.err.contains(kept),
                "{}",
                ran.err
            );
        }
        let broker = TestBroker::start();
        let port = broker.port();
        session(&port);
        done(&args(&port, "three"));
        assert_eq!(came(&port, "3", &[]), "one\ntwo\nthree\n");
        // Nothing is left.
        done(&args(&port, "four"));
        assert_eq!(came(&port, "1", &[]), "four\n");
    }
}

#[test]
fn a_message_nobody_acknowledges_in_time_is_told() {
    use ohmqtt_broker::faults::PacketType;
    let broker = TestBroker::start();
    broker.broker().faults().all().withhold(PacketType::PubAck);
    let ran = run(&[
        "pub",
        "-p",
        &broker.port(),
        "-t",
        "a",
        "-m",
        "x",
        "-q",
        "1",
        "-W",
        "2",
    ]);
    assert_eq!(ran.code, Some(27), "{}", ran.err);
    assert!(ran.err.contains("not done within 2s"), "{}", ran.err);
}

#[cfg(unix)]
#[test]
fn an_interrupted_publisher_says_how_far_it_came() {
    use crate::support::signal;
    let broker = TestBroker::start();
    let port = broker.port();
    // It has no end of its own.
    let mut process = start(
        ohmqtt(&["pub", "-p", &port, "-t", "a", "-l", "-q", "1"])
            .stdin(std::process::Stdio::piped()),
    );
    let mut watcher = start(&mut ohmqtt(&["sub", "-p", &port, "-t", "a", "-C", "1"]));
    let mut input = process.stdin.take().unwrap();
    // Whichever of the two is there first: a line each until one came.
    let lines = std::thread::spawn(move || {
        use std::io::Write;
        while input.write_all(b"line\n").is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    });
    let mut first = String::new();
    BufReader::new(watcher.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    assert_eq!(first, "line\n");
    assert!(watcher.wait().unwrap().success());
    signal(&process, "INT");
    let output = process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(
        said.starts_with("ohmqtt: interrupted: ") && said.contains(" acknowledged"),
        "{said}"
    );
    lines.join().unwrap();
}
