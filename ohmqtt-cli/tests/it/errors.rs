//! What is told when something is wrong: the address, the phase, the reason and the next step, and the exit code. The table is
//! `errors.txt`; `SNAPSHOTS=overwrite` writes it anew.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use ohmqtt_broker::{Certificates, Identity, Limits, ListenOptions, Qos, ReasonCode};
use ohmqtt_codec::PacketType;
use snapbox::{Assert, Data};

use crate::support::broker::TestBroker;
use crate::support::certs::{Authority, Issued, self_signed};
use crate::support::ohmqtt;

/// The table, a run after another.
#[derive(Default)]
struct Table {
    text: String,
    /// What differs from run to run, and what stands for it.
    hidden: Vec<(String, &'static str)>,
}

impl Table {
    fn hide(&mut self, what: &impl ToString, name: &'static str) {
        self.hidden.push((what.to_string(), name));
    }

    /// Runs the command, which is to fail, in this folder.
    fn row(&mut self, folder: &Path, title: &str, args: &[&str]) {
        let output = ohmqtt(args).current_dir(folder).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code().unwrap();
        assert_ne!(code, 0, "{title}");
        assert!(output.stdout.is_empty(), "{title}");
        let mut row = format!("# {title}\n$ ohmqtt {}\n{said}= {code}\n\n", args.join(" "));
        for (what, name) in &self.hidden {
            row = replaced(&row, what, name);
        }
        // What rustls tells of a clock.
        let moments = |word: &str| word.len() > 8 && word.bytes().all(|byte| byte.is_ascii_digit());
        let words = row.split_inclusive([' ', '(']).map(|word| {
            let end = word.trim_end_matches([' ', '(']);
            if moments(end) {
                word.replace(end, "[MOMENT]")
            } else {
                word.to_owned()
            }
        });
        let row: String = words.collect();
        self.text.push_str(&row);
    }
}

/// The row with a name in the place of this, but where it is part of a longer number: the port may be one of any five digits.
fn replaced(row: &str, what: &str, name: &str) -> String {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let (bytes, mut result, mut rest) = (row.as_bytes(), String::new(), 0);
    for (at, _) in row.match_indices(what) {
        let end = at + what.len();
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        if !is_digit(before) && !is_digit(bytes.get(end)) {
            result += &row[rest..at];
            result += name;
            rest = end;
        }
    }
    result + &row[rest..]
}

#[test]
fn a_port_within_a_longer_number_is_not_hidden() {
    let row = "-p 42949: up to 4294967295, 142949 or 42949";
    let want = "-p [PORT]: up to 4294967295, 142949 or [PORT]";
    assert_eq!(replaced(row, "42949", "[PORT]"), want);
}

/// Answers each connection with these bytes once it has said something, and hangs up; without any it says nothing.
fn scripted(answer: Option<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    thread::spawn(move || {
        let mut kept: Vec<TcpStream> = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(answer) = &answer else {
                kept.push(stream);
                continue;
            };
            let _ = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(answer).unwrap();
        }
    });
    port
}

#[test]
fn whoever_fails_says_where_when_why_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut table = Table::default();
    table.hide(&folder.display(), "[FOLDER]");
    unreachable(&mut table, folder);
    refused(&mut table, folder);
    certificates(&mut table, folder);
    messages(&mut table, folder);
    command_lines(&mut table, folder);
    let known = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/errors.txt");
    let known = Data::read_from(&known, None).raw();
    Assert::new()
        .action_env("SNAPSHOTS")
        .eq(format!("{}\n", table.text.trim_end()), known);
}

