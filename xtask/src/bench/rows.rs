//! What the benches have measured: rows, their table, the report that other programs read, and the baseline they are held to.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::error::{Error, Result, failed};

/// So much above its baseline may a count be.
const SLACK: f64 = 1.05;

/// What a row should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Goal {
    None,
    AtMost(f64),
    AtLeast(f64),
    /// It is the ratio that should be no more.
    RatioAtMost(f64),
}

/// A figure that was measured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) value: f64,
    pub(super) goal: Goal,
    /// What it is to the floor, or to the best peer, of the same run, where there is one.
    pub(super) ratio: Option<f64>,
}

impl Row {
    pub(super) fn new(name: impl Into<String>, unit: &'static str, value: f64, goal: Goal) -> Self {
        Self {
            name: name.into(),
            unit,
            value,
            goal,
            ratio: None,
        }
    }

    /// The same beside another figure of the same run: mostly a floor.
    pub(super) fn above(self, floor: f64) -> Self {
        let ratio = (floor > 0.0).then_some(self.value / floor);
        Self { ratio, ..self }
    }

    /// The same beside a peer of the same run.
    pub(super) fn beside(self, ratio: f64, goal: f64) -> Self {
        Self {
            ratio: Some(ratio),
            goal: Goal::RatioAtMost(goal),
            ..self
        }
    }

    /// `None` where there is no goal.
    pub(super) fn met(&self) -> Option<bool> {
        match self.goal {
            Goal::None => None,
            Goal::AtMost(goal) => Some(self.value <= goal),
            Goal::AtLeast(goal) => Some(self.value >= goal),
            Goal::RatioAtMost(goal) => self.ratio.map(|ratio| ratio <= goal),
        }
    }

    /// The number of the goal.
    fn goal(&self) -> Option<f64> {
        match self.goal {
            Goal::None => None,
            Goal::AtMost(goal) | Goal::AtLeast(goal) | Goal::RatioAtMost(goal) => Some(goal),
        }
    }

    /// What repeats: its ratio to the floor, or the count itself.
    fn counted(&self) -> f64 {
        self.ratio.unwrap_or(self.value)
    }
}

/// The rows beside their goals, the last line being the sum of it.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:36}{:26}{:>12}{:>10}{:>10}  met\n",
        "row", "unit", "measured", "goal", "ratio"
    );
    for row in rows {
        let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), short);
        let met = row.met().map_or("-", |met| if met { "yes" } else { "no" });
        let _ = writeln!(
            text,
            "{:36}{:26}{:>12}{:>10}{:>10}  {met}",
            row.name,
            row.unit,
            short(row.value),
            shown(row.goal()),
            shown(row.ratio),
        );
    }
    text + &sum(rows)
}

/// How many goals there are, and how many are met.
pub(super) fn sum(rows: &[Row]) -> String {
    let goals = rows.iter().filter_map(Row::met);
    let met = goals.clone().filter(|met| *met).count();
    format!("bench: {} rows, {met} met", goals.count())
}

fn short(value: f64) -> String {
    if value.abs() < 100.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.0}")
    }
}

/// The rows for other programs: an array of objects.
pub(super) fn json(rows: &[Row]) -> String {
    let number = |value: Option<f64>| match value {
        Some(value) if value.is_finite() => value.to_string(),
        _ => "null".to_owned(),
    };
    let each = rows.iter().map(|row| {
        let met = row.met().map_or("null".to_owned(), |met| met.to_string());
        format!(
            "  {{\"row\": {:?}, \"unit\": {:?}, \"value\": {}, \"goal\": {}, \"ratio\": {}, \"met\": {met}}}",
            row.name,
            row.unit,
            number(Some(row.value)),
            number(row.goal()),
            number(row.ratio),
        )
    });
    format!("[\n{}\n]\n", each.collect::<Vec<_>>().join(",\n"))
}

