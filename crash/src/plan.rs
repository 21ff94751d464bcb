//! What happens in a round, out of a seed.

use std::time::Duration;

use fastrand::Rng;

use crate::proxy::{Cut, Way};

/// More is not published in one life: what brokers keep in flight has its bounds.
const MOST: usize = 4_000;

/// One life of the publisher, and what befalls the others meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Round {
    pub(crate) manner: Manner,
    /// So many messages are accepted without a connection before the clock of the steps begins.
    pub(crate) flood: Option<usize>,
    /// In the order of their times. The kill is one of them, and may not be the last.
    pub(crate) steps: Vec<(Duration, Step)>,
}

/// How a publisher publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) seed: u64,
    /// The mean time between two messages.
    pub(crate) pace: Duration,
    /// How many messages may wait to be accepted.
    pub(crate) depth: usize,
    /// How many messages it has.
    pub(crate) most: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A flooding publisher gets its connection.
    Online,
    CutPublisher(Cut),
    CutSubscriber(Cut),
    BrokerDown,
    BrokerUp,
    Kill,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Cuts,
    Broker,
    Flood,
}

/// Gives one round after the other. Among each four there is one of each kind.
#[derive(Debug)]
pub(crate) struct Plan {
    rng: Rng,
    kinds: Vec<Kind>,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            kinds: Vec::new(),
        }
    }

    pub(crate) fn next_round(&mut self) -> Round {
        let kind = self.next_kind();
        let rng = &mut self.rng;
        let flood = (kind == Kind::Flood).then(|| rng.usize(1100..1700));
        let life = if rng.u8(..8) == 0 {
            millis(rng, 0..40)
        } else {
            millis(rng, 60..450)
        };
        let pace = if flood.is_some() {
            Duration::ZERO
        } else {
            Duration::from_micros(rng.u64(100..1500))
        };
        let manner = Manner {
            seed: rng.u64(..),
            pace,
            depth: rng.usize(16..100),
            most: MOST,
        };
        let mut steps = vec![(life, Step::Kill)];
        if flood.is_some() {
            // Some die before they have a connection.
            steps.push((millis(rng, 0..150), Step::Online));
        }
        let cuts = match kind {
            Kind::Cuts => rng.usize(1..4),
            Kind::Plain => 0,
            _ => rng.usize(0..2),
        };
        for _ in 0..cuts {
            let at = life.mul_f64(rng.f64());
            let cut = cut(rng);
            steps.push(if rng.u8(..3) == 0 {
                (at, Step::CutSubscriber(cut))
            } else {
                (at, Step::CutPublisher(cut))
            });
        }
        if kind == Kind::Broker {
            let down = life.mul_f64(1.2 * rng.f64());
            steps.push((down, Step::BrokerDown));
            steps.push((down + millis(rng, 0..120), Step::BrokerUp));
        }
        steps.sort_by_key(|(at, _)| *at);
        Round {
            manner,
            flood,
            steps,
        }
    }

    fn next_kind(&mut self) -> Kind {
        if self.kinds.is_empty() {
            self.kinds = vec![Kind::Plain, Kind::Cuts, Kind::Broker, Kind::Flood];
            self.rng.shuffle(&mut self.kinds);
        }
        self.kinds.pop().unwrap_or(Kind::Plain)
    }
}

fn millis(rng: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_micros(rng.u64(range.start * 1000..range.end * 1000))
}

fn cut(rng: &mut Rng) -> Cut {
    // Few bytes fall into the handshake or an acknowledgement, many into a large message.
    let most = [1, 20, 200, 2_000, 40_000][rng.usize(..5)];
    Cut {
        way: if rng.bool() {
            Way::ToBroker
        } else {
            Way::ToClient
        },
        after: rng.usize(..most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn among_four_rounds_the_broker_is_restarted_and_a_backlog_is_left() {
        for seed in 0..100 {
            let mut plan = Plan::new(seed);
            let rounds: Vec<_> = (0..4).map(|_| plan.next_round()).collect();
            let of = |wanted: fn(&Step) -> bool| {
                let steps = rounds.iter().flat_map(|round| &round.steps);
                steps.filter(|(_, step)| wanted(step)).count()
            };
            assert_eq!(of(|step| *step == Step::Kill), 4);
            assert_eq!(of(|step| *step == Step::BrokerDown), 1);
            assert_eq!(of(|step| *step == Step::BrokerUp), 1);
            let is_cut =
                |step: &Step| matches!(step, Step::CutPublisher(_) | Step::CutSubscriber(_));
            assert!(of(is_cut) > 0);
            assert_eq!(
                rounds.iter().filter(|round| round.flood.is_some()).count(),
                1
            );
        }
    }

    #[test]
    fn a_seed_gives_the_same_rounds_again() {
        let (mut one, mut other) = (Plan::new(7), Plan::new(7));
        for _ in 0..50 {
            assert_eq!(one.next_round(), other.next_round());
        }
    }
}
