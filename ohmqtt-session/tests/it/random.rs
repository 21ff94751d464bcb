//! Exactly once, at least once, in order: a client and a server under a seeded hand that cuts, delays, fails and crashes.
//!
//! A failing seed is named in the message of its failure, and does the same again.

use std::collections::BTreeSet;

use ohmqtt_codec::*;

use crate::peer::*;

const SEEDS: u64 = 300;
const STEPS: u64 = 500;

/// Numbers that look random, the same for the same seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }

    fn side(&mut self) -> From {
        From::BOTH[self.index(2)]
    }
}

/// What a run has to bear besides cuts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Hardship {
    None,
    /// Stores answer late.
    Stores,
    /// And some batches fail.
    Failures,
    /// And the side that sends crashes.
    Crashes,
}

/// A message that was taken, by its number, which is ticket and payload.
struct Taken {
    from: From,
    qos: Qos,
    number: u64,
    /// Of its process: what was not accepted when that ended is not promised.
    life: u32,
}

struct Run {
    random: Random,
    pair: Pair,
    hardship: Hardship,
    taken: Vec<Taken>,
    /// Who sends; where nobody crashes, both.
    sender: Option<From>,
    life: u32,
    receive_maximum: [usize; 2],
}

impl Run {
    fn new(seed: u64, hardship: Hardship) -> Self {
        let mut random = Random(seed);
        let receive_maximum = [1 + random.index(6), 1 + random.index(6)];
        let nonzero = |n: usize| core::num::NonZeroU16::new(u16::try_from(n).unwrap()).unwrap();
        let mut pair = Pair::new(|client, server| {
            client.durable = hardship != Hardship::None;
            server.durable = hardship != Hardship::None;
            let properties = &mut client.connect.properties;
            properties.set_receive_maximum(nonzero(receive_maximum[0]));
            server.receive_maximum = nonzero(receive_maximum[1]);
        });
        pair.acknowledging = false;
        pair.reconnect();
        for who in From::BOTH {
            pair.store(who).held = true;
        }
        let sender = (hardship == Hardship::Crashes).then(|| random.side());
        Self {
            random,
            pair,
            hardship,
            taken: Vec::new(),
            sender,
            life: 0,
            receive_maximum,
        }
    }

    fn step(&mut self, number: u64) {
        let side = self.random.side();
        match self.random.below(20) {
            0..3 => self.submit(number),
            3..9 => drop(self.pair.is_connected() && self.pair.send_one(side)),
            9..14 => drop(self.pair.carry(side)),
            14..15 => self.acknowledge(),
            16 if self.random.one_in(4) => self.pair.cut(),
            15..17 if !self.pair.is_connected() => self.pair.dial(),
            17 if self.sender.is_some() && self.random.one_in(4) => self.crash(),
            _ => self.store(side),
        }
        self.pair.serve();
        self.pair.events();
    }

    fn submit(&mut self, number: u64) {
        let from = self.sender.unwrap_or_else(|| self.random.side());
        let qos = [QOS0, QOS1, QOS2, QOS2][self.random.index(4)];
        let message = message(qos, &number.to_string());
        // During a handshake the server's session has no client.
        if self.pair.try_submit(from, message, number).is_ok() {
            let life = self.life;
            self.taken.push(Taken {
                from,
                qos,
                number,
                life,
            });
        }
    }

    fn acknowledge(&mut self) {
        let waiting = self.pair.client.receipts.len();
        if waiting > 0 && self.random.one_in(2) {
            let at = self.random.index(waiting);
            self.pair.client.acknowledge(at);
        }
        let waiting = self.pair.server.receipts.len();
        if waiting > 0 && !self.pair.in_handshake() && self.random.one_in(2) {
            let at = self.random.index(waiting);
            self.pair.server.acknowledge(at);
        }
    }

    fn store(&mut self, who: From) {
        let n = 1 + self.random.index(5);
        if self.hardship >= Hardship::Failures && self.random.one_in(6) {
            self.pair.fail(who, n);
        } else {
            self.pair.confirm(who, n);
        }
    }

    fn crash(&mut self) {
        if let Some(who) = self.sender {
            self.pair.crash(who);
            self.life += 1;
        }
    }