fn unreachable(table: &mut Table, folder: &Path) {
    table.row(
        folder,
        "nothing listens",
        &["pub", "-p", "1", "-t", "a", "-m", "x"],
    );
    table.row(
        folder,
        "nothing listens at a socket",
        &["sub", "--unix", "/nonexistent/socket", "-t", "a"],
    );
    table.row(
        folder,
        "no such host",
        // Its first sign says that it is none: nobody is asked for it.
        &["sub", "--url", "mqtt://-nowhere.invalid", "-t", "a"],
    );
    let silent = scripted(None);
    table.hide(&silent, "[SILENT]");
    table.row(
        folder,
        "nobody answers",
        &[
            "pub",
            "-p",
            &silent,
            "-t",
            "a",
            "-m",
            "x",
            "--connect-timeout",
            "2",
        ],
    );
    let web = scripted(Some(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()));
    table.hide(&web, "[WEB]");
    table.row(
        folder,
        "not a broker",
        &["pub", "-p", &web, "-t", "a", "-m", "x"],
    );
    let closes = scripted(Some(Vec::new()));
    table.hide(&closes, "[CLOSES]");
    table.row(
        folder,
        "hangs up",
        &["pub", "-p", &closes, "-t", "a", "-m", "x"],
    );
    let old = scripted(Some(vec![0x20, 2, 0, 1]));
    table.hide(&old, "[OLD]");
    table.row(
        folder,
        "speaks MQTT 3.1.1 alone",
        &["pub", "-p", &old, "-t", "a", "-m", "x"],
    );
}

fn refused(table: &mut Table, folder: &Path) {
    let codes = ReasonCode::ALL
        .iter()
        .filter(|reason| reason.is_error() && reason.allowed_in(PacketType::ConnAck));
    for reason in codes {
        let port = scripted(Some(vec![0x20, 3, 0, u8::from(*reason), 0]));
        table.hide(&port, "[PORT]");
        let title = format!("refused: {}", reason.name());
        table.row(folder, &title, &["pub", "-p", &port, "-t", "a", "-m", "x"]);
    }
}

fn secure(issued: &Issued) -> Identity {
    Identity::from_files(&issued.certificate, &issued.key).unwrap()
}

fn certificates(table: &mut Table, folder: &Path) {
    let trusted = Authority::new(folder, "trusted");
    let other = Authority::new(folder, "other");
    let listen = |options: ListenOptions| {
        TestBroker::with(|builder| builder.listen_with("mqtts://localhost:0", options))
    };
    let mut row = |title: &str, broker: &TestBroker, more: &[&str]| {
        let (url, port) = (broker.url(), broker.port());
        let mut args = vec!["pub", "--url", &url, "-t", "a", "-m", "x"];
        args.extend(more);
        table.hide(&port, "[TLS]");
        table.row(folder, title, &args);
    };
    let trust = ["--cafile", "trusted.pem"];
    let broker = listen(secure(&other.issue("unknown", "localhost")).into());
    row("a certificate of an unknown authority", &broker, &trust);
    let broker = listen(secure(&self_signed(folder, "own", "localhost")).into());
    row("a self-signed certificate", &broker, &trust);
    let broker = listen(secure(&trusted.issue("elsewhere", "elsewhere.example")).into());
    row("a certificate for another name", &broker, &trust);
    let broker = listen(secure(&trusted.issue_until("expired", "localhost", 2001)).into());
    row("an expired certificate", &broker, &trust);
    let identity = secure(&trusted.issue("good", "localhost"));
    let clients = Certificates::from_file(folder.join("trusted.pem")).unwrap();
    let options = ListenOptions::new()
        .identity(identity)
        .require_client_certificates(clients);
    let broker = listen(options);
    row("no client certificate", &broker, &trust);
    other.issue("client", "localhost");
    let with_other = [
        "--cafile",
        "trusted.pem",
        "--cert",
        "client.pem",
        "--key",
        "client.key",
    ];
    row(
        "a client certificate of an unknown authority",
        &broker,
        &with_other,
    );
    let plain = TestBroker::start();
    let (url, port) = (format!("mqtts://localhost:{}", plain.port()), plain.port());
    table.hide(&port, "[PLAIN]");
    table.row(
        folder,
        "no TLS there",
        &["pub", "--url", &url, "-t", "a", "-m", "x", "--insecure"],
    );
}

