//! `cargo xtask bench mosquitto [--peers]`: what a client takes against a real broker, and how long a message takes there and back.
//!
//! Publishing is at QoS 1, a thousand messages under way, through one Mosquitto; with `--peers` by turns with rumqttc. A round trip is from
//! publishing to the acknowledgement, through the null broker of the benches, which adds the least: by turns with a bare socket of tokio
//! that says the same bytes, and with `--peers` with rumqttc. Client and null broker have a core each where there are two.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::available_parallelism;

use super::Asked;
use super::figures::{Figures, build};
use super::mosquitto::Mosquitto;
use super::peers::{self, WITHOUT};
use super::rows::{Goal, Row};
use crate::error::{Error, Result, failed};
use crate::project::{program, succeeds};

/// How many messages one turn publishes, and how many turns there are.
const MESSAGES: &str = "100000";
/// How many round trips are in a turn.
const TRIPS: &str = "5000";
const TURNS: usize = 7;

/// Of rumqttc's CPU time, of its rate, of a bare socket's round trip, and of rumqttc's 99th percentile.
const CPU: f64 = 0.25;
const RATE: f64 = 1.3;
const MEDIAN: f64 = 1.15;
const WORST: f64 = 1.0;

pub(super) fn run(asked: &Asked, all: &mut Vec<Row>) -> Result {
    let ours = build("client", "client")?;
    let peers = asked.peers.then(peers::build).transpose()?;
    let peers = peers.as_deref();
    all.extend(publishing(&ours, peers)?);
    all.extend(round_trips(&ours, peers)?);
    Ok(())
}

fn publishing(ours: &Path, peers: Option<&Path>) -> Result<Vec<Row>> {
    let broker = Mosquitto::start("mosquitto")?;
    let port = broker.port.to_string();
    let words = ["publish", &port, MESSAGES];
    let turns = Turns::take(ours, peers, |of| {
        let mut command = program(of);
        command.args(words);
        command
    })?;
    let (name, unit) = ("mosquitto/publish/1", "us of CPU");
    let cpu = Row::new(name, unit, turns.ours("us")?, Goal::None);
    let rate = turns.ours("rate")?;
    if peers.is_none() {
        return Ok(vec![
            cpu.alone(CPU, WITHOUT),
            Row::new(name, "messages a second", rate, Goal::None),
            Row::absent(name, "of rumqttc's rate", Goal::AtLeast(RATE), WITHOUT),
        ]);
    }
    let ratio = turns.ratio("rate")?;
    Ok(vec![
        cpu.beside(turns.ratio("us")?, CPU)
            .with_peer("rumqttc", turns.theirs("us")?),
        Row::new(name, "messages a second", rate, Goal::None).above(turns.theirs("rate")?),
        Row::new(name, "of rumqttc's rate", ratio, Goal::AtLeast(RATE)).with_peer("rumqttc", 1.0),
    ])
}

fn round_trips(ours: &Path, peers: Option<&Path>) -> Result<Vec<Row>> {
    let (near, far) = cores();
    let null = NullBroker::start(ours, far)?;
    let words = ["round", &null.port, TRIPS];
    let turns = Turns::take(ours, peers, |of| {
        let mut command = pinned(of, near);
        command.args(words);
        command
    })?;
    let name = "round trip/1";
    let median = Row::new(name, "us, median", turns.ours("p50")?, Goal::None)
        .beside(turns.within("p50", "raw_p50")?, MEDIAN)
        .with_peer("bare socket", turns.ours("raw_p50")?);
    let worst = Row::new(name, "us, 99th percentile", turns.ours("p99")?, Goal::None);
    if peers.is_none() {
        return Ok(vec![median, worst.alone(WORST, WITHOUT)]);
    }
    let theirs = turns.theirs("p50")?;
    let theirs = Row::new(format!("{name}, rumqttc"), "us, median", theirs, Goal::None);
    Ok(vec![
        median,
        worst
            .beside(turns.ratio("p99")?, WORST)
            .with_peer("rumqttc", turns.theirs("p99")?),
        theirs.above(turns.ours("raw_p50")?).aside(),
    ])
}

