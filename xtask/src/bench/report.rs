//! How the rows are shown: as a table on the screen and in Markdown, and as the report that other programs read.

use std::fmt::Write as _;

use super::rows::Row;

/// The rows beside their goals, the last line being the sum of it.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:40}{:26}{:>12}{:>10}{:>10}  {:5}best peer\n",
        "row", "unit", "measured", "goal", "ratio", "met"
    );
    for row in rows {
        let [value, goal, ratio, met, note] = cells(row);
        let line = format!(
            "{:40}{:26}{value:>12}{goal:>10}{ratio:>10}  {met:5}{note}",
            row.name, row.unit
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text + &sum(rows)
}

/// The same as a table of Markdown.
pub(super) fn markdown(rows: &[Row]) -> String {
    let mut text = "| row | unit | measured | goal | ratio | met | best peer |\n\
                    |---|---|---|---|---|---|---|\n"
        .to_owned();
    for row in rows {
        let cells = cells(row).join(" | ");
        let _ = writeln!(text, "| {} | {} | {cells} |", row.name, row.unit);
    }
    text + "\n" + &sum(rows) + "\n"
}

/// What was measured, the goal, the ratio, whether it is met, and the best peer or why there is nothing to judge.
fn cells(row: &Row) -> [String; 5] {
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), short);
    let note = match (&row.why, &row.peer) {
        (Some(why), _) => why.clone(),
        (None, Some((name, value))) => format!("{name} {}", short(*value)),
        (None, None) => String::new(),
    };
    [
        shown(row.value),
        shown(row.goal()),
        shown(row.ratio),
        row.verdict().to_owned(),
        note,
    ]
}

/// How many goals there are, and how many are met.
pub(super) fn sum(rows: &[Row]) -> String {
    let goals = rows.iter().filter(|row| row.goal().is_some()).count();
    let met = rows.iter().filter(|row| row.met() == Some(true)).count();
    format!("bench: {goals} rows, {met} met")
}

pub(super) fn short(value: f64) -> String {
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
        let mut text = format!(
            "  {{\"row\": {:?}, \"unit\": {:?}, \"value\": {}, \"goal\": {}, \"ratio\": {}, \"met\": {met}",
            row.name,
            row.unit,
            number(row.value),
            number(row.goal()),
            number(row.ratio),
        );
        if let Some((name, value)) = &row.peer {
            let value = number(Some(*value));
            let _ = write!(text, ", \"peer\": {name:?}, \"peer_value\": {value}");
        }
        if let Some(why) = &row.why {
            let _ = write!(text, ", \"why\": {why:?}");
        }
        text + "}"
    });
    format!("[\n{}\n]\n", each.collect::<Vec<_>>().join(",\n"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::rows::Goal;
    use super::*;

    pub(in super::super) fn rows() -> Vec<Row> {
        vec![
            Row::new("a", "instructions", 200.0, Goal::AtMost(250.0))
                .above(100.0)
                .with_peer("rumqttc", 300.0),
            Row::new("b", "allocations", 1.0, Goal::None),
            Row::new("c", "of raw", 0.8, Goal::AtLeast(0.9)),
            Row::new("d", "us", 7.0, Goal::None).beside(0.1, 0.15),
            Row::absent("e", "us", Goal::AtMost(1.0), "mosquitto is not here"),
        ]
    }

    #[test]
    fn the_last_line_counts_goals_and_those_that_are_met() {
        let text = table(&rows());
        assert_eq!(text.lines().last(), Some("bench: 4 rows, 2 met"));
        assert_eq!(text.lines().count(), 7);
    }

    #[test]
    fn a_row_without_a_figure_says_why() {
        let text = markdown(&rows());
        assert!(
            text.contains("| e | us | - | 1.00 | - | - | mosquitto is not here |\n"),
            "{text}"
        );
        assert!(
            text.contains("| a | instructions | 200 | 250 | 2.00 | yes | rumqttc 300 |\n"),
            "{text}"
        );
    }

    #[test]
    fn the_report_has_every_row() {
        let text = json(&rows());
        let first = r#"{"row": "a", "unit": "instructions", "value": 200, "goal": 250, "ratio": 2, "met": true, "peer": "rumqttc", "peer_value": 300},"#;
        assert_eq!(text.lines().nth(1).map(str::trim), Some(first));
        assert!(text.contains(r#""goal": null, "ratio": null, "met": null"#));
        assert!(text.contains(
            r#""value": null, "goal": 1, "ratio": null, "met": null, "why": "mosquitto"#
        ));
        assert!(text.starts_with("[\n") && text.ends_with("}\n]\n"));
    }
}
