//! The rig of one line: its processes, what befalls them in each round, and how it all drains in the end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::{Instant, sleep_until};

use crate::broker::Broker;
use crate::ledger::{Entries, Ledger, SPAN, Tally};
use crate::line::{Choice, Line};
use crate::plan::{Manner, Plan, Round, Step};
use crate::process::{Process, Voice};
use crate::proxy::{Proxy, Reach};
use crate::trace::Trace;
use crate::{Result, role, stamp};

/// When so many messages are under way, a round begins with waiting until fewer are: what is queued has its bounds.
const MANY: usize = 3_000;
const FEW: usize = 1_000;

/// A flood comes on top of no more than this.
const LOW: usize = 500;

/// What came out of a line.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    /// Why it did not come to its end.
    pub(crate) problem: Option<String>,
    /// Stores, traces and what was said to standard error.
    pub(crate) folder: PathBuf,
}

/// Runs a line.
#[derive(Debug)]
pub(crate) struct Rig<'a> {
    line: Line,
    folder: &'a Path,
    trace: Trace,
    ledger: Arc<Ledger>,
    broker: Broker,
    to_publisher: Proxy,
    to_subscriber: Proxy,
    publisher: Option<Process>,
    subscriber: Option<Process>,
    /// The publisher's lives so far.
    lives: u64,
    offline: bool,
    upstream: Option<std::net::SocketAddr>,
}

