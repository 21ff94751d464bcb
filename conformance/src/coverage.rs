//! That each statement which binds a server has a check.

use std::collections::BTreeSet;

use crate::check::Check;
use crate::table;

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
    let known: BTreeSet<&str> = table::statements().into_iter().collect();
    let mut problems = Vec::new();
    for id in known.iter().filter(|id| !covered.contains(**id)) {
        problems.push(format!("MQTT-{id} has no check"));
    }
    for id in covered.iter().filter(|id| !known.contains(**id)) {
        problems.push(format!("MQTT-{id} does not bind a server"));
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
    fn every_statement_that_binds_a_server_has_a_check() {
        assert_eq!(problems(&checks::all()), Vec::<String>::new());
    }

    #[test]
    fn what_is_missing_unknown_or_twice_is_a_problem() {
        let mut checks = checks::all();
        checks.retain(|check| !check.statements.contains(&"3.12.4-1"));
        checks.push(scene("one", &["3.1.2-20"], |_| Ok(())));
        checks.push(scene("one", &[], |_| Ok(())));
        assert_eq!(
            problems(&checks),
            [
                "MQTT-3.12.4-1 has no check",
                "MQTT-3.1.2-20 does not bind a server",
                "two checks are named \"one\"",
            ]
        );
    }
}
