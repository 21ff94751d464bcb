//! The rows that have a peer as a chart: what ours costs as a part of what the best peer costs, in the colours of light and of dark pages.
//!
//! Each bar begins at nothing; the line through all of them is the peer, the mark on each its goal. Where more is better, as with rates,
//! the bar shows the inverse, so that shorter is always better.

use std::fmt::Write as _;

use super::python;
use super::report::short;
use super::rows::{Goal, Row};
use crate::error::{Error, Result};
use crate::project::{root, target};

/// The colours of a chart.
struct Theme {
    name: &'static str,
    page: &'static str,
    text: &'static str,
    faint: &'static str,
    met: &'static str,
    missed: &'static str,
}

const THEMES: [Theme; 2] = [
    Theme {
        name: "light",
        page: "#ffffff",
        text: "#1f2328",
        faint: "#8c959f",
        met: "#3b7ddd",
        missed: "#d9822b",
    },
    Theme {
        name: "dark",
        page: "#0d1117",
        text: "#e6edf3",
        faint: "#7d8590",
        met: "#4f94ef",
        missed: "#d18616",
    },
];

/// Headings, and how the names of the rows below them begin.
const GROUPS: &[(&str, &[&str])] = &[
    ("Codec", &["decode/", "encode/"]),
    (
        "Client",
        &["publish/", "receive/", "round trip", "mosquitto/", "idle"],
    ),
    ("Broker", &["broker/"]),
    ("Python", &["python/"]),
];

/// Pixels: the whole width, where bars begin, how long one is that costs as much as the peer, the most that is shown, and a line's height.
const WIDTH: f64 = 980.0;
const BEGIN: f64 = 250.0;
const PEER: f64 = 260.0;
const MOST: f64 = 1.25 * PEER;
const LINE: f64 = 22.0;

/// One bar: what ours costs, the peer being 1, and the goal likewise.
#[derive(Debug, PartialEq)]
struct Bar<'a> {
    row: &'a Row,
    cost: f64,
    goal: Option<f64>,
}

impl<'a> Bar<'a> {
    /// `None` of a row that no peer was measured for.
    fn of(row: &'a Row) -> Option<Self> {
        let (cost, goal) = match (row.goal, row.ratio, &row.peer) {
            (Goal::RatioAtMost(goal), Some(ratio), _) => (ratio, Some(goal)),
            (Goal::AtLeast(goal), _, Some((_, peer))) => (peer / row.value?, Some(peer / goal)),
            (Goal::AtMost(goal), _, Some((_, peer))) => (row.value? / peer, Some(goal / peer)),
            (Goal::None, _, Some((_, peer))) => (row.value? / peer, None),
            _ => return None,
        };
        cost.is_finite().then_some(Self { row, cost, goal })
    }

    fn figure(&self) -> String {
        let row = self.row;
        let mut text = format!("{} {}", short(row.value.unwrap_or_default()), row.unit);
        match (&row.peer, row.ratio) {
            (Some((name, _)), _) if row.unit.starts_with("of ") => {
                let _ = write!(text, " ({name})");
            }
            (Some((name, peer)), _) => {
                let _ = write!(text, ", {name} {}", short(*peer));
            }
            (None, Some(ratio)) => {
                let _ = write!(text, ", {} of the best peer", short(ratio));
            }
            (None, None) => {}
        }
        if let Some(goal) = row.goal() {
            let _ = write!(text, "; goal {}", short(goal));
        }
        text
    }
}

/// Writes the charts of these rows into the folder that cargo builds into.
pub(super) fn write(rows: &[Row]) -> Result {
    for theme in &THEMES {
        super::write(&file(theme), &chart(rows, theme))?;
    }
    Ok(())
}

/// `cargo xtask bench charts`: the charts of the last run become those of the front page.
pub(super) fn publish() -> Result {
    let docs = root().join("docs");
    for theme in &THEMES {
        let name = file(theme);
        let copied = std::fs::create_dir_all(&docs)
            .and_then(|()| std::fs::copy(target().join(&name), docs.join(&name)));
        copied.map_err(|error| {
            Error::Failed(format!("{name}: {error}; `bench all --peers` draws it"))
        })?;
    }
    Ok(())
}

fn file(theme: &Theme) -> String {
    format!("bench-{}.svg", theme.name)
}

