//! A figure that a bench has measured, what it should be, and what it stands beside.

/// What a row should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Goal {
    None,
    AtMost(f64),
    AtLeast(f64),
    /// It is the ratio that should be no more.
    RatioAtMost(f64),
}

/// A figure that was measured, or that was to be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) value: Option<f64>,
    pub(super) goal: Goal,
    /// What it is to the floor, or to the best peer, of the same run, where there is one.
    pub(super) ratio: Option<f64>,
    /// The best of the others in the same run, and its figure in the same unit.
    pub(super) peer: Option<(String, f64)>,
    /// Why its goal cannot be judged, where it cannot.
    pub(super) why: Option<String>,
    /// Whether it is of a peer, or was measured for one: later runs are not held to it.
    pub(super) aside: bool,
}

impl Row {
    pub(super) fn new(name: impl Into<String>, unit: &'static str, value: f64, goal: Goal) -> Self {
        Self {
            name: name.into(),
            unit,
            value: Some(value),
            goal,
            ratio: None,
            peer: None,
            why: None,
            aside: false,
        }
    }

    /// A row without a figure, and why.
    pub(super) fn absent(
        name: impl Into<String>,
        unit: &'static str,
        goal: Goal,
        why: impl Into<String>,
    ) -> Self {
        let value = None;
        let why = Some(why.into());
        Self {
            value,
            why,
            ..Self::new(name, unit, 0.0, goal)
        }
    }

    /// The same beside another figure of the same run: mostly a floor.
    pub(super) fn above(self, floor: f64) -> Self {
        let value = self.value.filter(|_| floor > 0.0);
        let ratio = value.map(|value| value / floor);
        Self { ratio, ..self }
    }

    /// The same beside a peer of the same run: the ratio is what has the goal.
    pub(super) fn beside(self, ratio: f64, goal: f64) -> Self {
        Self {
            ratio: Some(ratio),
            goal: Goal::RatioAtMost(goal),
            ..self
        }
    }

    /// The same where the peer was not measured that its goal is about.
    pub(super) fn alone(self, goal: f64, why: impl Into<String>) -> Self {
        Self {
            goal: Goal::RatioAtMost(goal),
            why: Some(why.into()),
            ..self
        }
    }

    /// The same with the figure of a peer, which is told and has no part in whether the goal is met. The best of many is kept.
    pub(super) fn with_peer(self, name: &str, value: f64) -> Self {
        let better = |(_, known): &(String, f64)| match self.goal {
            Goal::AtLeast(_) => *known >= value,
            _ => *known <= value,
        };
        if self.peer.as_ref().is_some_and(better) {
            return self;
        }
        let peer = Some((name.to_owned(), value));
        Self { peer, ..self }
    }

    /// The same, not to be held to by later runs.
    pub(super) fn aside(self) -> Self {
        let aside = true;
        Self { aside, ..self }
    }

    /// `None` where there is no goal, or nothing to judge it by.
    pub(super) fn met(&self) -> Option<bool> {
        if self.why.is_some() {
            return None;
        }
        let value = self.value?;
        match self.goal {
            Goal::None => None,
            Goal::AtMost(goal) => Some(value <= goal),
            Goal::AtLeast(goal) => Some(value >= goal),
            Goal::RatioAtMost(goal) => self.ratio.map(|ratio| ratio <= goal),
        }
    }

    /// The number of the goal.
    pub(super) fn goal(&self) -> Option<f64> {
        match self.goal {
            Goal::None => None,
            Goal::AtMost(goal) | Goal::AtLeast(goal) | Goal::RatioAtMost(goal) => Some(goal),
        }
    }

    /// What repeats: its ratio to the floor, or the count itself.
    pub(super) fn counted(&self) -> Option<f64> {
        self.ratio.or(self.value)
    }

    pub(super) fn verdict(&self) -> &'static str {
        self.met().map_or("-", |met| if met { "yes" } else { "no" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_by_the_value_or_by_the_ratio() {
        let row = |goal| Row::new("a", "us", 7.0, goal);
        assert_eq!(row(Goal::None).met(), None);
        assert_eq!(row(Goal::AtMost(7.0)).met(), Some(true));
        assert_eq!(row(Goal::AtMost(6.9)).met(), Some(false));
        assert_eq!(row(Goal::AtLeast(7.1)).met(), Some(false));
        assert_eq!(row(Goal::None).beside(0.1, 0.15).met(), Some(true));
        assert_eq!(row(Goal::None).beside(0.2, 0.15).met(), Some(false));
    }

    #[test]
    fn a_goal_that_nothing_is_known_about_is_not_met() {
        let absent = Row::absent("a", "us", Goal::AtMost(1.0), "no tool");
        assert_eq!((absent.met(), absent.goal()), (None, Some(1.0)));
        let alone = Row::new("a", "us", 7.0, Goal::None).alone(0.5, "no peer");
        assert_eq!((alone.met(), alone.goal()), (None, Some(0.5)));
    }

    #[test]
    fn the_best_peer_is_the_one_that_is_told() {
        let peers = |goal| {
            let row = Row::new("a", "us", 7.0, goal).with_peer("one", 9.0);
            row.with_peer("two", 8.0).with_peer("three", 10.0).peer
        };
        assert_eq!(peers(Goal::AtMost(1.0)), Some(("two".to_owned(), 8.0)));
        assert_eq!(peers(Goal::AtLeast(1.0)), Some(("three".to_owned(), 10.0)));
    }

    #[test]
    fn nothing_is_a_ratio_to_nothing() {
        assert_eq!(Row::new("a", "us", 7.0, Goal::None).above(0.0).ratio, None);
    }
}
