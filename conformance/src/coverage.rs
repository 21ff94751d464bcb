//! That each statement which binds a server has a check, or a reason why there can be none.

use std::collections::BTreeSet;

use crate::check::Check;
use crate::table;

/// What cannot be seen from outside of a server that does all of MQTT and has no method of enhanced authentication.
const UNSEEN: &[(&str, &str)] = &[
    (
        "3.2.2-12",
        "a server that takes every QoS refuses none in a will",
    ),
    ("3.2.2-13", "a server that retains does not refuse to"),
    ("3.15.2-2", "a server without a method sends no AUTH"),
    ("3.15.2-3", "a server without a method sends no AUTH"),
    ("4.12.0-2", "a server without a method sends no AUTH"),
    (
        "4.12.0-5",
        "a server without a method sends no AUTH, and accepts no method",
    ),
];

/// The statements that have a check.
pub(crate) fn covered(checks: &[Check]) -> BTreeSet<&'static str> {
    checks
        .iter()
        .flat_map(|check| check.statements)
        .copied()
        .collect()
}

/// What is wrong with the checks themselves.
pub(crate) fn problems(checks: &[Check]) -> Vec<String> {
    let covered = covered(checks);
    let unseen: BTreeSet<&str> = UNSEEN.iter().map(|(id, _)| *id).collect();
    let known: BTreeSet<&str> = table::statements().into_iter().collect();
    let mut problems = Vec::new();
    for id in known.iter().filter(|id| !covered.contains(**id)) {
        if !unseen.contains(id) {
            problems.push(format!("MQTT-{id} has no check and no reason for that"));
        }
    }
    for id in covered.union(&unseen).filter(|id| !known.contains(**id)) {
        problems.push(format!("MQTT-{id} does not bind a server"));
    }
    for id in covered.intersection(&unseen) {
        problems.push(format!("MQTT-{id} has a check and a reason for none"));
    }
    let mut names = BTreeSet::new();
    for check in checks.iter().filter(|check| !names.insert(check.name)) {
        problems.push(format!("two checks are named {:?}", check.name));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::scene;
    use crate::checks;

    #[test]
    fn every_statement_that_binds_a_server_has_a_check_or_a_reason() {
        assert_eq!(problems(&checks::all()), Vec::<String>::new());
    }

    #[test]
    fn what_is_missing_unknown_or_twice_is_a_problem() {
        let mut checks = checks::all();
        checks.retain(|check| !check.statements.contains(&"3.12.4-1"));
        checks.push(scene("one", &["3.1.2-20", "3.2.2-12"], |_| Ok(())));
        checks.push(scene("one", &[], |_| Ok(())));
        assert_eq!(
            problems(&checks),
            [
                "MQTT-3.12.4-1 has no check and no reason for that",
                "MQTT-3.1.2-20 does not bind a server",
                "MQTT-3.2.2-12 has a check and a reason for none",
                "two checks are named \"one\"",
            ]
        );
    }
}
