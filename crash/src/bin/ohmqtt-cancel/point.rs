//! A point: one method under one circumstance, dropped after so many polls, and what has to be true afterwards.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::task::Poll;
use std::time::Duration;

use ohmqtt_client::{Client, ConnectionState, Qos};

use crate::Check;
use crate::circumstance::Circumstance;
use crate::polls::Polls;
use crate::subject::{FILLER, Method, Subject};
use crate::world::{World, eventually, soon, text};

/// What is published last.
const MARKER: &str = "marker";

/// How long a future may wait when nothing hinders it.
const PATIENCE: Duration = Duration::from_secs(10);

const NOT_WOKEN: &str = "it is not woken though nothing hinders it";

#[derive(Clone, Copy)]
pub(crate) struct Point {
    pub(crate) method: &'static Method,
    pub(crate) circumstance: Circumstance,
    pub(crate) polls: usize,
    /// It is dropped only when it has asked for the next poll.
    pub(crate) asked: bool,
    pub(crate) seed: u64,
}

/// How the future ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ready,
    Dropped,
}

impl Point {
    /// A future that has asked so often asks for ever.
    pub(crate) const MOST_POLLS: usize = 40;

    /// Runs it in a runtime of its own.
    pub(crate) fn run(&self) -> Check<Outcome> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let outcome = runtime.block_on(self.play());
        // What is still closing need not be waited for.
        runtime.shutdown_background();
        outcome
    }

    async fn play(&self) -> Check<Outcome> {
        let method = self.method;
        let world = &World::new(self.circumstance, self.own_seed()).await?;
        let mut subject = Subject::default();
        if method.connects {
            subject.client = Some(world.connect().await?);
        }
        (method.prepare)(world, &mut subject).await?;
        self.circumstance.begin(world, &mut subject).await?;
        (method.arrange)(&mut subject).await?;
        let outcome = self.drive(world, &mut subject).await?;
        (method.after)(world, &mut subject).await?;
        self.check_whole(world, subject, outcome).await?;
        Ok(outcome)
    }

    /// Polls the future, drops it, and lifts the circumstance at the latest then.
    async fn drive(&self, world: &World, subject: &mut Subject) -> Check<Outcome> {
        let mut is_lifted = false;
        let mut outcome = Outcome::Dropped;
        let mut future = Polls::new((self.method.run)(subject));
        for _ in 0..self.polls {
            if !is_lifted && !future.asks(self.circumstance.patience()).await {
                self.lift(world).await?;
                is_lifted = true;
            }
            if !future.asks(PATIENCE).await {
                return Err(NOT_WOKEN.to_owned());
            }
            if let Poll::Ready(result) = future.poll() {
                let may_fail = self.method.may_fail && self.circumstance.ends_connections();
                result.or_else(|error| if may_fail { Ok(()) } else { Err(error) })?;
                outcome = Outcome::Ready;
                break;
            }
        }
        if self.asked && outcome == Outcome::Dropped {
            if !is_lifted && !future.asks(self.circumstance.patience()).await {
                self.lift(world).await?;
                is_lifted = true;
            }
            if !future.asks(PATIENCE).await {
                return Err(NOT_WOKEN.to_owned());
            }
        }
        drop(future);
        if !is_lifted {
            self.lift(world).await?;
        }
        Ok(outcome)
    }

    async fn lift(&self, world: &World) -> Check {
        self.circumstance.end(world);
        (self.method.provoke)(world).await
    }

    /// Everything goes on as if nothing had been dropped.
    async fn check_whole(&self, world: &World, mut subject: Subject, outcome: Outcome) -> Check {
        let client = match subject.client.take() {
            Some(client) if !is_closed(&client) => client,
            _ => world.connect().await?,
        };
        if let Some(filler) = subject.filler.take() {
            subject.publications.push((filler, Qos::AtLeastOnce));
        }
        for (publication, qos) in std::mem::take(&mut subject.publications) {
            let end = soon("a publication ends", publication.acked()).await?;
            if let Err(error) = end
                && qos != Qos::AtMostOnce
            {
                return Err(format!(
                    "a message of {qos:?} was accepted and lost: {error}"
                ));
            }
        }
        drop(subject);
        check_use(&client).await?;
        self.check_arrivals(world, &client, outcome).await?;
        eventually("nothing is queued, in flight or unacknowledged", || {
            let metrics = client.metrics();
            metrics.queued_messages == 0 && metrics.in_flight == 0 && metrics.unacknowledged == 0
        })
        .await?;
        eventually("all packet identifiers are free", || {
            !world.link.identifiers().1
        })
        .await?;
        close(&client).await?;
        if self.circumstance == Circumstance::StoreSlow {
            check_store(world).await?;
        }
        match world.link.identifiers().0.first() {
            Some(fault) => Err(fault.clone()),
            None => Ok(()),
        }
    }

    /// What was accepted has arrived, and nothing that was not.
    async fn check_arrivals(&self, world: &World, client: &Client, outcome: Outcome) -> Check {
        publish(client, "t/last", MARKER, Qos::ExactlyOnce).await?;
        let seen = world.seen_with(MARKER).await?;
        let count = |wanted: &str| seen.iter().filter(|text| *text == wanted).count();
        let may_come_again = self.circumstance.ends_connections() || self.method.ends_connections;
        for (number, qos) in self.method.publishes.iter().enumerate() {
            let came = count(&format!("m{number}"));
            let problem = match (outcome, qos) {
                _ if self.polls == 0 && came > 0 => "arrived though it had no turn",
                (_, Qos::AtMostOnce | Qos::ExactlyOnce) if came > 1 => "arrived twice",
                (_, Qos::AtLeastOnce) if came > 1 && !may_come_again => "arrived twice",
                (Outcome::Ready, Qos::AtMostOnce) if came == 0 && !may_come_again => "is lost",
                (Outcome::Ready, Qos::AtLeastOnce | Qos::ExactlyOnce) if came == 0 => "is lost",
                _ => continue,
            };
            return Err(format!("message {number} of {qos:?} {problem}"));
        }
        let filled = matches!(
            self.circumstance,
            Circumstance::QuotaExhausted | Circumstance::OutboxFull
        );
        match count(FILLER) {
            0 if filled && self.method.connects => {
                Err("what was under way before is lost".to_owned())
            }
            2.. if !may_come_again => Err("what was under way before arrived twice".to_owned()),
            _ => Ok(()),
        }
    }

    /// Of this point, whatever others there are.
    fn own_seed(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let circumstance = self.circumstance.to_string();
        let Self {
            seed, polls, asked, ..
        } = self;
        (seed, self.method.name, circumstance, polls, asked).hash(&mut hasher);
        hasher.finish()
    }
}

