//! A Mosquitto of the test's own: its own port, configuration and persistence, stopped by its process id.
//!
//! Its log is what tests wait on: Mosquitto says there when it listens and what it does for whom.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use ohmqtt_client::{Client, ClientBuilder};
use tempfile::TempDir;

use super::free_port;

/// How long Mosquitto may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running Mosquitto. Dropping it kills it; a test that fails shows its log.
pub(crate) struct Mosquitto {
    folder: TempDir,
    port: u16,
    settings: Vec<String>,
    process: Option<Child>,
    lines: Receiver<String>,
    log: Vec<String>,
}

impl Mosquitto {
    /// Anonymous clients, sessions that survive a restart, no bound on what it queues for a client.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// As [`start`](Self::start), with further lines of configuration.
    pub(crate) fn with(settings: &[&str]) -> Self {
        Self::with_files(&[], settings)
    }

    /// As [`with`](Self::with), with files in its folder, which the configuration calls `{folder}`.
    pub(crate) fn with_files(files: &[(&str, &str)], settings: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let settings = settings.iter().map(ToString::to_string).collect();
        let (_, lines) = channel();
        let mut mosquitto = Self {
            folder,
            port: 0,
            settings,
            process: None,
            lines,
            log: Vec::new(),
        };
        // Another process may take the port between the look and the start.
        for _ in 0..20 {
            mosquitto.port = free_port();
            if mosquitto.try_run() {
                return mosquitto;
            }
        }
        panic!("mosquitto does not start:\n{}", mosquitto.log.join("\n"));
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// A file in its folder, such as `mosquitto.db`, where it saves its sessions.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A client of this broker, quick to come back.
    pub(crate) fn client(&self, id: &str) -> ClientBuilder {
        Client::builder(self.url())
            .client_id(id)
            .backoff(Duration::from_millis(10), Duration::from_millis(100))
    }

    /// Stops it in order: it saves its sessions and is gone when this returns.
    pub(crate) fn stop(&mut self) {
        let mut process = self.process.take().expect("mosquitto runs");
        signal(&process, "TERM");
        process.wait().unwrap();
    }

    /// Holds it still: what is sent to it waits in the network.
    pub(crate) fn pause(&self) {
        signal(self.process.as_ref().expect("mosquitto runs"), "STOP");
    }

    /// Ends it as a crash does: nothing is saved.
    pub(crate) fn crash(&mut self) {
        let mut process = self.process.take().expect("mosquitto runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Starts it again on the same port, with what it has saved.
    pub(crate) fn run(&mut self) {
        assert!(self.try_run(), "mosquitto: {}", self.log.join("\n"));
    }

    /// Stops it in order and starts it again.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.run();
    }

    /// Waits until its log says so, from where the last wait ended.
    pub(crate) fn wait_for(&mut self, text: &str) {
        assert!(self.logs(text), "mosquitto never logs '{text}'");
    }

    fn logs(&mut self, text: &str) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    let found = line.contains(text);
                    self.log.push(line);
                    if found {
                        return true;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// Whether it listens, rather than ends because the port is taken.
    fn try_run(&mut self) -> bool {
        let conf = self.file("mosquitto.conf");
        fs::write(&conf, self.configuration()).unwrap();
        let mut process = Command::new(program("mosquitto"))
            .arg("-c")
            .arg(conf)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let (line, lines) = channel();
        thread::spawn(move || {
            log.split(b'\n')
                .map_while(Result::ok)
                .try_for_each(|bytes| line.send(String::from_utf8_lossy(&bytes).into_owned()))
        });
        self.process = Some(process);
        let before = std::mem::replace(&mut self.lines, lines);
        self.log.extend(before);
        self.logs(" running")
    }

    fn configuration(&self) -> String {
        let (port, folder) = (self.port, self.folder.path().display());
        // Started as root it would become a user who cannot read the folder.
        let mut conf = format!(
            "listener {port} 127.0.0.1\nuser root\npersistence true\npersistence_location {folder}/\n\
             max_queued_messages 0\nset_tcp_nodelay true\nlog_dest stderr\nlog_type all\n"
        );
        if !self.settings.iter().any(|line| line.contains("anonymous")) {
            conf.push_str("allow_anonymous true\n");
        }
        for line in &self.settings {
            conf.push_str(&line.replace("{folder}", &folder.to_string()));
            conf.push('\n');
        }
        conf
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        if thread::panicking() {
            self.log.extend(self.lines.iter());
            let last = self.log.len().saturating_sub(100);
            eprintln!("mosquitto's log:\n{}", self.log[last..].join("\n"));
        }
    }
}

/// Sends a signal to a process. It is a child that was not waited for, so the number is still its own.
fn signal(process: &Child, name: &str) {
    let status = Command::new("sh")
        .args([
            "-c",
            "kill -s \"$0\" \"$1\"",
            name,
            &process.id().to_string(),
        ])
        .status();
    assert!(status.unwrap().success());
}

/// The program's path: daemons stand in folders that are only in root's `PATH`.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let daemons = ["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(daemons)
        .map(|folder| folder.join(name))
        .find(|path| Path::is_file(path))
        .unwrap_or_else(|| {
            panic!(
                "{name} not found: install it (Debian: apt-get install mosquitto mosquitto-clients)"
            )
        })
}
