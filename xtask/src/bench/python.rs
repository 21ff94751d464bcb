//! `cargo xtask bench python [--peers]`: what the Python package costs: its codec, publishing and receiving, and its import.
//!
//! The wheel is a release build, in a virtual environment of its own under the target folder. With `--peers` other packages are
//! measured by turns with it, and its ratio to them has a goal; the pure-Python package of our name has an environment of its own.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use super::Asked;
use super::figures::{Figures, Folder};
use super::rows::{Goal, Row};
use crate::debian::{self, MOSQUITTO};
use crate::error::{Error, Result, failed};
use crate::project::{program, root};
use crate::py::Venv;

/// So many times mqtt5's time may a packet take that most traffic is made of.
const GOVERNED: [&str; 3] = ["publish", "connect", "subscribe"];
const CODEC: [(&str, f64); 3] = [("read", 0.6), ("write", 0.4), ("many", 0.25)];
/// And any other.
const OTHERS: [&str; 12] = [
    "connack",
    "puback",
    "pubrec",
    "pubrel",
    "pubcomp",
    "suback",
    "unsubscribe",
    "unsuback",
    "pingreq",
    "pingresp",
    "disconnect",
    "auth",
];
const ANY: f64 = 0.95;

/// So much of the CPU time of the best peer may a message take.
const EXCHANGE: [(&str, f64); 5] = [
    ("publish0", 0.15),
    ("publish1", 0.1),
    ("publish2", 0.08),
    ("receive0", 0.35),
    ("receive1", 0.1),
];

/// So many times mqtt5's may the import take.
const IMPORT: [(&str, &str, &str, f64); 2] = [
    ("ohmqtt_us", "import/time", "us of CPU", 4.0),
    ("ohmqtt_kib", "import/memory", "KiB", 3.0),
];

/// The broker is asked so often, with as long a pause, whether it takes connections.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

pub(super) fn run(asked: &Asked, all: &mut Vec<Row>) -> Result {
    let rows = measure(asked.peers)?;
    let missed = rows.iter().filter(|row| row.met() == Some(false)).count();
    all.extend(rows);
    if asked.check && missed > 0 {
        return failed(format!("{missed} goals missed"));
    }
    Ok(())
}

fn measure(peers: bool) -> Result<Vec<Row>> {
    let ours = Venv::provide_in("bench-py", &script("requirements.txt"))?;
    ours.install_release()?;
    let before = if peers {
        let requirements = script("requirements-ohmqtt.txt");
        Some(Venv::provide_in("bench-py-before", &requirements)?)
    } else {
        None
    };
    let run = |name: &str, arg: Option<String>| {
        let mut python = ours.program("python");
        python.arg(script(name)).args(arg);
        if let Some(before) = &before {
            python.arg("--peers").arg(before.path("python"));
        }
        Figures::of(&mut python)
    };
    let read = |figures: &Figures, row: String, unit, figure: &str, goal| -> Result<Row> {
        let row = Row::new(row, unit, figures.get(figure)?, Goal::None);
        if peers {
            let ratio = figures.get(&format!("{figure}_ratio"))?;
            Ok(row.beside(ratio, goal))
        } else {
            Ok(row)
        }
    };

    let mut rows = Vec::new();
    let figures = run("codec.py", None)?;
    for packet in GOVERNED.iter().chain(&OTHERS) {
        for (work, goal) in CODEC {
            let goal = if GOVERNED.contains(packet) { goal } else { ANY };
            let row = format!("python/{work}/{packet}");
            let name = format!("{work}_{packet}");
            rows.push(read(&figures, row, "ns of CPU", &name, goal)?);
        }
    }
    let broker = Mosquitto::start()?;
    let figures = run("exchange.py", Some(broker.port.to_string()))?;
    drop(broker);
    for (name, goal) in EXCHANGE {
        rows.push(read(
            &figures,
            format!("python/{name}"),
            "us of CPU",
            name,
            goal,
        )?);
    }
    let figures = run("imports.py", None)?;
    for (name, row, unit, goal) in IMPORT {
        rows.push(read(&figures, format!("python/{row}"), unit, name, goal)?);
    }
    Ok(rows)
}

/// A file of the benches.
fn script(name: &str) -> PathBuf {
    root().join("ohmqtt-py").join("bench").join(name)
}

/// A broker on the loopback that keeps nothing back, for as long as this is there.
struct Mosquitto {
    process: Child,
    port: u16,
    _folder: Folder,
}

impl Mosquitto {
    fn start() -> Result<Self> {
        debian::provide(&MOSQUITTO)?;
        let failure = |error: std::io::Error| Error::Failed(format!("mosquitto: {error}"));
        // Free now, and hardly taken in the meantime: it would be heard of at once.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|free| free.local_addr())
            .map_err(failure)?
            .port();
        let folder = Folder::new("python")?;
        let settings = folder.0.join("mosquitto.conf");
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 0\n\
             max_inflight_messages 1000\nset_tcp_nodelay true\nlog_type error\n"
        );
        fs::write(&settings, text).map_err(failure)?;
        let mut mosquitto: Command = program("mosquitto");
        mosquitto.env("PATH", debian::search_path());
        let process = mosquitto.arg("-c").arg(settings).spawn().map_err(failure)?;
        let mut broker = Self {
            process,
            port,
            _folder: folder,
        };
        for _ in 0..TRIES {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(broker);
            }
            if let Ok(Some(status)) = broker.process.try_wait() {
                return failed(format!("mosquitto: {status}"));
            }
            sleep(PAUSE);
        }
        failed("mosquitto takes no connections")
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
