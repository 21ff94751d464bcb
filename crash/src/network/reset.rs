//! A reset after each byte of an exchange of QoS 2, in each direction: of one who publishes, and of one who receives.

use std::collections::BTreeMap;
use std::time::Duration;

use ohmqtt_client::{Client, Qos};

use super::attempts::Attempts;
use super::site::{Site, Stage};
use super::sum::Sum;
use super::traffic::{client, soon};
use crate::Result;
use crate::proxy::{Cut, Proxy, Reach, Treatment, Way};

/// How long is waited after a reset, which the next attempt has not to fear.
const BACKOFF: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(5)];

/// Long enough for a machine that is busy with other things: here no attempt is to fail by itself.
const CONNECT: Duration = Duration::from_secs(30);

/// More bytes than an exchange has in one direction.
const MOST: usize = 1000;

/// Whose connection is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Publisher,
    Subscriber,
}

pub(super) async fn run(stage: &mut Stage<'_>) -> Result<Sum> {
    let site = Site::start(stage, |_| {}).await?;
    let treatment = Treatment {
        resets: true,
        ..Treatment::from(Reach::AnyConnection)
    };
    let proxy = Proxy::start(treatment).await?;
    proxy.lead_to(Some(site.address()?));
    let qos = stage.traffic(&site, 0).qos;
    let mut sum = Sum::default();
    for whose in [Whose::Publisher, Whose::Subscriber] {
        for way in [Way::ToBroker, Way::ToClient] {
            for after in 0..=MOST {
                let exchange = Exchange {
                    whose,
                    cut: Cut { way, after },
                    qos,
                };
                let one = exchange.run(&site, &proxy).await?;
                let was_reset = one.resets > 0;
                for problem in &one.problems {
                    stage
                        .trace
                        .note("reset", &format!("{exchange:?}: {problem}"));
                }
                sum.add(one);
                if !was_reset {
                    // It was whole before so many bytes had passed.
                    break;
                }
            }
        }
    }
    drop(proxy);
    site.end(&mut sum).await?;
    Ok(sum)
}

#[derive(Clone, Copy, Debug)]
struct Exchange {
    whose: Whose,
    cut: Cut,
    qos: Qos,
}

impl Exchange {
    async fn run(self, site: &Site, proxy: &Proxy) -> Result<Sum> {
        let name = format!("{:?}-{:?}-{}", self.whose, self.cut.way, self.cut.after);
        let (direct, through) = (site.broker.url(), proxy.url());
        let (publisher, subscriber) = match self.whose {
            Whose::Publisher => (through.as_str(), direct),
            Whose::Subscriber => (direct, through.as_str()),
        };
        proxy.cut(self.cut);
        let subscriber = client(subscriber, &format!("subscriber-{name}"));
        let publisher = client(publisher, &format!("publisher-{name}"));
        let [subscriber, publisher] = [subscriber, publisher].map(|builder| {
            let builder = builder.connect_timeout(CONNECT);
            builder.backoff(BACKOFF[0], BACKOFF[1])
        });
        let listening = [&subscriber, &publisher]
            .map(|builder| Attempts::of(builder.events(), "client", BACKOFF, |_| {}))
            .map(tokio::spawn);
        let subscriber = subscriber.start()?;
        let publisher = publisher.start()?;
        let arrived = self.exchange(&publisher, &subscriber, &name).await?;
        for client in [&publisher, &subscriber] {
            let closed = client.close(Duration::from_secs(10)).await;
            if closed.unacknowledged > 0 {
                return Err(format!("{name}: a message is left").into());
            }
        }
        drop((publisher, subscriber));

        let was_reset = proxy.spare().is_none();
        let mut sum = Sum {
            messages: 2,
            resets: was_reset.into(),
            ..Sum::default()
        };
        for number in ["first", "last"] {
            match arrived.get(number).copied().unwrap_or_default() {
                0 => sum.lost += 1,
                times => sum.twice += times - 1,
            }
        }
        for attempts in listening {
            let attempts = attempts.await?;
            sum.connections += attempts.connected;
            sum.failed += attempts.failed;
            sum.problems.extend(attempts.problem());
        }
        // Each client connects once, and one of them once more after the reset.
        let attempts = sum.connections + sum.failed;
        if attempts > 2 + sum.resets {
            let problem = format!("{name}: {attempts} attempts for {} resets", sum.resets);
            sum.problems.push(problem);
        }
        Ok(sum)
    }

    /// Publishes a message, and when it is acknowledged another one: the order is kept, so when that has come the first had its time.
    async fn exchange(
        self,
        publisher: &Client,
        subscriber: &Client,
        topic: &str,
    ) -> Result<BTreeMap<String, u64>> {
        let mut inbox = subscriber.subscribe(topic).qos(self.qos).send()?;
        soon("the subscription", inbox.granted()).await??;
        for payload in ["first", "last"] {
            let publish = publisher.publish(topic, payload).qos(self.qos);
            let publication = soon("a place in the outbox", publish).await??;
            soon("an acknowledgement", publication.acked()).await??;
        }
        let mut arrived = BTreeMap::new();
        while !arrived.contains_key("last") {
            let message = soon("a message", inbox.recv()).await?;
            let message = message.ok_or("the subscription has ended")?;
            let payload = String::from_utf8_lossy(&message.payload).into_owned();
            *arrived.entry(payload).or_default() += 1;
        }
        Ok(arrived)
    }
}
