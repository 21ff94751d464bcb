//! The soak: a publisher and a subscriber of ours, thousands of messages a second through a Mosquitto that is restarted at random
//! moments, and what arrived compared with what was accepted. `cargo xtask soak` builds and calls it.
//!
//! Mosquitto is asked to end and saves its sessions then, so nothing may be lost, and the order within a topic is to hold; QoS 1 allows
//! duplicates. The publisher waits while its outbox is full, so memory is bounded however long the broker is away.
//!
//! *Memory* is the resident set of this process, in which both clients and the comparison live: the most that was seen after the
//! warm-up (a fifth of the time, at most 30 seconds), less what was seen at its end. What an outbox holds while the broker is away is
//! part of it.

mod memory;
mod restarts;
mod verdict;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use lexopt::{Arg, Parser, ValueExt};
use ohmqtt_client::{Client, ClientBuilder, Qos, Subscription};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::memory::Memory;
pub(crate) use self::memory::resident;
use self::restarts::restarts;
use self::verdict::Verdict;
use crate::Result;
use crate::books::Books;
use crate::broker::Broker;
use crate::line::{BrokerKind, StoreKind};
use crate::trace::Trace;

const USAGE: &str = "usage: ohmqtt-crash soak --minutes M | --seconds S [--rate MESSAGES_A_SECOND] [--seed X] [--planted]";

/// So many topics have an order each.
const TOPICS: u16 = 16;

/// What the publisher may have under way, in messages and bytes. A broker that is away for long makes it wait.
const OUTBOX: (usize, usize) = (20_000, 16 * 1024 * 1024);

/// How long nothing may happen while something is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Up to so much later than the publisher the subscriber comes back, where losses are to be found.
const LATE: Duration = Duration::from_secs(2);

/// A publisher that had to wait makes up for so much of it.
const CATCH_UP: Duration = Duration::from_secs(1);