    fn check_bounds(&self) {
        let [client, server] = self.receive_maximum;
        let pair = &self.pair;
        assert!(pair.client.session.in_flight() <= server.max(pair.client.session.queued().0));
        assert!(pair.client.session.unacknowledged() <= client);
        assert!(pair.server.session.unacknowledged() <= server);
    }

    fn finish(&mut self) {
        for who in From::BOTH {
            self.pair.store(who).held = false;
        }
        self.pair.acknowledging = true;
        self.pair.cut();
        self.pair.reconnect();
        for from in From::BOTH {
            self.check_arrival(from);
        }
        assert_eq!(self.pair.client.session.queued(), (0, 0));
        assert_eq!(self.pair.server.session.queued(), (0, 0));
        assert!(self.pair.client.store.kept.is_empty());
        assert!(self.pair.server.store.kept.is_empty());
    }

    fn check_arrival(&self, from: From) {
        let number = |event: &str| event.split(' ').nth(1).unwrap().parse::<u64>().unwrap();
        let happened = |what: &str| -> BTreeSet<u64> {
            let events = self.pair.happened(from).iter();
            let events = events.filter(|event| event.starts_with(what));
            events.map(|event| number(event)).collect()
        };
        let (accepted, lost) = (happened("accepted "), happened("lost "));
        let both: Vec<_> = accepted.intersection(&lost).collect();
        assert!(both.is_empty(), "accepted, and lost: {both:?}");
        let promised = |taken: &&Taken| {
            let alive = taken.life == self.life;
            (alive && !lost.contains(&taken.number)) || accepted.contains(&taken.number)
        };
        let got: Vec<u64> = self
            .pair
            .got(from)
            .iter()
            .map(|it| it.parse().unwrap())
            .collect();
        for qos in [QOS1, QOS2] {
            let taken = || {
                self.taken
                    .iter()
                    .filter(|taken| taken.from == from && taken.qos == qos)
            };
            let all: BTreeSet<u64> = taken().map(|taken| taken.number).collect();
            let promised: Vec<u64> = taken().filter(promised).map(|it| it.number).collect();
            // What was told to be lost may have been asked for twice, and come back by a crash, whenever.
            let doubtful = |n: &u64| self.sender.is_some() && lost.contains(n);
            let arrived = got.iter().copied().filter(|n| all.contains(n));
            let mut arrived: Vec<u64> = arrived.filter(|n| !doubtful(n)).collect();
            let mut seen = BTreeSet::new();
            if qos == QOS1 {
                arrived.retain(|number| seen.insert(*number));
            } else {
                assert!(
                    arrived.iter().all(|number| seen.insert(*number)),
                    "{arrived:?}"
                );
            }
            assert!(arrived.is_sorted(), "{arrived:?}");
            for number in &promised {
                assert!(
                    seen.contains(number),
                    "{number} of {promised:?} in {arrived:?}"
                );
            }
            let failed = seen.iter().filter(|number| lost.contains(number));
            assert_eq!(failed.count(), 0, "lost, and arrived");
        }
    }
}

fn check(hardship: Hardship) {
    let mut arrived = 0;
    for seed in 0..SEEDS {
        let result = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed, hardship);
            for number in 1..=STEPS {
                run.step(number);
                run.check_bounds();
            }
            run.finish();
            run.pair.client.got.len() + run.pair.server.got.len()
        });
        let Ok(n) = result else {
            panic!("seed {seed}");
        };
        arrived += n;
    }
    // The hand is not so hard that nothing happens.
    assert!(arrived > 30 * usize::try_from(SEEDS).unwrap(), "{arrived}");
}

/// [MQTT-4.3.3-10] [MQTT-4.4.0-1] Over any number of cuts, with any delay.
#[test]
fn messages_arrive_once_and_in_order_over_cuts_at_random() {
    check(Hardship::None);
}

/// [MQTT-4.3.3-10] [MQTT-4.4.0-1] With stores that answer late.
#[test]
fn messages_arrive_once_and_in_order_with_stores_that_answer_at_random() {
    check(Hardship::Stores);
}

#[test]
fn messages_arrive_once_and_in_order_with_stores_that_fail_at_random() {
    check(Hardship::Failures);
}

#[test]
fn messages_arrive_once_and_in_order_from_a_side_that_crashes_at_random() {
    check(Hardship::Crashes);
}