impl Rig<'_> {
    /// Runs `rounds` rounds, which the seed and the line decide.
    ///
    /// # Errors
    /// When there is no line to run: a folder or a program is missing.
    pub(crate) async fn run(line: Line, rounds: u32, seed: u64) -> Result<Outcome> {
        let folder = tempfile::Builder::new().prefix("ohmqtt-crash-").tempdir()?;
        // Whoever ends this before its time wants to know what happened so far.
        let folder = folder.keep();
        let trace = Trace::new(&folder)?;
        trace.note("rig", &format!("{line} rounds={rounds} seed={seed}"));
        let mut rig = Rig {
            line,
            folder: &folder,
            trace: trace.clone(),
            ledger: Arc::new(Ledger::new()),
            broker: Broker::new(line.broker, line.store, &folder, &trace),
            to_publisher: Proxy::start(Reach::AnyConnection).await?,
            to_subscriber: Proxy::start(if line.is_subscriber_touchy() {
                Reach::ThisConnection
            } else {
                Reach::AnyConnection
            })
            .await?,
            publisher: None,
            subscriber: None,
            lives: 0,
            offline: false,
            upstream: None,
        };
        rig.start_broker().await?;
        let mut plan = Plan::new(seed ^ number(line));
        let mut problem = rig.run_rounds(&mut plan, rounds).await.err();
        if problem.is_some() {
            // What has ended by itself is the better explanation.
            problem = rig.check().err().or(problem);
        }
        let tally = rig
            .ledger
            .read(|entries| entries.tally(line.may_lose_the_last_moments()));
        trace.note("rig", &format!("{tally:?} {problem:?}"));
        drop(rig);
        trace.flush();
        Ok(Outcome {
            tally,
            problem: problem.map(|problem| problem.to_string()),
            folder,
        })
    }

    async fn run_rounds(&mut self, plan: &mut Plan, rounds: u32) -> Result {
        self.start_subscriber()?;
        self.ledger
            .wait_for("the subscription", Entries::arrived, |entries| {
                entries.subscribed
            })
            .await?;
        for _ in 0..rounds {
            let round = plan.next_round();
            self.trace.note("rig", &format!("{round:?}"));
            self.run_round(round).await?;
        }
        self.drain().await
    }

    async fn run_round(&mut self, round: Round) -> Result {
        let under_way = || self.ledger.read(Entries::under_way);
        let flood = round.flood.filter(|_| under_way() < LOW);
        let is_too_much = under_way() > MANY;
        self.set_offline(flood.is_some());
        self.start_publisher(round.manner, false)?;
        if let Some(messages) = flood {
            let before = self.ledger.read(Entries::accepted);
            self.ledger
                .wait_for("a flood", Entries::accepted, |entries| {
                    entries.accepted() >= before + messages
                })
                .await?;
        } else if is_too_much {
            self.ledger
                .wait_for("what is under way", Entries::arrived, |entries| {
                    entries.under_way() < FEW
                })
                .await?;
        }
        let begin = Instant::now();
        for (at, step) in round.steps {
            sleep_until(begin + at).await;
            self.check()?;
            self.step(step).await?;
        }
        self.set_offline(false);
        Ok(())
    }

    async fn step(&mut self, step: Step) -> Result {
        self.trace.note("rig", &format!("{step:?}"));
        match step {
            Step::Online => self.set_offline(false),
            Step::CutPublisher(cut) => self.to_publisher.cut(cut),
            Step::CutSubscriber(_) | Step::BrokerDown if self.must_be_left_alone() => {}
            Step::CutSubscriber(cut) => self.to_subscriber.cut(cut),
            Step::BrokerDown => self.broker.stop().await?,
            Step::BrokerUp if self.broker.is_running() => {}
            Step::BrokerUp => self.start_broker().await?,
            Step::Kill => {
                if let Some(publisher) = self.publisher.take() {
                    self.ledger.death(self.lives, stamp::now());
                    publisher.kill().await?;
                }
            }
        }
        Ok(())
    }

    /// Whether the subscriber's connection must not be ended now.
    fn must_be_left_alone(&self) -> bool {
        self.line.is_subscriber_touchy() && !self.ledger.read(|entries| entries.settled)
    }

    /// A last publisher on the same store has two more messages. Once both are acknowledged and have arrived, nothing is under way: the
    /// order is kept, and what the broker sends again for the first comes before the second.
    async fn drain(&mut self) -> Result {
        let manner = Manner {
            seed: 0,
            pace: Duration::ZERO,
            depth: 1,
            most: 2,
        };
        self.start_publisher(manner, true)?;
        let last = self.lives * SPAN + 1;
        self.ledger
            .wait_for("the end", Entries::arrived, |entries| {
                entries.drained && entries.has_arrived(last)
            })
            .await?;
        if let Some(publisher) = self.publisher.take() {
            let status = publisher.ended().await?;
            if !status.success() {
                return Err(format!("the last publisher ended with {status}").into());
            }
        }
        self.check()
    }

    async fn start_broker(&mut self) -> Result {
        let address = self.broker.start().await?;
        self.upstream = Some(address);
        self.to_subscriber.lead_to(self.upstream);
        self.set_offline(self.offline);
        Ok(())
    }

    fn set_offline(&mut self, offline: bool) {
        self.offline = offline;
        self.to_publisher
            .lead_to(self.upstream.filter(|_| !offline));
    }

    fn start_subscriber(&mut self) -> Result {
        let mut command = role::command("subscriber")?;
        command.arg("--url").arg(self.to_subscriber.url());
        command.arg("--qos").arg(Choice(self.line.qos).to_string());
        let ledger = Arc::clone(&self.ledger);
        let hear = move |line: &str| ledger.hear_subscriber(line);
        self.subscriber = Some(self.process(command, "subscriber".to_owned(), hear)?);
        Ok(())
    }

    fn start_publisher(&mut self, manner: Manner, drain: bool) -> Result {
        self.lives += 1;
        let life = self.lives;
        let Line {
            store,
            durability,
            qos,
            ..
        } = self.line;
        let mut command = role::command("publisher")?;
        command.arg("--url").arg(self.to_publisher.url());
        command.arg("--store").arg(Choice(store).to_string());
        command
            .arg("--path")
            .arg(self.folder.join("publisher.store"));
        command
            .arg("--durability")
            .arg(Choice(durability).to_string());
        command.arg("--qos").arg(Choice(qos).to_string());
        command.arg("--from").arg((life * SPAN).to_string());
        command.arg("--seed").arg(manner.seed.to_string());
        command
            .arg("--pace")
            .arg(manner.pace.as_micros().to_string());
        command.arg("--depth").arg(manner.depth.to_string());
        command.arg("--most").arg(manner.most.to_string());
        if self.line.may_lose_the_last_moments() {
            command.arg("--times");
        }
        if drain {
            command.arg("--drain");
        }
        let ledger = Arc::clone(&self.ledger);
        let hear = move |line: &str| ledger.hear_publisher(life, line);
        self.publisher = Some(self.process(command, format!("publisher-{life}"), hear)?);
        Ok(())
    }

    fn process(
        &self,
        command: Command,
        who: String,
        hear: impl FnMut(&str) + Send + 'static,
    ) -> Result<Process> {
        let voice = Voice::Stdout;
        Ok(Process::start(
            command,
            who,
            voice,
            self.folder,
            &self.trace,
            hear,
        )?)
    }

    /// Nobody ends by himself.
    fn check(&mut self) -> Result {
        self.broker.fault()?;
        for process in [&mut self.publisher, &mut self.subscriber] {
            if let Some(process) = process
                && let Some(status) = process.try_ended()?
            {
                return Err(format!("{} ended by itself: {status}", process.who()).into());
            }
        }
        Ok(())
    }
}

/// Lines of one seed have rounds of their own.
fn number(line: Line) -> u64 {
    line.to_string()
        .bytes()
        .fold(0, |number, byte| number * 31 % 1_000_003 + u64::from(byte))
}