fn chart(rows: &[Row], theme: &Theme) -> String {
    let Theme {
        page, text, faint, ..
    } = theme;
    let mut body = String::new();
    let mut y = 52.0;
    for (heading, names) in GROUPS {
        let is_in = |row: &&Row| names.iter().any(|name| row.name.starts_with(name));
        let shown = rows
            .iter()
            .filter(is_in)
            .filter(|row| !python::is_rare(row));
        let bars: Vec<_> = shown.filter_map(Bar::of).collect();
        if bars.is_empty() {
            continue;
        }
        y += 12.0;
        let _ = writeln!(
            body,
            "<text x=\"12\" y=\"{y}\" font-weight=\"600\" fill=\"{text}\">{heading}</text>"
        );
        for bar in &bars {
            y += LINE;
            draw(&mut body, bar, y, theme);
        }
        y += LINE / 2.0;
    }
    let height = y + 16.0;
    let peer = BEGIN + PEER;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"system-ui, sans-serif\" font-size=\"13\" role=\"img\">\n\
         <title>Cost beside the best peer; shorter is better</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"{page}\"/>\n\
         <text x=\"12\" y=\"24\" fill=\"{text}\">Cost beside the best peer of the same run: shorter is better, the mark is the goal</text>\n\
         <text x=\"{peer}\" y=\"46\" text-anchor=\"middle\" fill=\"{faint}\">best peer</text>\n\
         <line x1=\"{peer}\" x2=\"{peer}\" y1=\"52\" y2=\"{y}\" stroke=\"{faint}\" stroke-dasharray=\"3 3\"/>\n\
         {body}</svg>\n"
    )
}

fn draw(body: &mut String, bar: &Bar<'_>, y: f64, theme: &Theme) {
    let Theme {
        text,
        faint,
        met,
        missed,
        ..
    } = theme;
    let colour = if bar.row.met() == Some(false) {
        missed
    } else {
        met
    };
    let length = (bar.cost * PEER).clamp(1.0, MOST);
    let (top, bottom, behind) = (y - 11.0, y + 3.0, BEGIN + MOST + 12.0);
    let name = escaped(&bar.row.name);
    let figure = escaped(&bar.figure());
    let _ = writeln!(
        body,
        "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\" fill=\"{text}\">{name}</text>\n\
         <rect x=\"{BEGIN}\" y=\"{top}\" width=\"{length:.1}\" height=\"14\" rx=\"2\" fill=\"{colour}\"/>\n\
         <text x=\"{behind}\" y=\"{y}\" fill=\"{faint}\" font-size=\"12\">{figure}</text>",
        BEGIN - 10.0,
    );
    if let Some(goal) = bar.goal {
        let x = BEGIN + (goal * PEER).clamp(0.0, MOST);
        let _ = writeln!(
            body,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{}\" stroke=\"{text}\" stroke-width=\"2\"/>",
            top - 2.0,
            bottom + 2.0,
        );
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(row: &Row, want: Option<(f64, Option<f64>)>, figure: &str) {
        let bar = Bar::of(row);
        assert_eq!(bar.as_ref().map(|bar| (bar.cost, bar.goal)), want);
        if let Some(bar) = bar {
            assert_eq!(bar.figure(), figure);
        }
    }

    #[test]
    fn a_bar_is_what_ours_costs_beside_the_peer() {
        let count = Row::new("decode/puback", "instructions", 100.0, Goal::AtMost(150.0));
        check(&count, None, "");
        let count = count.with_peer("rumqttc", 400.0);
        check(
            &count,
            Some((0.25, Some(0.375))),
            "100 instructions, rumqttc 400; goal 150",
        );
        let python = Row::new("python/read/x", "ns", 8.0, Goal::None).beside(0.5, 0.75);
        check(
            &python,
            Some((0.5, Some(0.75))),
            "8.00 ns, 0.50 of the best peer; goal 0.75",
        );
    }

    #[test]
    fn of_rates_it_is_the_inverse() {
        let rate = Row::new("publish/1", "of rumqttc's rate", 8.0, Goal::AtLeast(4.0));
        let rate = rate.with_peer("rumqttc", 1.0);
        check(
            &rate,
            Some((0.125, Some(0.25))),
            "8.00 of rumqttc's rate (rumqttc); goal 4.00",
        );
    }

    #[test]
    fn a_chart_has_a_line_for_each_row_with_a_peer() {
        let row = |name: &str| Row::new(name, "us", 1.0, Goal::None);
        let rows = [
            row("encode/<a>").with_peer("b", 2.0),
            row("decode/alone"),
            row("python/publish0").beside(0.1, 0.2),
        ];
        for theme in &THEMES {
            let chart = chart(&rows, theme);
            assert_eq!(chart.matches("height=\"14\"").count(), 2, "{chart}");
            assert!(chart.contains("encode/&lt;a>"));
            assert!(!chart.contains("Broker") && chart.contains(theme.page));
        }
    }
}
