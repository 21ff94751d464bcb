//! Passwords: where they come from, and that they are told nobody.

use std::fs;

use ohmqtt_broker::PasswordFile;

use crate::support::broker::TestBroker;
use crate::support::{ohmqtt, run};

#[test]
fn a_password_comes_from_wherever_it_is_kept_and_is_never_told() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    PasswordFile::new(&users).set_user("me", b"s3cret").unwrap();
    let broker = TestBroker::with(|builder| builder.listen("mqtt://127.0.0.1:0").passwords(&users));
    let (port, file) = (broker.port(), folder.path().join("password"));
    fs::write(&file, "s3cret\n").unwrap();
    let base = ["pub", "-p", &port, "-t", "a", "-m", "x", "-u", "me"];
    let file = file.to_str().unwrap();
    for more in [&["--password-file", file][..], &["-P", "s3cret"]] {
        assert_eq!(run(&[&base[..], more].concat()).code, Some(0), "{more:?}");
    }
    let url = format!("mqtt://me:s3cret@localhost:{port}");
    assert_eq!(
        run(&["pub", "--url", &url, "-t", "a", "-m", "x"]).code,
        Some(0)
    );
    let by_environment = ohmqtt(&base).env("OHMQTT_PASSWORD", "s3cret").status();
    assert!(by_environment.unwrap().success());

    let wrong = [&base[..], &["-P", "wr0ng", "-d"]].concat();
    let url = format!("mqtt://me:wr0ng@localhost:{port}");
    for args in [
        &wrong[..],
        &["pub", "--url", &url, "-t", "a", "-m", "x", "-d"],
    ] {
        let ran = run(args);
        assert_eq!(ran.code, Some(0x86), "{}", ran.err);
        assert!(
            ran.err.contains("check user name and password"),
            "{}",
            ran.err
        );
        assert!(!ran.err.contains("wr0ng"), "{}", ran.err);
    }
    let help = ohmqtt(&["pub", "--help"])
        .env("OHMQTT_PASSWORD", "s3cret")
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&help.stdout).contains("s3cret"));
}

/// What every row below says with a secret in it.
const PLANTED: &[&str] = &[
    "-u",
    "me",
    "-P",
    "hunter2",
    "-D",
    "connect",
    "user-property",
    "kind",
    "test",
    "--will-topic",
    "gone",
    "--will-payload",
    "hunter2-will",
    "-d",
];

/// Runs the command, and gives what it says on standard error, and its exit code.
fn told(args: &[&str], more: &[&str]) -> (String, Option<i32>) {
    let ran = run(&[args, more].concat());
    (ran.err, ran.code)
}

#[test]
fn no_command_tells_a_secret_in_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    PasswordFile::new(&users)
        .set_user("me", b"hunter2")
        .unwrap();
    let broker = TestBroker::with(|builder| {
        let builder = builder.listen("mqtt://127.0.0.1:0");
        builder.listen("ws://127.0.0.1:0/mqtt").passwords(&users)
    });
    let port = broker.port();
    let token = format!("{}?token=hunter2", broker.broker().urls()[1]);
    let by_url = format!("mqtt://me:hunter2@127.0.0.1:{port}");
    let proxy = format!("socks5://me:hunter2@127.0.0.1:{port}");
    let message = ["-t", "a", "-m", "hunter2-payload", "-q", "1"];
    let secret = ["-D", "publish", "correlation-data", "hunter2-correlation"];
    let publish = [&["pub"], &message[..], &secret].concat();
    let at = ["-p", &port];
    let mut log = String::new();
    for (args, want) in [
        ([&publish[..], &at].concat(), Some(0)),
        ([&publish[..], &at, &["-r"]].concat(), Some(0)),
        ([&publish[..], &["--url", &token]].concat(), Some(0)),
        ([&publish[..], &["--url", &by_url]].concat(), Some(0)),
        ([&publish[..], &at, &["--proxy", &proxy]].concat(), Some(1)),
        ([&["sub", "-t", "a", "-C", "1"], &at[..]].concat(), Some(0)),
        (
            [&["rr", "-W", "20"], &message[..], &at].concat(),
            Some(0x10),
        ),
        ([&["check"], &at[..]].concat(), Some(0)),
        (
            [&["bench", "conn", "--time", "1"], &at[..]].concat(),
            Some(0),
        ),
    ] {
        let (said, code) = told(&args, PLANTED);
        assert_eq!(code, want, "{args:?}: {said}");
        log.push_str(&said);
    }
    for word in ["connecting", "proxy socks5://127.0.0.1", "ws://127.0.0.1"] {
        assert!(log.contains(word), "{word}: {log}");
    }
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn no_secret_is_told_with_what_is_wrong() {
    let huge = "hunter2".repeat(10_000);
    let mut log = String::new();
    for args in [
        &["sub", "-t", "a", "-P", &huge][..],
        &["sub", "-t", "a", "--psk", "hunter2", "--psk-identity", "me"],
        &["sub", "-t", "a", "--url", "wss://h:x/mqtt?token=hunter2"],
        &["sub", "-t", "a", "--url", "mqtt://me:hunter2@:1"],
        &["sub", "-t", "a", "--proxy", "ftp://me:hunter2@h"],
        &["sub", "-t", "a", "--will-payload", "hunter2"],
        &[
            "sub",
            "-t",
            "a",
            "-D",
            "connect",
            "authentication-data",
            "hunter2",
        ],
        &["pub", "-t", "a/#", "-m", "hunter2"],
        &["pub", "-t", "a", "-m", &huge, "--hex"],
        &["pub", "mqtt://me:hunter2@h"],
    ] {
        let (said, code) = told(args, &["-d"]);
        assert_eq!(code, Some(2), "{args:?}: {said}");
        log.push_str(&said);
    }
    assert!(log.contains("--psk: "), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
    let shown = ["config", "show", "-P", "hunter2", "--psk", "hunter2"];
    let urls = ["--url", "ws://me:hunter2@h/?hunter2"];
    let proxy = ["--proxy", "http://me:hunter2@h"];
    let ran = run(&[&shown[..], &urls, &proxy].concat());
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert!(ran.out.contains("(not shown)"), "{}", ran.out);
    assert!(!ran.out.contains("hunter2"), "{}", ran.out);
}

#[cfg(unix)]
#[test]
fn a_broker_tells_no_secret_in_its_log() {
    use std::io::{BufRead, BufReader};

    use crate::support::{fed, signal, start};

    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    let users = users.to_str().unwrap();
    assert_eq!(fed(&["passwd", users, "me"], b"hunter2\n").code, Some(0));
    assert!(!fs::read_to_string(users).unwrap().contains("hunter2"));
    let mut broker = start(&mut ohmqtt(&[
        "broker",
        "--port",
        "0",
        "--quiet",
        "-d",
        "--passwords",
        users,
    ]));
    let mut url = String::new();
    let stdout = broker.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut url).unwrap();
    let message = ["-t", "a", "-m", "hunter2-payload", "-r", "-q", "2"];
    for (password, want) in [("hunter2", 0), ("hunter22", 0x86)] {
        let at = ["pub", "--url", url.trim(), "-u", "me", "-P", password];
        let ran = run(&[&at[..], &message].concat());
        assert_eq!(ran.code, Some(want), "{}", ran.err);
    }
    signal(&broker, "TERM");
    let output = broker.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("client refused"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");

    // A password in the place of its hash.
    fs::write(users, "me:hunter2\n").unwrap();
    let ran = run(&["broker", "--port", "0", "--passwords", users]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("users:1"), "{}", ran.err);
    assert!(!ran.err.contains("hunter2"), "{}", ran.err);
}
