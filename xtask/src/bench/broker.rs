//! `cargo xtask bench broker`: how long an embedded broker takes to be ready, which every test that starts one waits for; and how many
//! messages it gives out for each second of its CPU time beside Mosquitto, when one publisher has many subscribers.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use super::Asked;
use super::figures::{Figures, build};
use super::mosquitto::Mosquitto;
use super::rows::{Goal, Row};
use crate::error::{Error, Result, failed};
use crate::project::{self, cargo, program, target};

/// How many are started, one after another.
const STARTS: u32 = 200;

/// From `Broker::builder()` to a broker that takes connections, in milliseconds: the median.
const GOAL: f64 = 5.0;

/// How many subscribers a message goes to.
const SUBSCRIBERS: [u32; 2] = [10, 100];
/// A hundred messages a round: so many of them go out in a turn, and so many turns has each.
const GIVEN: u32 = 500_000;
const TURNS: usize = 3;
/// So many times as many as Mosquitto's are to go out.
const RATE: f64 = 1.5;

pub(super) fn run(_: &Asked, all: &mut Vec<Row>) -> Result {
    let broker = build("broker", "broker")?;
    let figures = Figures::of(program(&broker).arg(STARTS.to_string()))?;
    let [ready, worst] = [figures.get("ready")?, figures.get("ready_worst")?];
    println!("broker: ready in {ready:.3} ms, at worst {worst:.3} ms (goal {GOAL} ms)");
    let [accepted, worst] = [figures.get("accepted")?, figures.get("accepted_worst")?];
    println!("broker: first client accepted in {accepted:.3} ms, at worst {worst:.3} ms");
    all.push(Row::new("broker/ready", "ms", ready, Goal::AtMost(GOAL)));

    let ours = Ours::start()?;
    let mosquitto = Mosquitto::start("fanout");
    for subscribers in SUBSCRIBERS {
        let name = format!("broker/to {subscribers} subscribers");
        let unit = "of Mosquitto's a CPU second";
        let goal = Goal::AtLeast(RATE);
        all.push(match &mosquitto {
            Ok(mosquitto) => {
                let ratio = fan_out(&ours, mosquitto, subscribers)?;
                Row::new(name, unit, ratio, goal).with_peer("Mosquitto", 1.0)
            }
            Err(error) => Row::absent(name, unit, goal, error.to_string()),
        });
    }
    Ok(())
}

/// The messages that ours gives out a second of its CPU time, to those of Mosquitto: the median of the turns.
fn fan_out(ours: &Ours, mosquitto: &Mosquitto, subscribers: u32) -> Result<f64> {
    let fanout = build("fanout", "broker")?;
    let rounds = GIVEN / 100 / subscribers;
    let turn = |port: u16, pid: u32| {
        let mut command = program(&fanout);
        for word in [port.into(), pid, subscribers, rounds] {
            command.arg(word.to_string());
        }
        Figures::of(&mut command)?.get("per_cpu_second")
    };
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        let theirs = turn(mosquitto.port, mosquitto.pid())?;
        let own = turn(ours.port, ours.process.id())?;
        println!(
            "broker: {own:.0} messages out to {subscribers} subscribers a CPU second, {theirs:.0} of Mosquitto: ratio {:.2} (goal {RATE})",
            own / theirs
        );
        turns.push(own / theirs);
    }
    turns.sort_by(f64::total_cmp);
    match turns.get(TURNS / 2) {
        Some(median) => Ok(*median),
        None => failed("no turn was measured"),
    }
}

/// Our broker as a process of its own: the example `broker`, which ends with this.
struct Ours {
    process: Child,
    port: u16,
}

impl Ours {
    fn start() -> Result<Self> {
        project::run(&mut cargo(
            "build --release --package ohmqtt-broker --example broker",
        ))?;
        let failure = |error: std::io::Error| Error::Failed(format!("the broker: {error}"));
        let mut command = program(target().join("release").join("examples").join("broker"));
        command.arg("mqtt://127.0.0.1:0").stdout(Stdio::piped());
        let process = command.spawn().map_err(failure)?;
        let mut ours = Self { process, port: 0 };
        let mut url = String::new();
        if let Some(stdout) = ours.process.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut url)
                .map_err(failure)?;
        }
        let port = url.trim().rsplit(':').next().map(str::parse);
        match port {
            Some(Ok(port)) => ours.port = port,
            _ => return failed(format!("the broker does not say where it listens: {url:?}")),
        }
        Ok(ours)
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
