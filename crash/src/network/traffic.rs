//! Two clients of ours: what one publishes comes to the other, both by way of the network that fails. They compare what was accepted
//! with what arrived, and what they held before with what they hold then.

use std::time::Duration;

use fastrand::Rng;
use lexopt::{Arg, Parser, ValueExt};
use ohmqtt_client::{Client, ClientBuilder, Qos, Subscription};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::attempts::{Attempts, BACKOFF};
use super::held::Held;
use super::sum::Sum;
use crate::Result;
use crate::books::Books;
use crate::line::Choice;

/// Where everything is published.
const TOPIC: &str = "networks";

/// How long a broker keeps a session for an absent client.
const SESSION: Duration = Duration::from_secs(86_400);

/// How long an attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(3);

/// How long nothing may happen while something is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the two clients do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Traffic {
    pub(super) url: String,
    pub(super) qos: Qos,
    /// So many messages, numbered from here on.
    pub(super) messages: u64,
    pub(super) from: u64,
    /// The mean time between two messages.
    pub(super) pace: Duration,
    /// The most bytes of a payload.
    pub(super) largest: usize,
    pub(super) keep_alive: Duration,
    pub(super) seed: u64,
    /// Whether they stay connected in the end, until they are killed.
    pub(super) stays: bool,
}

impl Traffic {
    /// Of messages as small as they come.
    pub(super) fn new(url: &str, messages: u64, seed: u64) -> Self {
        Self {
            url: url.to_owned(),
            qos: Qos::ExactlyOnce,
            messages,
            from: 0,
            pace: Duration::from_millis(5),
            largest: 64,
            keep_alive: Duration::from_secs(2),
            seed,
            stays: false,
        }
    }

    /// As a command line for [`play`].
    pub(super) fn args(&self) -> Vec<String> {
        let mut args = vec![
            format!("--url={}", self.url),
            format!("--qos={}", Choice(self.qos)),
            format!("--messages={}", self.messages),
            format!("--from={}", self.from),
            format!("--pace={}", self.pace.as_micros()),
            format!("--largest={}", self.largest),
            format!("--keep-alive={}", self.keep_alive.as_secs()),
            format!("--seed={}", self.seed),
        ];
        args.extend(self.stays.then(|| "--stays".to_owned()));
        args
    }

    fn parse(args: &mut Parser) -> Result<Self, lexopt::Error> {
        let mut traffic = Self::new("", 0, 0);
        while let Some(arg) = args.next()? {
            match arg {
                Arg::Long("url") => traffic.url = args.value()?.string()?,
                Arg::Long("qos") => traffic.qos = args.value()?.parse::<Choice<Qos>>()?.0,
                Arg::Long("messages") => traffic.messages = args.value()?.parse()?,
                Arg::Long("from") => traffic.from = args.value()?.parse()?,
                Arg::Long("pace") => {
                    traffic.pace = Duration::from_micros(args.value()?.parse()?);
                }
                Arg::Long("largest") => traffic.largest = args.value()?.parse()?,
                Arg::Long("keep-alive") => {
                    traffic.keep_alive = Duration::from_secs(args.value()?.parse()?);
                }
                Arg::Long("seed") => traffic.seed = args.value()?.parse()?,
                Arg::Long("stays") => traffic.stays = true,
                other => return Err(other.unexpected()),
            }
        }
        Ok(traffic)
    }

    /// Runs both clients. `say` is told what happens, a line each: `ready`, `published N`, what [`Attempts`] say, and `drained` when all
    /// has arrived.
    pub(super) async fn run(&self, say: impl Fn(&str) + Clone + Send + 'static) -> Result<Sum> {
        let nothing = Held::now()?;
        let (subscriber, receiving) = self.start("subscriber", &say)?;
        let inbox = subscriber.subscribe(TOPIC).qos(self.qos).send()?;
        soon("the subscription", inbox.granted()).await??;
        let (publisher, publishing) = self.start("publisher", &say)?;
        soon(
            "the publisher's connection",
            publisher.wait_for(|state| {
                matches!(state, ohmqtt_client::ConnectionState::Connected { .. })
            }),
        )
        .await?;
        let arrivals = watch::Sender::new(Books::new(1));
        let reading = tokio::spawn(read(inbox, self.from, arrivals.clone()));
        let connected = Held::now()?;

        say("ready");
        self.publish(&publisher, &say).await?;
        let all = [self.messages + 1];
        wait(&arrivals, |books| books.have_come_to(&all)).await;
        say("drained");
        if self.stays {
            std::future::pending::<()>().await;
        }

        // As long as both are connected they hold what they held at first, however many connections there were.
        let mut leaks = connected.leaked().await?;
        let given_up = publisher.metrics().lost;
        let left = publisher.close(PATIENCE).await.unacknowledged;
        subscriber.close(PATIENCE).await;
        drop((publisher, subscriber));
        reading.await??;
        let attempts = [publishing.await?, receiving.await?];
        let books = arrivals.borrow();
        let mut sum = Sum {
            messages: all[0],
            lost: books.lost(&all),
            twice: books.duplicated(),
            reordered: books.reordered(),
            connections: attempts.iter().map(|of| of.connected).sum(),
            failed: attempts.iter().map(|of| of.failed).sum(),
            ..Sum::default()
        };
        drop(books);
        drop(arrivals);
        leaks += nothing.leaked().await?;
        sum.leaks = leaks as u64;
        sum.problems
            .extend(attempts.iter().filter_map(Attempts::problem));
        if given_up > 0 || left > 0 {
            sum.problems.push(format!(
                "the client gave up {given_up} messages, and {left} were left"
            ));
        }
        Ok(sum)
    }