fn is_closed(client: &Client) -> bool {
    matches!(client.state(), ConnectionState::Closed { .. })
}

/// Subscribing, publishing at each QoS, and receiving work.
async fn check_use(client: &Client) -> Check {
    let subscribe = client.subscribe("check").into_future();
    let inbox = soon("a new subscription is granted", subscribe).await?;
    let mut inbox = inbox.map_err(|error| error.to_string())?;
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let wanted = format!("check at {qos:?}");
        publish(client, "check", &wanted, qos).await?;
        let came = soon(&wanted, inbox.recv()).await?;
        let came = came.map(|message| text(&message));
        if came.as_ref() != Some(&wanted) {
            return Err(format!("{came:?} came in the place of {wanted:?}"));
        }
    }
    Ok(())
}

async fn publish(client: &Client, topic: &str, payload: &str, qos: Qos) -> Check {
    let publish = client.publish(topic, payload.to_owned()).qos(qos);
    let publication = soon("a new message is accepted", publish.into_future()).await?;
    let publication = publication.map_err(|error| error.to_string())?;
    let acked = soon("a new message is acknowledged", publication.acked()).await?;
    acked.map(drop).map_err(|error| error.to_string())
}

async fn close(client: &Client) -> Check {
    let closed = soon("the client closes", client.close(PATIENCE)).await?;
    match closed.unacknowledged {
        0 => Ok(()),
        left => Err(format!(
            "{left} messages are left when the client is closed"
        )),
    }
}

/// The store has nothing that is still to be delivered.
async fn check_store(world: &World) -> Check {
    let client = world.builder().start();
    let client = client.map_err(|error| error.to_string())?;
    let left = client.metrics().queued_messages;
    close(&client).await?;
    match left {
        0 => Ok(()),
        left => Err(format!("{left} messages are left in the store")),
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            method,
            circumstance,
            polls,
            asked,
            seed,
        } = self;
        let asked = if *asked {
            " when it asks for the next"
        } else {
            ""
        };
        write!(
            f,
            "{}, {circumstance}, dropped after {polls} polls{asked} (seed {seed})",
            method.name
        )
    }
}
