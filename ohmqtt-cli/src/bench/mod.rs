//! `ohmqtt bench`: how fast a broker, the way to it, and this client are together.
//!
//! Each kind of work (`work`) is a loop that tells a `Recorder` of each message; here they are started, looked at five times a
//! second, and ended.

mod chart;
mod recorder;
mod report;
mod usage;
mod work;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use ohmqtt_client::Qos;
use tokio::task::JoinSet;

use self::recorder::Recorder;
use self::report::Report;
use self::usage::Usage;
use crate::args::{ConnectionArgs, Place, qos, seconds};
use crate::failure::{FAILED, Failure, INTERRUPTED};
use crate::signal;

/// How often the live line is drawn, and a point of the chart taken.
const LOOK: Duration = Duration::from_millis(200);

/// Measure how fast a broker and the way to it are
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:
  ohmqtt bench pub -q 1 --clients 4            messages a second, and how long each takes to be acknowledged
  ohmqtt bench sub -t 'sensors/#'              what comes; with `bench pub` at the other end, how long it took
  ohmqtt bench pingpong -q 0 --size 100        there and back, a message at a time
  ohmqtt bench conn --clients 20               connections a second
  ohmqtt bench pub --url quic://localhost --json --svg pub.svg

Latencies are p50, p99 and p99.9: half, 99 and 99.9 percent were faster. Each client has --inflight messages under way, so a latency
under load is mostly waiting; pingpong has one."
)]
pub(crate) struct BenchArgs {
    /// What to do over and over
    #[arg(value_enum)]
    pub(super) kind: Kind,
    /// How long
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    time: Duration,
    /// How many clients at once
    #[arg(long, value_name = "CLIENTS", default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    clients: u16,
    /// How many messages a client has on their way
    #[arg(long, value_name = "MESSAGES", default_value = "100", value_parser = clap::value_parser!(u16).range(1..))]
    inflight: u16,
    /// The size of a payload, in bytes
    #[arg(long, value_name = "BYTES", default_value = "64")]
    size: usize,
    /// The topic, or for sub the filter
    #[arg(
        short = 't',
        long,
        value_name = "TOPIC",
        default_value = "ohmqtt/bench",
        env = "OHMQTT_TOPIC"
    )]
    topic: String,
    /// The QoS
    #[arg(short = 'q', long, value_name = "QOS", default_value = "1", value_parser = qos, env = "OHMQTT_QOS")]
    qos: Qos,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    /// Draw the messages a second and the latencies into this file, as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// What is done over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// Publish, and wait for the acknowledgements
    Pub,
    /// Take what comes
    Sub,
    /// Publish a message and wait for it to come back
    Pingpong,
    /// Connect and disconnect
    Conn,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Pub => "pub",
            Self::Sub => "sub",
            Self::Pingpong => "pingpong",
            Self::Conn => "conn",
        }
    }

    /// What is counted.
    fn unit(self) -> &'static str {
        match self {
            Self::Pub | Self::Sub => "messages",
            Self::Pingpong => "round trips",
            Self::Conn => "connections",
        }
    }
}

/// Measures, and reports.
pub(crate) async fn run(args: BenchArgs) -> Result<(), Failure> {
    args.connection
        .properties
        .only_for(&[Place::Connect, Place::Will])?;
    if args.clients > 1 && args.connection.id.is_some() {
        return Err(Failure::usage(
            "-i: clients of one name push each other out; give -I PREFIX or --clients 1",
        ));
    }
    let args = Arc::new(args);
    let recorders = (0..args.clients).map(|_| Recorder::new().map(Arc::new));
    let recorders: Vec<_> = recorders.collect::<Result<_, _>>().map_err(no_recorder)?;
    let mut ready = JoinSet::new();
    for (number, recorder) in recorders.iter().enumerate() {
        ready.spawn(work::prepare(
            Arc::clone(&args),
            number,
            Arc::clone(recorder),
        ));
    }
    let mut workers = Vec::new();
    while let Some(worker) = ready.join_next().await {
        workers.push(worker.map_err(|error| Failure::new(FAILED, error))??);
    }
    let usage = Usage::begin();
    let began = Instant::now();
    let mut working = JoinSet::new();
    for worker in workers {
        working.spawn(worker.work(began + args.time));
    }
    let mut watch = Watch::new(&args, began);
    let stop = signal::asked_to_stop();
    tokio::pin!(stop);
    let ended = loop {
        tokio::select! {
            done = working.join_next() => match done {
                None => break Ok(()),
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(failure))) => break Err(failure),
                Some(Err(error)) => break Err(Failure::new(FAILED, error)),
            },
            () = tokio::time::sleep_until(watch.next.into()) => watch.look(&recorders, &usage)?,
            () = &mut stop => break Err(Failure::silent(INTERRUPTED)),
        }
    };
    let took = began.elapsed();
    working.abort_all();
    watch.line.finish_and_clear();
    if let Err(failure) = &ended
        && failure.code != INTERRUPTED
    {
        return ended;
    }
    let total = recorder::total(&recorders).map_err(no_recorder)?;
    let report = Report {
        args: &args,
        total,
        took,
        used: usage.so_far(took),
        points: watch.points,
    };
    report.tell()?;
    ended
}

fn no_recorder(error: hdrhistogram::CreationError) -> Failure {
    Failure::new(FAILED, format!("bench: no histogram: {error}"))
}

/// Looks at the work while it is done.
struct Watch {
    began: Instant,
    next: Instant,
    before: (Instant, u64, u64),
    line: ProgressBar,
    /// Messages a second, by the end of each stretch in seconds.
    points: Vec<(f64, f64)>,
}

impl Watch {
    fn new(args: &BenchArgs, began: Instant) -> Self {
        let line = if args.connection.quiet || args.json {
            ProgressBar::hidden()
        } else {
            ProgressBar::new_spinner()
        };
        // A template of ours: it is right, or the plain one does.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            line.set_style(style);
        }
        Self {
            began,
            next: began + LOOK,
            before: (began, 0, 0),
            line,
            points: Vec::new(),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn look(&mut self, recorders: &[Arc<Recorder>], usage: &Usage) -> Result<(), Failure> {
        let now = Instant::now();
        let total = recorder::total(recorders).map_err(no_recorder)?;
        let (then, count, bytes) = self.before;
        let seconds = now.duration_since(then).as_secs_f64().max(0.001);
        let rate = (total.count - count) as f64 / seconds;
        let megabytes = (total.bytes - bytes) as f64 / seconds / 1e6;
        self.before = (now, total.count, total.bytes);
        self.next = now + LOOK;
        let elapsed = now.duration_since(self.began);
        self.points.push((elapsed.as_secs_f64(), rate));
        if self.line.is_hidden() {
            return Ok(());
        }
        let used = usage.so_far(elapsed);
        self.line.set_message(format!(
            "{:.1} s  {rate:.0}/s  {megabytes:.2} MB/s  {}  CPU {:.0} %  {}",
            elapsed.as_secs_f64(),
            report::latencies(&total.latency),
            used.processor * 100.0,
            report::memory(used.memory),
        ));
        self.line.tick();
        Ok(())
    }
}