/// The figures of each turn, of ours and of the peer's.
struct Turns {
    ours: Vec<Figures>,
    theirs: Vec<Figures>,
}

impl Turns {
    fn take(ours: &Path, peers: Option<&Path>, run: impl Fn(&Path) -> Command) -> Result<Self> {
        let mut turns = Self {
            ours: Vec::new(),
            theirs: Vec::new(),
        };
        for _ in 0..TURNS {
            if let Some(peers) = peers {
                turns.theirs.push(Figures::of(&mut run(peers))?);
            }
            turns.ours.push(Figures::of(&mut run(ours))?);
        }
        Ok(turns)
    }

    fn ours(&self, name: &str) -> Result<f64> {
        median(self.ours.iter().map(|figures| figures.get(name)))
    }

    fn theirs(&self, name: &str) -> Result<f64> {
        median(self.theirs.iter().map(|figures| figures.get(name)))
    }

    /// Ours to the peer's, of turns that followed each other.
    fn ratio(&self, name: &str) -> Result<f64> {
        let pairs = self.ours.iter().zip(&self.theirs);
        median(pairs.map(|(ours, theirs)| Ok(ours.get(name)? / theirs.get(name)?)))
    }

    /// One of our figures to another of the same turn.
    fn within(&self, name: &str, to: &str) -> Result<f64> {
        let turns = self.ours.iter();
        median(turns.map(|figures| Ok(figures.get(name)? / figures.get(to)?)))
    }
}

fn median(values: impl Iterator<Item = Result<f64>>) -> Result<f64> {
    let mut values = values.collect::<Result<Vec<_>>>()?;
    values.sort_by(f64::total_cmp);
    match values.get(values.len() / 2) {
        Some(median) => Ok(*median),
        None => failed("nothing was measured"),
    }
}

/// A core for the client and one for the null broker, where programs can be bound to them.
fn cores() -> (Option<usize>, Option<usize>) {
    let two = available_parallelism().is_ok_and(|cores| cores.get() > 1);
    if two && succeeds(program("taskset").args(["-c", "0,1", "true"])) {
        (Some(0), Some(1))
    } else {
        println!("round trip: no taskset or a single core: not pinned");
        (None, None)
    }
}

fn pinned(of: &Path, core: Option<usize>) -> Command {
    match core {
        Some(core) => {
            let mut command = program("taskset");
            command.arg("-c").arg(core.to_string()).arg(of);
            command
        }
        None => program(of),
    }
}

/// The null broker of the benches, for as long as this is there.
struct NullBroker {
    process: Child,
    port: String,
}

impl NullBroker {
    fn start(of: &Path, core: Option<usize>) -> Result<Self> {
        let failure = |error: std::io::Error| Error::Failed(format!("the null broker: {error}"));
        let mut command = pinned(of, core);
        command.args(["null", "1"]);
        // It ends with its input, so also when this program is killed.
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(failure)?;
        let mut port = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output)
                .read_line(&mut port)
                .map_err(failure)?;
        }
        let port = port.trim().to_owned();
        Ok(Self { process, port })
    }
}

impl Drop for NullBroker {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It may have ended already.
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_of_turns_that_followed_each_other() {
        let turns = |values: [f64; 3]| {
            values
                .map(|value| Figures::read(&format!("us={value}")).unwrap())
                .into()
        };
        let turns = Turns {
            ours: turns([2.0, 30.0, 4.0]),
            theirs: turns([4.0, 60.0, 4.0]),
        };
        assert_eq!(turns.ours("us"), Ok(4.0));
        assert_eq!(turns.theirs("us"), Ok(4.0));
        assert_eq!(turns.ratio("us"), Ok(0.5));
        assert!(turns.ratio("rate").is_err());
    }

    #[test]
    fn of_nothing_there_is_no_median() {
        assert!(median(std::iter::empty()).is_err());
    }
}
