//! `ohmqtt sub`: what it prints, and when it ends.

use std::io::{BufRead, BufReader};
use std::process::Child;

use ohmqtt_broker::{Identity, ListenOptions};

use crate::support::broker::TestBroker;
use crate::support::certs::Authority;
use crate::support::{done, ohmqtt, start};

/// Starts a subscriber that prints a retained message first, and waits for it: from then on it is there.
fn subscriber(port: &str, args: &[&str]) -> (Child, BufReader<std::process::ChildStdout>) {
    done(&["pub", "-p", port, "-t", "ready", "-m", "ready", "-r"]);
    let mut process = start(ohmqtt(&["sub", "-p", port, "-t", "ready", "-t", "a"]).args(args));
    let mut lines = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    (process, lines)
}

#[test]
fn it_reconnects_and_says_so() {
    let broker = TestBroker::start();
    let port = broker.port();
    let faults = broker.broker().faults();
    let (mut process, mut lines) = subscriber(&port, &["-i", "me", "-C", "3"]);
    faults.client("me").cut();
    // The retained message comes again with the subscription.
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    done(&["pub", "-p", &port, "-t", "a", "-m", "then"]);
    line.clear();
    lines.read_line(&mut line).unwrap();
    assert_eq!(line, "then\n");
    let status = process.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    let mut said = String::new();
    std::io::Read::read_to_string(&mut process.stderr.take().unwrap(), &mut said).unwrap();
    assert!(said.contains("; trying again in "), "{said}");
    assert!(
        said.contains("ohmqtt: connected again to mqtt://localhost:"),
        "{said}"
    );
}

#[cfg(unix)]
#[test]
fn an_interrupted_subscriber_says_how_many_came() {
    use crate::support::signal;
    let broker = TestBroker::start();
    let (process, _lines) = subscriber(&broker.port(), &[]);
    signal(&process, "INT");
    let output = process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "ohmqtt: interrupted: 1 messages\n");
    assert_eq!(output.status.code(), Some(130));
}

#[test]
fn a_closed_pipe_ends_it_without_a_word() {
    let broker = TestBroker::start();
    let port = broker.port();
    let (process, lines) = subscriber(&port, &[]);
    drop(lines);
    done(&["pub", "-p", &port, "-t", "a", "-m", "unread", "-q", "1"]);
    let output = process.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn retained_messages_alone_are_printed_and_removed() {
    let broker = TestBroker::start();
    let port = broker.port();
    for topic in ["a", "b"] {
        done(&[
            "pub", "-p", &port, "-t", topic, "-m", topic, "-r", "-q", "1",
        ]);
    }
    let args = ["sub", "-p", &port, "-t", "+", "-W", "60"];
    let removed = done(&[&args[..], &["-C", "2", "--remove-retained"]].concat());
    let mut removed: Vec<_> = removed.lines().collect();
    removed.sort_unstable();
    assert_eq!(removed, ["a", "b"]);
    done(&["pub", "-p", &port, "-t", "c", "-m", "c", "-r", "-q", "1"]);
    assert_eq!(done(&[&args[..], &["-C", "1"]].concat()), "c\n");
}

#[test]
fn every_transport_is_a_url() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let issued = authority.issue("broker", "localhost");
    let identity = Identity::from_files(&issued.certificate, &issued.key).unwrap();
    let options = ListenOptions::new().identity(identity);
    let socket = format!("unix:{}", folder.path().join("socket").display());
    let mut urls = vec!["mqtt", "mqtts", "ws", "wss", "quic"]
        .into_iter()
        .map(|scheme| format!("{scheme}://localhost:0"))
        .collect::<Vec<_>>();
    if cfg!(unix) {
        urls.push(socket);
    }
    let broker = TestBroker::with(|builder| {
        urls.iter().fold(builder, |builder, url| {
            builder.listen_with(url, options.clone())
        })
    });
    let trusted = folder.path().join("authority.pem");
    let trust = ["--cafile", trusted.to_str().unwrap()];
    for url in broker.broker().urls() {
        let message = ["pub", "--url", url, "-t", "a", "-m", url, "-r", "-q", "1"];
        done(&[&message[..], &trust].concat());
        let printed = done(
            &[
                &["sub", "--url", url, "-t", "a", "-C", "1", "-W", "60"][..],
                &trust,
            ]
            .concat(),
        );
        assert_eq!(printed, format!("{url}\n"));
    }
}
