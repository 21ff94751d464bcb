//! `cargo xtask bench python [--peers]`: what the Python package costs: its codec, publishing and receiving, and its import.
//!
//! The wheel is a release build, in a virtual environment of its own under the target folder. With `--peers` other packages are
//! measured by turns with it, and its ratio to them has a goal; the pure-Python package of our name has an environment of its own.

use std::path::PathBuf;

use super::Asked;
use super::figures::Figures;
use super::mosquitto::Mosquitto;
use super::peers::WITHOUT;
use super::rows::{Goal, Row};
use crate::error::Result;
use crate::project::root;
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

pub(super) fn run(asked: &Asked, all: &mut Vec<Row>) -> Result {
    all.extend(measure(asked.peers)?);
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
            Ok(row.alone(goal, WITHOUT))
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
    let broker = Mosquitto::start("python")?;
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

/// Whether this row is of a packet that little traffic is made of.
pub(super) fn is_rare(row: &Row) -> bool {
    let packet = row
        .name
        .strip_prefix("python/")
        .and_then(|name| name.split_once('/'));
    packet.is_some_and(|(_, packet)| OTHERS.contains(&packet))
}

/// A file of the benches.
fn script(name: &str) -> PathBuf {
    root().join("ohmqtt-py").join("bench").join(name)
}
