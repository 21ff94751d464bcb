//! The publisher: publishes one number after the other, and says which are accepted. What it had accepted in an earlier life it sends
//! too: it keeps its outbox in a store.

use std::collections::VecDeque;
use std::future::{Future, IntoFuture, poll_fn};
use std::path::PathBuf;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use fastrand::Rng;
use lexopt::{Arg, Parser, ValueExt};
use ohmqtt_client::{Client, Durability, Publication, PublishError, Qos};
use tokio::time::{Instant, sleep_until};

use super::{BACKOFF, SESSION, TOPIC, open, say, timed, watch};
use crate::Result;
use crate::line::{Choice, StoreKind};
use crate::stamp;

/// How much the outbox takes, in messages and bytes: far more than a round leaves.
const OUTBOX: (usize, usize) = (20_000, 256 * 1024 * 1024);

struct Publisher {
    client: Client,
    qos: Qos,
    rng: Rng,
    next: u64,
    pace: Duration,
    depth: usize,
    /// How many messages it has yet.
    left: u64,
}

#[tokio::main(flavor = "current_thread")]
pub(super) async fn play(args: &mut Parser) -> Result {
    let (mut url, mut path) = (String::new(), PathBuf::new());
    let (mut store, mut durability) = (StoreKind::Memory, Durability::Safe);
    let (mut qos, mut from, mut seed) = (Qos::AtLeastOnce, 0, 0);
    let (mut pace, mut depth, mut left) = (0, 1, u64::MAX);
    let (mut times, mut drain) = (false, false);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("url") => url = args.value()?.string()?,
            Arg::Long("store") => store = args.value()?.parse::<Choice<StoreKind>>()?.0,
            Arg::Long("path") => path = args.value()?.into(),
            Arg::Long("durability") => durability = args.value()?.parse::<Choice<Durability>>()?.0,
            Arg::Long("qos") => qos = args.value()?.parse::<Choice<Qos>>()?.0,
            Arg::Long("from") => from = args.value()?.parse()?,
            Arg::Long("seed") => seed = args.value()?.parse()?,
            Arg::Long("pace") => pace = args.value()?.parse()?,
            Arg::Long("depth") => depth = args.value()?.parse()?,
            Arg::Long("most") => left = args.value()?.parse()?,
            Arg::Long("times") => times = true,
            Arg::Long("drain") => drain = true,
            other => return Err(other.unexpected().into()),
        }
    }
    let builder = Client::builder(url.as_str())
        .client_id("publisher")
        .clean_start(false)
        .session_expiry(SESSION)
        .backoff(BACKOFF[0], BACKOFF[1])
        .outbox(OUTBOX.0, OUTBOX.1);
    let store = open(store, &path)?;
    let builder = if times {
        timed::tick();
        builder.store(timed::Timed(store), durability)
    } else {
        builder.store(store, durability)
    };
    let client = builder.start()?;
    say(&format!("restored {}\n", client.metrics().queued_messages));
    tokio::spawn(watch(client.clone()));
    let mut publisher = Publisher {
        client,
        qos,
        rng: Rng::with_seed(seed),
        next: from,
        pace: Duration::from_micros(pace),
        depth,
        left,
    };
    if drain {
        publisher.drain().await
    } else {
        publisher.publish().await
    }
}

impl Publisher {
    /// Publishes until it is killed.
    async fn publish(&mut self) -> Result {
        let client = self.client.clone();
        let mut waiting = Waiting::default();
        let mut next = Instant::now();
        loop {
            tokio::select! {
                (number, result) = waiting.first() => tell(number, &result),
                () = sleep_until(next), if waiting.len() < self.depth && self.left > 0 => {
                    let number = self.next;
                    self.next += 1;
                    self.left -= 1;
                    let payload = payload(number, &mut self.rng);
                    let publish = client.publish(TOPIC, payload).qos(self.qos);
                    waiting.push(number, publish.into_future());
                    // Sometimes several at once, sometimes none for a while.
                    next += self.pace.mul_f64(4.0 * self.rng.f64().powi(3));
                }
            }
        }
    }

    /// Publishes two messages, the second when the first is acknowledged, and ends when nothing is left to be delivered.
    async fn drain(&mut self) -> Result {
        for number in [self.next, self.next + 1] {
            let payload = payload(number, &mut self.rng);
            let result = self.client.publish(TOPIC, payload).qos(self.qos).await;
            tell(number, &result);
            let ack = result?.acked().await?;
            if ack.reason.is_error() {
                return Err(format!("the broker refuses a message: {}", ack.reason).into());
            }
        }
        let closed = self.client.close(Duration::from_secs(30)).await;
        if closed.unacknowledged > 0 {
            return Err(format!("{} messages are left", closed.unacknowledged).into());
        }
        say("drained\n");
        Ok(())
    }
}

fn tell(number: u64, result: &Result<Publication, PublishError>) {
    match result {
        Ok(_) => say(&format!("accepted {number} {}\n", stamp::now())),
        Err(error) => say(&format!("failed {number} {error}\n")),
    }
}

/// The number, and what makes messages of all sizes of it.
fn payload(number: u64, rng: &mut Rng) -> String {
    let most = match rng.u8(..100) {
        0 => 64 * 1024,
        1..15 => 4 * 1024,
        _ => 256,
    };
    format!("{number} {}", "x".repeat(rng.usize(..most)))
}

type Accepting<'a> = Pin<Box<dyn Future<Output = Result<Publication, PublishError>> + Send + 'a>>;

/// Messages that wait to be accepted, in order. All go on while the first is waited for.
#[derive(Default)]
struct Waiting<'a> {
    queue: VecDeque<(u64, Stage<'a>)>,
}

enum Stage<'a> {
    Accepting(Accepting<'a>),
    Done(Option<Result<Publication, PublishError>>),
}

impl<'a> Waiting<'a> {
    fn len(&self) -> usize {
        self.queue.len()
    }

    fn push(&mut self, number: u64, accepting: Accepting<'a>) {
        self.queue.push_back((number, Stage::Accepting(accepting)));
    }

    /// What became of the first; never, if there is none.
    ///
    /// Cancel safety: what is done stays until it is returned.
    async fn first(&mut self) -> (u64, Result<Publication, PublishError>) {
        poll_fn(|cx| {
            for (_, stage) in &mut self.queue {
                if let Stage::Accepting(accepting) = stage
                    && let Poll::Ready(result) = accepting.as_mut().poll(cx)
                {
                    *stage = Stage::Done(Some(result));
                }
            }
            let Some((number, Stage::Done(result))) = self.queue.front_mut() else {
                return Poll::Pending;
            };
            let Some(result) = result.take() else {
                return Poll::Pending;
            };
            let number = *number;
            self.queue.pop_front();
            Poll::Ready((number, result))
        })
        .await
    }
}
