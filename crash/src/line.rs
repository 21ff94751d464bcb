//! A line: one combination of store, durability, QoS and broker, and which of them there are.

use std::fmt;
use std::str::FromStr;

use ohmqtt_client::{Durability, Qos};

/// Where the publisher keeps its outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreKind {
    Sqlite,
    Redb,
    /// Keeps nothing over a crash: a line of it has to fail. It is there to see whether losses are found.
    Memory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BrokerKind {
    Ohmqtt,
    Mosquitto,
}

/// Names of a choice, for reading and showing.
trait Named: Copy + PartialEq + 'static {
    const ALL: &'static [(&'static str, Self)];

    fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|(_, kind)| *kind == self);
        named.map_or("", |(name, _)| name)
    }

    fn from_name(name: &str) -> Result<Self, String> {
        let named = Self::ALL.iter().find(|(known, _)| *known == name);
        let names: Vec<_> = Self::ALL.iter().map(|(name, _)| *name).collect();
        named.map_or_else(
            || Err(format!("{name:?} is none of {}", names.join(", "))),
            |(_, kind)| Ok(*kind),
        )
    }
}

impl Named for StoreKind {
    const ALL: &'static [(&'static str, Self)] = &[
        ("sqlite", Self::Sqlite),
        ("redb", Self::Redb),
        ("memory", Self::Memory),
    ];
}

impl Named for BrokerKind {
    const ALL: &'static [(&'static str, Self)] =
        &[("ohmqtt", Self::Ohmqtt), ("mosquitto", Self::Mosquitto)];
}

impl Named for Durability {
    const ALL: &'static [(&'static str, Self)] = &[("safe", Self::Safe), ("fast", Self::Fast)];
}

impl Named for Qos {
    const ALL: &'static [(&'static str, Self)] =
        &[("1", Self::AtLeastOnce), ("2", Self::ExactlyOnce)];
}

/// A choice as it stands on a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice<T>(pub(crate) T);

impl<T: Named> FromStr for Choice<T> {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        T::from_name(name).map(Self)
    }
}

impl<T: Named> fmt::Display for Choice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

/// One combination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) store: StoreKind,
    pub(crate) durability: Durability,
    pub(crate) qos: Qos,
    pub(crate) broker: BrokerKind,
}

impl Line {
    /// Whether a crash of the process may take the last moments, and nothing else.
    pub(crate) fn may_lose_the_last_moments(self) -> bool {
        self.store == StoreKind::Redb && self.durability == Durability::Fast
    }

    /// Whether a subscriber may be disturbed only after it has had something new on its connection.
    ///
    /// Mosquitto 2.0.11 sends a PUBLISH again in place of the PUBREL to a QoS 2 session that goes on, if the connection before has ended,
    /// or Mosquitto itself, before that PUBREL could be sent.
    pub(crate) fn is_subscriber_touchy(self) -> bool {
        self.broker == BrokerKind::Mosquitto && self.qos == Qos::ExactlyOnce
    }

    /// The options of the command line that choose it.
    pub(crate) fn options(self) -> String {
        format!("--{}", self.to_string().replace(' ', " --")).replace('=', " ")
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            store,
            durability,
            qos,
            broker,
        } = *self;
        write!(
            f,
            "store={} durability={} qos={} broker={}",
            store.name(),
            durability.name(),
            qos.name(),
            broker.name()
        )
    }
}

/// Which lines are wanted: what is not said is everything.
#[derive(Default)]
pub(crate) struct Wanted {
    pub(crate) store: Option<Choice<StoreKind>>,
    pub(crate) durability: Option<Choice<Durability>>,
    pub(crate) qos: Option<Choice<Qos>>,
    pub(crate) broker: Option<Choice<BrokerKind>>,
}

impl Wanted {
    pub(crate) fn lines(&self) -> Vec<Line> {
        let stores = self.store.map_or_else(
            || vec![StoreKind::Sqlite, StoreKind::Redb],
            |store| vec![store.0],
        );
        let mut lines = Vec::new();
        for durability in all_or(self.durability) {
            for store in &stores {
                for qos in all_or(self.qos) {
                    for broker in all_or(self.broker) {
                        lines.push(Line {
                            store: *store,
                            durability,
                            qos,
                            broker,
                        });
                    }
                }
            }
        }
        lines
    }
}

fn all_or<T: Named>(choice: Option<Choice<T>>) -> Vec<T> {
    choice.map_or_else(
        || T::ALL.iter().map(|(_, kind)| *kind).collect(),
        |choice| vec![choice.0],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_store_meets_each_broker_at_each_qos_and_durability() {
        let lines = Wanted::default().lines();
        assert_eq!(lines.len(), 16);
        assert!(lines.iter().all(|line| line.store != StoreKind::Memory));
        let wanted = Wanted {
            store: "redb".parse().ok(),
            qos: "2".parse().ok(),
            ..Wanted::default()
        };
        assert_eq!(wanted.lines().len(), 4);
        let wanted = Wanted {
            durability: "fast".parse().ok(),
            ..wanted
        };
        assert_eq!(wanted.lines().len(), 2);
    }

    #[test]
    fn a_line_is_chosen_by_what_it_shows() {
        let line = Line {
            store: StoreKind::Sqlite,
            durability: Durability::Fast,
            qos: Qos::ExactlyOnce,
            broker: BrokerKind::Mosquitto,
        };
        assert_eq!(
            line.to_string(),
            "store=sqlite durability=fast qos=2 broker=mosquitto"
        );
        assert_eq!(
            line.options(),
            "--store sqlite --durability fast --qos 2 --broker mosquitto"
        );
    }

    #[test]
    fn an_unknown_name_is_refused_with_those_there_are() {
        let error = "0".parse::<Choice<Qos>>().unwrap_err();
        assert_eq!(error, "\"0\" is none of 1, 2");
    }
}