/// Runs the soak and prints what came of it.
pub(crate) fn run(args: &mut Parser) -> ExitCode {
    let soak = match Soak::parse(args) {
        Ok(soak) => soak,
        Err(error) => {
            eprintln!("soak: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match soak.run() {
        Ok(verdict) => {
            for problem in verdict.problems() {
                eprintln!("soak: {problem}");
            }
            println!("{}\n{}", verdict.course(), verdict.outcome());
            if verdict.problems().is_empty() {
                return ExitCode::SUCCESS;
            }
        }
        Err(error) => eprintln!("soak: {error}"),
    }
    eprintln!(
        "soak: again with: cargo xtask soak --seconds {} --rate {} --seed {}{}",
        soak.time.as_secs(),
        soak.rate,
        soak.seed,
        if soak.planted { " --planted" } else { "" }
    );
    ExitCode::FAILURE
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
struct Soak {
    time: Duration,
    /// Messages a second.
    rate: u32,
    seed: u64,
    /// Mosquitto keeps nothing: this has to fail.
    planted: bool,
}

impl Soak {
    fn parse(args: &mut Parser) -> Result<Self, lexopt::Error> {
        let mut time = None;
        let mut soak = Self {
            time: Duration::ZERO,
            rate: 5_000,
            seed: fastrand::u64(..),
            planted: false,
        };
        while let Some(arg) = args.next()? {
            match arg {
                Arg::Long("minutes") => time = Some(60 * args.value()?.parse::<u64>()?),
                Arg::Long("seconds") => time = Some(args.value()?.parse()?),
                Arg::Long("rate") => soak.rate = args.value()?.parse()?,
                Arg::Long("seed") => soak.seed = args.value()?.parse()?,
                Arg::Long("planted") => soak.planted = true,
                other => return Err(other.unexpected()),
            }
        }
        soak.time = Duration::from_secs(time.ok_or("for how long?")?);
        if soak.time < restarts::SHORTEST {
            let shortest = restarts::SHORTEST.as_secs();
            return Err(format!("shorter than {shortest} seconds there may be no restart").into());
        }
        if soak.rate == 0 {
            return Err("a rate of 0 sends nothing".into());
        }
        Ok(soak)
    }

    /// How long the last messages are waited for. Where some are certainly lost it need not be long.
    fn patience(&self) -> Duration {
        if self.planted { 2 * LATE } else { PATIENCE }
    }

    #[tokio::main]
    async fn run(&self) -> Result<Verdict> {
        println!("soak: seed {}", self.seed);
        tokio::select! {
            outcome = self.run_in_folder() => outcome,
            // The broker is killed as it is dropped.
            () = crate::stopped() => Err("stopped before its time".into()),
        }
    }

    async fn run_in_folder(&self) -> Result<Verdict> {
        let folder = tempfile::Builder::new().prefix("ohmqtt-soak-").tempdir()?;
        let trace = Trace::new(folder.path())?;
        let mut broker = Broker::new(
            BrokerKind::Mosquitto,
            StoreKind::Memory,
            folder.path(),
            &trace,
        );
        broker.stay_at_one_port();
        if self.planted {
            broker.forget_all();
        }
        let outcome = self.run_with(&mut broker).await;
        trace.flush();
        let is_good = outcome
            .as_ref()
            .is_ok_and(|verdict| verdict.problems().is_empty());
        if !is_good {
            let folder = folder.keep();
            eprintln!("soak: what the broker said is in {}", folder.display());
        }
        outcome
    }

    async fn run_with(&self, broker: &mut Broker) -> Result<Verdict> {
        let url = format!("mqtt://{}", broker.start().await?);
        let books = Arc::new(Mutex::new(Books::new(TOPICS)));

        let mut subscriber = client(&url, "subscriber");
        if self.planted {
            // It comes back behind the publisher, to a broker that does not know it any more.
            subscriber = subscriber.backoff(LATE, LATE);
        }
        let subscriber = subscriber.start()?;
        let inbox = subscriber
            .subscribe("soak/+")
            .qos(Qos::AtLeastOnce)
            .send()?;
        timeout(PATIENCE, inbox.granted())
            .await
            .map_err(|_| "the subscription is not granted")??;
        let reading = tokio::spawn(read(inbox, Arc::clone(&books)));

        let client = client(&url, "publisher")
            .outbox(OUTBOX.0, OUTBOX.1)
            .start()?;
        let mut publisher = Publisher {
            client,
            rng: Rng::with_seed(self.seed),
            published: vec![0; usize::from(TOPICS)],
        };
        let begin = Instant::now();
        let end = begin + self.time;
        let warm = begin + (self.time / 5).min(Duration::from_secs(30));
        let memory = Memory::watch(warm);
        let (restarts, ()) = tokio::try_join!(
            restarts(broker, Rng::with_seed(!self.seed), end),
            publisher.publish(self.rate, end),
        )?;
        publisher.drain(&books, self.patience()).await?;

        let memory = memory.measured().await?;
        let metrics = publisher.client.metrics();
        let connections = metrics.connections + subscriber.metrics().connections;
        let closed = publisher.client.close(PATIENCE).await;
        subscriber.close(PATIENCE).await;
        reading.await??;
        let books = lock(&books);
        Ok(Verdict {
            messages: publisher.published.iter().sum(),
            wanted: u64::from(self.rate) * self.time.as_secs(),
            lost: books.lost(&publisher.published),
            duplicated: books.duplicated(),
            reordered: books.reordered(),
            // As the client itself says.
            given_up: metrics.lost,
            left: closed.unacknowledged,
            restarts,
            connections,
            memory,
        })
    }
}

/// A client that comes back quickly to a session that is kept.
fn client(url: &str, id: &str) -> ClientBuilder {
    Client::builder(url)
        .client_id(id)
        .clean_start(false)
        .session_expiry(Duration::from_secs(86_400))
        .connect_timeout(Duration::from_secs(5))
        .backoff(Duration::from_millis(5), Duration::from_millis(40))
}

/// Enters what comes until the client is closed.
async fn read(mut inbox: Subscription, books: Arc<Mutex<Books>>) -> Result {
    while let Some(message) = inbox.recv().await {
        let topic = message.topic.as_str().strip_prefix("soak/");
        let topic = topic.and_then(|name| name.parse().ok());
        let number = message.payload.first_chunk().copied();
        let (Some(topic), Some(number)) = (topic, number) else {
            return Err(format!("{message:?} was never published").into());
        };
        lock(&books).arrive(topic, u64::from_be_bytes(number))?;
    }
    Ok(())
}

fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Publisher {
    client: Client,
    rng: Rng,
    /// How many were accepted on each topic. They are numbered from 0.
    published: Vec<u64>,
}

impl Publisher {
    /// Publishes at this rate, and waits for room when there is none.
    async fn publish(&mut self, rate: u32, end: Instant) -> Result {
        let pause = Duration::from_secs(1) / rate;
        let mut next = Instant::now();
        while next < end {
            let now = Instant::now();
            if now < next {
                // A timer has milliseconds: what is due within one goes out together.
                sleep_until(next).await;
            }
            next = (next + pause).max(now.checked_sub(CATCH_UP).unwrap_or(now));
            let topic = self.rng.usize(..usize::from(TOPICS));
            self.publish_to(topic).await?;
        }
        Ok(())
    }

    async fn publish_to(&mut self, topic: usize) -> Result {
        let number = self.published[topic];
        let mut payload = number.to_be_bytes().to_vec();
        payload.resize(self.rng.usize(8..256), b'.');
        let publish = self.client.publish(format!("soak/{topic}"), payload);
        timeout(PATIENCE, publish.qos(Qos::AtLeastOnce).into_future())
            .await
            .map_err(|_| "no room comes into the outbox")??;
        self.published[topic] += 1;
        Ok(())
    }

    /// Waits until all is acknowledged, and then for one more message on each topic: the order is kept, so when that has come, all has.
    /// What has not come while nothing else did either is lost.
    async fn drain(&mut self, books: &Mutex<Books>, patience: Duration) -> Result {
        self.acknowledged(books).await?;
        for topic in 0..usize::from(TOPICS) {
            self.publish_to(topic).await?;
        }
        self.acknowledged(books).await?;
        let last_ones = |books: &Books| books.have_come_to(&self.published);
        wait(books, patience, last_ones).await;
        Ok(())
    }

    async fn acknowledged(&self, books: &Mutex<Books>) -> Result {
        let is_done = |_: &Books| self.client.metrics().queued_messages == 0;
        if wait(books, PATIENCE, is_done).await {
            return Ok(());
        }
        let left = self.client.metrics().queued_messages;
        Err(format!("{left} messages are not acknowledged").into())
    }
}

/// Waits until it is so, as long as anything arrives within `patience`. Returns whether it is.
async fn wait(books: &Mutex<Books>, patience: Duration, is_so: impl Fn(&Books) -> bool) -> bool {
    let (mut arrived, mut since) = (0, Instant::now());
    loop {
        let now = {
            let books = lock(books);
            if is_so(&books) {
                return true;
            }
            books.arrived()
        };
        if now != arrived {
            (arrived, since) = (now, Instant::now());
        } else if since.elapsed() > patience {
            return false;
        }
        sleep(Duration::from_millis(10)).await;
    }
}
