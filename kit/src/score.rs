//! The scorecard: a row for each scenario, a column for each client, and what was found, in Markdown.

use std::fmt::Write as _;

use crate::adapter::Client;
use crate::play::Outcome;
use crate::scenario::Scenario;

/// How one scenario went with one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Problem {
    /// All as it must be and should be.
    None,
    /// The client has no way to be asked for what the scenario wants.
    Unable,
    /// What should be otherwise.
    Note,
    /// What must be otherwise.
    Fault,
}

impl Problem {
    fn of(outcome: &Outcome) -> Self {
        if outcome.unable.is_some() {
            Self::Unable
        } else if outcome.fault.is_some() {
            Self::Fault
        } else if outcome.notes.is_empty() {
            Self::None
        } else {
            Self::Note
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::None => "passed",
            Self::Unable => "no such option",
            Self::Note => "passed, with a note",
            Self::Fault => "differs",
        }
    }
}

/// The table, and below it what each client did otherwise.
pub fn scorecard(scenarios: &[Scenario], clients: &[Client], outcomes: &[Outcome]) -> String {
    let mut text = String::from("# What clients make of a server that misbehaves\n\n");
    let of = |client: &Client| -> Vec<&Outcome> {
        outcomes
            .iter()
            .filter(|outcome| outcome.client == client.name)
            .collect()
    };
    for client in clients {
        let own = of(client);
        let version = own.first().map_or("", |outcome| &outcome.version);
        let count = |problem| own.iter().filter(|own| Problem::of(own) == problem).count();
        let is_must = |outcome: &&&Outcome| {
            let mut scenarios = scenarios.iter();
            Problem::of(outcome) == Problem::Fault
                && scenarios.any(|it| it.name == outcome.scenario && it.level == "must")
        };
        let _ = writeln!(
            text,
            "- {} ({version}): {} passed, {} passed with a note, {} differ, of which {} where the specification says must, \
             {} could not be asked for",
            client.name,
            count(Problem::None),
            count(Problem::Note),
            count(Problem::Fault),
            own.iter().filter(is_must).count(),
            count(Problem::Unable)
        );
    }
    let mut header = String::from("\n| scenario | level | settled by |");
    let mut rule = String::from("|---|---|---|");
    for client in clients {
        let _ = write!(header, " {} |", client.name);
        rule.push_str("---|");
    }
    let _ = writeln!(text, "{header}\n{rule}");
    for scenario in scenarios {
        let _ = write!(
            text,
            "| {} | {} | {} |",
            scenario.name, scenario.level, scenario.settled
        );
        for client in clients {
            let own = of(client);
            let outcome = own.iter().find(|own| own.scenario == scenario.name);
            let word = outcome.map_or("", |outcome| Problem::of(outcome).word());
            let _ = write!(text, " {word} |");
        }
        text.push('\n');
    }
    for client in clients {
        let own = of(client);
        let told: Vec<_> = own.iter().filter(|own| !own.is_spotless()).collect();
        if told.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n## {}\n", client.name);
        for outcome in told {
            for what in outcome.fault.iter().chain(&outcome.notes) {
                let _ = writeln!(text, "- {}: {what}", outcome.scenario);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_has_a_row_for_each_scenario_and_tells_what_was_otherwise() {
        let text = "about: It.\nsettled: 4.13\nlevel: must\n";
        let scenarios = ["one", "two"].map(|name| Scenario::parse(name, text).unwrap());
        let client = Client {
            name: "theirs".to_owned(),
            is_ours: false,
            program: "no-such-program".into(),
            args: Vec::new(),
        };
        let outcome = |scenario: &str, fault: Option<&str>, notes: &[&str]| Outcome {
            scenario: scenario.to_owned(),
            client: "theirs".to_owned(),
            version: "theirs 1.0".to_owned(),
            fault: fault.map(str::to_owned),
            unable: None,
            notes: notes.iter().map(ToString::to_string).collect(),
            log: Vec::new(),
        };
        let outcomes = [
            outcome("one", Some("line 4: cut: no"), &[]),
            outcome("two", None, &["a word"]),
        ];
        let card = scorecard(&scenarios, &[client], &outcomes);
        for line in [
            "- theirs (theirs 1.0): 0 passed, 1 passed with a note, 1 differ, of which 1 where the specification says must, 0 could not be asked for",
            "| one | must | 4.13 | differs |",
            "| two | must | 4.13 | passed, with a note |",
            "- one: line 4: cut: no",
            "- two: a word",
        ] {
            assert!(card.lines().any(|own| own == line), "{line}\n{card}");
        }
    }
}