    /// Starts a client and somebody who listens how it goes.
    fn start(
        &self,
        who: &'static str,
        say: &(impl Fn(&str) + Clone + Send + 'static),
    ) -> Result<(Client, JoinHandle<Attempts>)> {
        let builder = client(&self.url, who)
            .keep_alive(self.keep_alive)
            .seed(self.seed ^ who.len() as u64);
        let listening = Attempts::of(builder.events(), who, BACKOFF, say.clone());
        let client = builder.start()?;
        Ok((client, tokio::spawn(listening)))
    }

    /// Publishes all, and when all is acknowledged one more: the order is kept, so when that has come all had its time.
    async fn publish(&self, client: &Client, say: &impl Fn(&str)) -> Result {
        let mut rng = Rng::with_seed(self.seed);
        let mut publications = Vec::new();
        for number in self.from..=self.from + self.messages {
            let is_last = number == self.from + self.messages;
            if is_last {
                for publication in publications.drain(..) {
                    acknowledged(publication).await?;
                }
            }
            let mut payload = number.to_be_bytes().to_vec();
            payload.resize(rng.usize(8..=self.largest.max(8)), b'.');
            let publication = client.publish(TOPIC, payload).qos(self.qos).await?;
            publications.push(publication);
            if is_last {
                break;
            }
            say(&format!("published {}", number - self.from + 1));
            sleep(self.pace.mul_f64(2.0 * rng.f64())).await;
        }
        for publication in publications {
            acknowledged(publication).await?;
        }
        Ok(())
    }
}

/// A client whose session is kept.
pub(super) fn client(url: &str, id: &str) -> ClientBuilder {
    Client::builder(url)
        .client_id(id)
        .clean_start(false)
        .session_expiry(SESSION)
        .connect_timeout(CONNECT)
        .backoff(BACKOFF[0], BACKOFF[1])
}

async fn acknowledged(publication: ohmqtt_client::Publication) -> Result {
    let ack = soon("an acknowledgement", publication.acked()).await??;
    if ack.reason.is_error() {
        return Err(format!("the broker refuses a message: {}", ack.reason).into());
    }
    Ok(())
}

/// Enters what comes until the client is closed.
async fn read(mut inbox: Subscription, from: u64, arrivals: watch::Sender<Books>) -> Result {
    while let Some(message) = inbox.recv().await {
        let number = message.payload.first_chunk().copied();
        let number = number.map(u64::from_be_bytes);
        let Some(number) = number.and_then(|number| number.checked_sub(from)) else {
            return Err(format!("{message:?} was not to come, or not again").into());
        };
        let mut entered = Ok(());
        arrivals.send_modify(|books| entered = books.arrive(0, number));
        entered?;
    }
    Ok(())
}

/// Waits until it is so, as long as something arrives from time to time. What has not come then is lost.
async fn wait(arrivals: &watch::Sender<Books>, is_so: impl Fn(&Books) -> bool) {
    let mut books = arrivals.subscribe();
    loop {
        let before = books.borrow_and_update().arrived();
        if timeout(PATIENCE, books.wait_for(&is_so)).await.is_ok()
            || books.borrow().arrived() == before
        {
            return;
        }
    }
}

/// # Errors
/// When it does not happen.
pub(super) async fn soon<F: IntoFuture>(what: &str, awaited: F) -> Result<F::Output> {
    let awaited = timeout(PATIENCE, awaited.into_future()).await;
    Ok(awaited.map_err(|_| format!("{what} is waited for in vain"))?)
}

/// Both clients as a process: says what happens, and in the end what came of it.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn play(args: &mut Parser) -> Result {
    let say = |line: &str| crate::role::say(&format!("{line}\n"));
    let sum = Traffic::parse(args)?.run(say).await?;
    say(&format!("sum {sum}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_says_all_there_is() {
        let traffic = Traffic {
            qos: Qos::AtLeastOnce,
            messages: 7,
            from: 100,
            pace: Duration::from_micros(1500),
            largest: 2000,
            keep_alive: Duration::from_secs(4),
            stays: true,
            ..Traffic::new("mqtt://127.0.0.1:1", 1, 9)
        };
        let parsed = Traffic::parse(&mut Parser::from_args(traffic.args())).unwrap();
        assert_eq!(parsed, traffic);
    }
}