fn messages(table: &mut Table, folder: &Path) {
    let mut limits = Limits::default();
    limits.packet_size = 1000.try_into().unwrap();
    limits.maximum_qos = Qos::AtLeastOnce;
    limits.retain_available = false;
    limits.wildcard_subscription_available = false;
    fs::write(
        folder.join("acl"),
        "topic readwrite mine\ntopic write write\n",
    )
    .unwrap();
    let broker = TestBroker::with(|builder| {
        let builder = builder.listen("mqtt://127.0.0.1:0").limits(limits);
        builder.acl(folder.join("acl"))
    });
    let port = broker.port();
    table.hide(&port, "[BROKER]");
    fs::write(folder.join("large"), vec![b'x'; 2000]).unwrap();
    table.row(
        folder,
        "a payload that is too large",
        &["pub", "-p", &port, "-t", "mine", "-f", "large"],
    );
    table.row(
        folder,
        "a QoS that is too high",
        &["pub", "-p", &port, "-t", "mine", "-m", "x", "-q", "2"],
    );
    table.row(
        folder,
        "retained where nothing is",
        &["pub", "-p", &port, "-t", "mine", "-m", "x", "-r"],
    );
    table.row(
        folder,
        "no right to publish",
        &["pub", "-p", &port, "-t", "yours", "-m", "x", "-q", "1"],
    );
    table.row(
        folder,
        "no right to subscribe",
        &["sub", "-p", &port, "-t", "yours"],
    );
    table.row(
        folder,
        "no wildcards there",
        &["sub", "-p", &port, "-t", "mine/#"],
    );
    table.row(
        folder,
        "nothing comes in time",
        &["sub", "-p", &port, "-t", "mine", "-C", "1", "-W", "2"],
    );
    table.row(
        folder,
        "nobody is asked",
        &[
            "rr", "-p", &port, "-t", "write", "-e", "mine", "-m", "?", "-W", "2",
        ],
    );
}

/// Command lines that are wrong before anything is tried, and files that are; a title, and the arguments without a space in them.
const COMMAND_LINES: &[(&str, &str)] = &[
    ("a topic with a wildcard", "pub -t a/# -m x"),
    ("an empty topic", "pub -t  -m x"),
    ("a filter with a '#' inside", "sub -t a/#/b -p 1"),
    ("no topic", "sub"),
    ("no payload", "pub -t a"),
    ("two payloads", "pub -t a -m x -n"),
    ("no such file", "pub -t a -f missing"),
    ("no such authority", "pub -t a -m x --cafile missing.pem"),
    ("no certificate in the file", "pub -t a -m x --cafile acl"),
    (
        "no such password",
        "pub -t a -m x -u me --password-file missing",
    ),
    (
        "a store of no known kind",
        "pub -t a -m x --store outbox -i me",
    ),
    (
        "a store that is none",
        "pub -t a -m x --store text.redb -i me",
    ),
    (
        "a store without a name",
        "pub -t a -m x -q 1 --store new.redb",
    ),
    ("a session without a name", "sub -t a -c"),
    (
        "a scheme that is none",
        "sub -t a --url http://me:secret@host/?key=secret",
    ),
    (
        "a port that is none",
        "sub -t a --url mqtt://me:secret@host:port",
    ),
    (
        "a proxy that is none",
        "sub -t a --proxy ftp://me:secret@host",
    ),
    ("an old version", "sub -t a -V mqttv311"),
    ("an old version of TLS", "sub -t a --tls-version tlsv1.1"),
    (
        "a cipher that is none",
        "sub -t a --tls-use-os-certs --ciphers HIGH",
    ),
    (
        "keys that both sides share",
        "sub -t a --psk c0ffee --psk-identity me",
    ),
    ("an address that is none", "sub -t a -A eth0"),
    ("a QoS that is none", "sub -t a -q 3"),
    (
        "a property that is none",
        "pub -t a -m x -D publish colour red",
    ),
    (
        "a property that stands elsewhere",
        "pub -t a -m x -D publish receive-maximum 1",
    ),
    (
        "a value that is none",
        "pub -t a -m x -D publish message-expiry-interval soon",
    ),
    ("a format that is none", "sub -t a -F %y"),
    ("digits that are none", "pub -t a -m xyz --hex"),
    (
        "an option that is none",
        "pub --colour mqtt://me:secret@host",
    ),
    ("a word too many", "pub mqtt://me:secret@host"),
];

fn command_lines(table: &mut Table, folder: &Path) {
    let text = "no store at all, but long enough to look like one";
    fs::write(folder.join("text.redb"), text).unwrap();
    for (title, args) in COMMAND_LINES {
        let args: Vec<_> = args.split(' ').collect();
        table.row(folder, title, &args);
    }
}
