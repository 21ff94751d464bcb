//! Running the command, and the brokers it talks to.

pub(crate) mod broker;
pub(crate) mod certs;
pub(crate) mod mosquitto;

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};

/// What a run came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The command, not run yet; nothing of the environment or of a configuration file counts.
pub(crate) fn ohmqtt(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ohmqtt"));
    command.args(args).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("OHMQTT_") {
            command.env_remove(name);
        }
    }
    command.env("OHMQTT_CONFIG", "/nonexistent/ohmqtt.toml");
    command.env("TZ", "UTC");
    command
}

/// Runs the command to its end.
pub(crate) fn run(args: &[&str]) -> Ran {
    ohmqtt(args).output().unwrap().into()
}

/// Runs it to its end, which is to be a good one, and gives what it printed.
pub(crate) fn done(args: &[&str]) -> String {
    let ran = run(args);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{args:?}");
    ran.out
}

/// Runs it with this on its standard input.
pub(crate) fn fed(args: &[&str], input: &[u8]) -> Ran {
    let mut command = ohmqtt(args);
    command.stdin(Stdio::piped());
    let mut process = start(&mut command);
    process.stdin.take().unwrap().write_all(input).unwrap();
    process.wait_with_output().unwrap().into()
}

/// Starts it, to be listened to.
pub(crate) fn start(command: &mut Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Sends a signal to a process that was not waited for, so that the number is still its own.
#[cfg(unix)]
pub(crate) fn signal(process: &Child, name: &str) {
    let status = Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\"", name])
        .arg(process.id().to_string())
        .status();
    assert!(status.unwrap().success());
}
