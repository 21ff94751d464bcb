//! A Mosquitto of the test's own on a free port, stopped by its process id, and Mosquitto's commands.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::{env, fs, thread};

use tempfile::TempDir;

/// A running Mosquitto. Dropping it kills it.
pub(crate) struct Mosquitto {
    _folder: TempDir,
    port: u16,
    process: Child,
}

impl Mosquitto {
    /// For anonymous clients.
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        // Another process may take the port between the look and the start.
        for _ in 0..20 {
            let port = free_port();
            if let Some(process) = listening(folder.path(), port) {
                return Self {
                    _folder: folder,
                    port,
                    process,
                };
            }
        }
        panic!("mosquitto does not start");
    }

    pub(crate) fn port(&self) -> String {
        self.port.to_string()
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn listening(folder: &Path, port: u16) -> Option<Child> {
    let conf = folder.join("mosquitto.conf");
    // Started as root it would become a user who cannot read the folder.
    let settings = format!(
        "listener {port} 127.0.0.1\nuser root\nallow_anonymous true\nlog_dest stderr\nlog_type all\n"
    );
    fs::write(&conf, settings).unwrap();
    let mut process = Command::new(program("mosquitto"))
        .arg("-c")
        .arg(conf)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
    let runs = log.any(|line| line.is_ok_and(|line| line.contains(" running")));
    thread::spawn(move || log.for_each(drop));
    if runs {
        return Some(process);
    }
    process.wait().unwrap();
    None
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

/// A port nobody listens on, below those the system gives to outgoing connections.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 600).unwrap() * 20;
    loop {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