/// The counts among these rows, to be kept as what later runs are held to.
pub(super) fn baseline(rows: &[Row]) -> String {
    let mut text = "row\tunit\tvalue or ratio to the floor\tmet\n".to_owned();
    for row in rows.iter().filter(|row| repeats(row.unit)) {
        let met = row.met().map_or("-", |met| if met { "yes" } else { "no" });
        let _ = writeln!(
            text,
            "{}\t{}\t{:.3}\t{met}",
            row.name,
            row.unit,
            row.counted()
        );
    }
    text
}

/// Whether a unit is of a count that is the same in every run.
fn repeats(unit: &str) -> bool {
    ["instructions", "allocations"].contains(&unit)
}

/// Holds these rows to what was kept.
///
/// # Errors
/// When a count is above its baseline by more than the slack, when a goal was met and is not, and when a row is missing.
pub(super) fn hold(rows: &[Row], file: &Path) -> Result {
    let text = fs::read_to_string(file)
        .map_err(|error| Error::Failed(format!("{}: {error}", file.display())))?;
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

fn compare(rows: &[Row], baseline: &str) -> Result<Vec<String>> {
    let mut worse = Vec::new();
    for line in baseline.lines().skip(1) {
        let [name, unit, value, met] = line.split('\t').collect::<Vec<_>>()[..] else {
            return failed(format!("this is no line of a baseline: {line:?}"));
        };
        let Ok(value) = value.parse::<f64>() else {
            return failed(format!("this is no number: {value:?}"));
        };
        let Some(row) = rows.iter().find(|row| row.name == name && row.unit == unit) else {
            return failed(format!("{name} was not measured in {unit}"));
        };
        let now = row.counted();
        // A count of almost nothing may be a little more of it.
        if now > value * SLACK + 0.01 {
            worse.push(format!("{name}, {unit}: {now:.3}, was {value}"));
        }
        if met == "yes" && row.met() == Some(false) {
            worse.push(format!("{name}, {unit}: {} is beyond its goal", row.value));
        }
    }
    Ok(worse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        vec![
            Row::new("a", "instructions", 200.0, Goal::AtMost(250.0)).above(100.0),
            Row::new("b", "allocations", 1.0, Goal::None),
            Row::new("c", "of raw", 0.8, Goal::AtLeast(0.9)),
            Row::new("d", "us", 7.0, Goal::None).beside(0.1, 0.15),
        ]
    }

    #[test]
    fn the_last_line_counts_goals_and_those_that_are_met() {
        let text = table(&rows());
        assert_eq!(text.lines().last(), Some("bench: 3 rows, 2 met"));
        assert_eq!(text.lines().count(), 6);
    }

    #[test]
    fn the_report_has_every_row() {
        let text = json(&rows());
        let first = r#"{"row": "a", "unit": "instructions", "value": 200, "goal": 250, "ratio": 2, "met": true},"#;
        assert_eq!(text.lines().nth(1).map(str::trim), Some(first));
        assert!(text.contains(r#""goal": null, "ratio": null, "met": null"#));
        assert!(text.starts_with("[\n") && text.ends_with("}\n]\n"));
    }

    #[test]
    fn what_is_kept_holds_for_the_run_it_is_of() {
        let kept = baseline(&rows());
        assert_eq!(kept.lines().count(), 3, "{kept}");
        assert_eq!(compare(&rows(), &kept), Ok(vec![]));
    }

    #[test]
    fn a_count_above_its_baseline_is_worse() {
        let kept = baseline(&rows());
        let mut now = rows();
        now[0].ratio = Some(2.2);
        now[1].value = 1.1;
        assert_eq!(compare(&now, &kept).unwrap().len(), 2);
    }

    #[test]
    fn a_goal_that_was_met_stays_met() {
        let kept = baseline(&rows());
        let mut now = rows();
        now[0].value = 251.0;
        assert_eq!(
            compare(&now, &kept),
            Ok(vec!["a, instructions: 251 is beyond its goal".to_owned()])
        );
    }

    #[test]
    fn a_row_that_is_gone_is_a_failure() {
        let kept = baseline(&rows());
        assert!(compare(&rows()[1..], &kept).is_err());
        assert!(compare(&rows(), "row\nx").is_err());
    }
}
