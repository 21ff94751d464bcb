//! `ohmqtt broker` and `ohmqtt passwd`: a process that is a broker.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Read};
use std::path::Path;
use std::process::{Child, ChildStdout};

use crate::support::{Ran, done, fed, ohmqtt, run, start};

/// A broker that runs in this folder. Dropping it kills it.
struct Running {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(folder: &Path, args: &[&str]) -> Self {
        let mut command = ohmqtt(&["broker"]);
        let mut process = start(command.args(args).current_dir(folder));
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// The next line with this in it, from there on.
    fn line(&mut self, text: &str) -> String {
        let found = self.lines.by_ref().map(Result::unwrap);
        let mut found = found.filter_map(|line| line.find(text).map(|at| line[at..].to_owned()));
        found.next().unwrap_or_else(|| {
            let mut said = String::new();
            let stderr = self.process.stderr.as_mut().unwrap();
            stderr.read_to_string(&mut said).unwrap();
            panic!("no line with {text}: {said}")
        })
    }

    #[cfg(unix)]
    fn stop(mut self) -> Ran {
        crate::support::signal(&self.process, "TERM");
        let status = self.process.wait().unwrap();
        let mut err = String::new();
        let stderr = self.process.stderr.as_mut().unwrap();
        stderr.read_to_string(&mut err).unwrap();
        Ran {
            code: status.code(),
            out: String::new(),
            err,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a line that a broker has printed to be pasted, with more arguments.
fn paste(line: &str, more: &[&str]) -> Ran {
    let args: Vec<_> = line
        .split(' ')
        .skip(1)
        .map(|arg| arg.trim_matches('\''))
        .collect();
    run(&[&args[..], more].concat())
}

#[cfg(unix)]
#[test]
fn the_lines_of_the_banner_work_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    for tls in [&[][..], &["--tls", "self-signed"]] {
        let args = [&["--port", "0"][..], tls].concat();
        let mut broker = Running::start(folder.path(), &args);
        let (subscribe, publish) = (broker.line("ohmqtt sub"), broker.line("ohmqtt pub"));
        let published = paste(&publish, &["-r", "-q", "1"]);
        assert_eq!(published.code, Some(0), "{}", published.err);
        let printed = paste(&subscribe, &["-C", "1", "-W", "60"]);
        assert_eq!(printed.out, "hello world\n", "{}", printed.err);
        let ran = broker.stop();
        assert_eq!(ran.code, Some(0));
        let want = "ohmqtt: stopped: 1 messages published, 1 delivered, 0 dropped; up to 1 clients at once\n";
        assert_eq!(ran.err, want);
    }
}

#[cfg(unix)]
#[test]
fn a_file_says_what_the_command_line_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    let users = users.to_str().unwrap();
    assert_eq!(fed(&["passwd", users, "me"], b"s3cret\n").code, Some(0));
    fs::write(folder.path().join("rights"), "user me\ntopic mine/#\n").unwrap();
    let file = "listen = [\"mqtt://localhost:0\", \"ws://localhost:0\"]\npasswords = \"users\"\nacl = \"rights\"\n\
        store = \"broker.redb\"\n[limits]\nmaximum-qos = 1\n";
    let config = folder.path().join("broker.toml");
    fs::write(&config, file).unwrap();
    let args = ["--quiet", "--config", config.to_str().unwrap()];
    let login = ["-u", "me", "-P", "s3cret"];
    let mut broker = Running::start(Path::new("/"), &args);
    for scheme in ["mqtt", "ws"] {
        let url = broker.line(scheme);
        let publish = ["pub", "--url", &url, "-t", "mine/1", "-m", "x", "-q"];
        assert_eq!(run(&[&publish[..], &["1"]].concat()).code, Some(0x87));
        done(&[&publish[..], &["1", "-r"], &login].concat());
        assert_eq!(
            run(&[&publish[..], &["2"], &login].concat()).code,
            Some(0x9B)
        );
        let theirs = ["pub", "--url", &url, "-t", "theirs", "-m", "x", "-q", "1"];
        assert_eq!(run(&[&theirs[..], &login].concat()).code, Some(0x87));
    }
    assert_eq!(broker.stop().err, "");
    // What was retained is in the store.
    let mut broker = Running::start(folder.path(), &args);
    let url = broker.line("mqtt");
    let args = ["sub", "--url", &url, "-t", "mine/#", "-C", "1", "-W", "60"];
    assert_eq!(done(&[&args[..], &login].concat()), "x\n");
}

#[test]
fn a_broker_breaks_what_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--port", "0", "--quiet", "--fault", "refuse=0x89"];
    let mut broker = Running::start(folder.path(), &args);
    let url = broker.line("mqtt");
    let ran = run(&["pub", "--url", &url, "-t", "a", "-m", "x"]);
    assert_eq!(ran.code, Some(0x89), "{}", ran.err);
}

#[test]
fn a_broker_that_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("wrong.toml"),
        "port = 0\ncolour = \"red\"\n",
    )
    .unwrap();
    let check = |args: &[&str], code: i32, want: &str| {
        let output = ohmqtt(&["broker"])
            .args(args)
            .current_dir(folder.path())
            .output();
        let ran: Ran = output.unwrap().into();
        assert_eq!(ran.code, Some(code), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(want), "{args:?}: {}", ran.err);
    };
    check(&["--listen", "mqtt://0.0.0.0:0"], 2, "--passwords FILE");
    check(
        &["--listen", "http://localhost"],
        2,
        "unknown scheme `http`",
    );
    check(&["--listen", "mqtts://localhost:0"], 1, "no certificate");
    check(&["--config", "missing.toml"], 1, "--config 'missing.toml'");
    check(&["--config", "wrong.toml"], 2, "unknown field `colour`");
    check(&["--port", "0", "--passwords", "missing"], 1, "missing");
    check(&["--port", "0", "--fault", "noise"], 2, "silence");
    check(&["--port", "0", "--cert", "one.pem"], 2, "--key");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mqtt://127.0.0.1:{}", taken.local_addr().unwrap().port());
    check(&["--listen", &url], 1, "address in use");
}

#[test]
fn a_user_is_added_changed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    let users = users.to_str().unwrap();
    assert_eq!(fed(&["passwd", users, "me"], b"one\n").code, Some(0));
    let first = fs::read_to_string(users).unwrap();
    assert_eq!(fed(&["passwd", users, "me"], b"two\n").code, Some(0));
    let second = fs::read_to_string(users).unwrap();
    assert!(first.starts_with("me:$argon2id$") && second.starts_with("me:$argon2id$"));
    assert_ne!(first, second);
    assert_eq!(fed(&["passwd", users, "me"], b"\n").code, Some(2));
    done(&["passwd", users, "me", "--delete"]);
    assert_eq!(fs::read_to_string(users).unwrap(), "");
    let ran = run(&["passwd", users, "me", "--delete"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("no user 'me'"), "{}", ran.err);
}
