//! What later runs are held to: the counts of an earlier one, which repeat, and which of its goals were met.
//!
//! Each bench has a file of its own in `benches/`. Counts are kept as ratios to the floor of their run, where they have one; of times and
//! sizes only that their goal was met.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::rows::Row;
use crate::error::{Error, Result, failed};
use crate::project::root;

/// So much above its baseline may a count be.
const SLACK: f64 = 1.05;

/// Where that of a bench is kept.
pub(super) fn file(bench: &str) -> PathBuf {
    root().join("benches").join(format!("{bench}.tsv"))
}

/// Keeps these rows as what later runs are held to.
pub(super) fn keep(rows: &[Row], file: &Path) -> Result {
    fs::write(file, write(rows))
        .map_err(|error| Error::Failed(format!("{}: {error}", file.display())))
}

/// Holds these rows to what was kept.
///
/// # Errors
/// When a count is above its baseline by more than the slack, when a goal was met and is not, and when a count is missing.
pub(super) fn hold(rows: &[Row], file: &Path) -> Result {
    let text = fs::read_to_string(file)
        .map_err(|error| Error::Failed(format!("{}: {error}; --keep writes it", file.display())))?;
    let worse = compare(rows, &text)?;
    if worse.is_empty() {
        Ok(())
    } else {
        failed(format!(
            "worse than {}:\n{}",
            file.display(),
            worse.join("\n")
        ))
    }
}

fn write(rows: &[Row]) -> String {
    let mut text = "row\tunit\tcount or ratio to the floor\tmet\n".to_owned();
    for row in rows.iter().filter(|row| !row.aside) {
        let met = row.verdict();
        let counted = row.counted().filter(|_| repeats(row.unit));
        if let Some(counted) = counted {
            let _ = writeln!(text, "{}\t{}\t{counted:.3}\t{met}", row.name, row.unit);
        } else if row.met() == Some(true) {
            let _ = writeln!(text, "{}\t{}\t-\t{met}", row.name, row.unit);
        }
    }
    text
}

/// Whether a unit is of a count that is the same in every run.
fn repeats(unit: &str) -> bool {
    ["instructions", "allocations"].contains(&unit)
}

fn compare(rows: &[Row], baseline: &str) -> Result<Vec<String>> {
    let mut worse = Vec::new();
    for line in baseline.lines().skip(1) {
        let [name, unit, value, met] = line.split('\t').collect::<Vec<_>>()[..] else {
            return failed(format!("this is no line of a baseline: {line:?}"));
        };
        let row = rows.iter().find(|row| row.name == name && row.unit == unit);
        if value != "-" {
            let Ok(value) = value.parse::<f64>() else {
                return failed(format!("this is no number: {value:?}"));
            };
            let Some(now) = row.and_then(Row::counted) else {
                return failed(format!("{name} was not measured in {unit}"));
            };
            // A count of almost nothing may be a little more of it.
            if now > value * SLACK + 0.01 {
                worse.push(format!("{name}, {unit}: {now:.3}, was {value}"));
            }
        }
        // What does not repeat is not measured by every run.
        if met == "yes"
            && let Some(row) = row
            && row.met() == Some(false)
        {
            let value = row.value.unwrap_or_default();
            worse.push(format!("{name}, {unit}: {value} is beyond its goal"));
        }
    }
    Ok(worse)
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::rows;
    use super::super::rows::Goal;
    use super::*;

    #[test]
    fn what_is_kept_holds_for_the_run_it_is_of() {
        let kept = write(&rows());
        let want = "a\tinstructions\t2.000\tyes\nb\tallocations\t1.000\t-\nd\tus\t-\tyes\n";
        assert_eq!(kept.split_once('\n').unwrap().1, want);
        assert_eq!(compare(&rows(), &kept), Ok(vec![]));
    }

    #[test]
    fn a_count_above_its_baseline_is_worse() {
        let kept = write(&rows());
        let mut now = rows();
        now[0].ratio = Some(2.2);
        now[1].value = Some(1.1);
        assert_eq!(compare(&now, &kept).unwrap().len(), 2);
    }

    #[test]
    fn a_goal_that_was_met_stays_met() {
        let kept = write(&rows());
        let mut now = rows();
        now[0].value = Some(251.0);
        now[2].value = Some(0.1);
        now[3].ratio = Some(0.2);
        let want = [
            "a, instructions: 251 is beyond its goal",
            "d, us: 7 is beyond its goal",
        ];
        assert_eq!(compare(&now, &kept), Ok(want.map(str::to_owned).to_vec()));
    }

    #[test]
    fn a_count_that_is_gone_is_a_failure_and_a_time_is_not() {
        let kept = write(&rows());
        assert!(compare(&rows()[1..], &kept).is_err());
        assert_eq!(compare(&rows()[..3], &kept), Ok(vec![]));
        assert!(compare(&rows(), "row\nx").is_err());
    }

    #[test]
    fn what_a_peer_does_is_not_kept() {
        let aside = Row::new("a, rumqttc", "instructions", 1.0, Goal::None).aside();
        assert_eq!(write(&[aside]).lines().count(), 1);
    }
}
