//! What a bench comes to: a table or JSON, and a picture.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::recorder::Lane;
use super::usage::Used;
use super::{BenchArgs, chart};
use crate::failure::Failure;

/// What was measured.
pub(super) struct Report<'a> {
    pub(super) args: &'a BenchArgs,
    pub(super) total: Lane,
    pub(super) took: Duration,
    pub(super) used: Used,
    /// Messages a second, by the end of each stretch in seconds.
    pub(super) points: Vec<(f64, f64)>,
}

/// The quantiles that are told.
const QUANTILES: &[(&str, f64)] = &[("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

impl Report<'_> {
    /// Prints it, and draws it where that is asked for.
    pub(super) fn tell(&self) -> Result<(), Failure> {
        let text = if self.args.json {
            self.as_json()
        } else {
            self.as_table()
        };
        let mut out = std::io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        written.map_err(|error| Failure::output(&error))?;
        if let Some(file) = &self.args.svg {
            let picture = chart::draw(&self.title(), &self.subtitle(), &self.points);
            std::fs::write(file, picture).map_err(|error| Failure::file("--svg", file, &error))?;
        }
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn rate(&self) -> f64 {
        self.total.count as f64 / self.took.as_secs_f64().max(0.001)
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn megabytes(&self) -> f64 {
        self.total.bytes as f64 / self.took.as_secs_f64().max(0.001) / 1e6
    }

    fn title(&self) -> String {
        let BenchArgs { kind, clients, .. } = self.args;
        format!(
            "ohmqtt bench {}: {:.0} {} a second, {clients} clients",
            kind.name(),
            self.rate(),
            kind.unit()
        )
    }

    fn subtitle(&self) -> String {
        let BenchArgs { qos, size, .. } = self.args;
        let qos = u8::from(*qos);
        format!(
            "QoS {qos}, {size} bytes; {}",
            latencies(&self.total.latency)
        )
    }

    fn as_table(&self) -> String {
        let Self {
            args,
            total,
            took,
            used,
            ..
        } = self;
        let mut text = String::new();
        let mut row = |name: &str, value: String| {
            // Into a string: it cannot fail.
            let _ = writeln!(text, "{name:<14}{value}");
        };
        row(
            args.kind.unit(),
            format!("{} in {:.2} s", total.count, took.as_secs_f64()),
        );
        row(
            "rate",
            format!("{:.0} a second, {:.2} MB/s", self.rate(), self.megabytes()),
        );
        if !total.latency.is_empty() {
            for (name, value) in quantiles(&total.latency) {
                row(&name, shown(value));
            }
        }
        row(
            "client's CPU",
            format!("{:.0} % of one", used.processor * 100.0),
        );
        row("its memory", memory(used.memory));
        text
    }

    fn as_json(&self) -> String {
        let Self {
            args,
            total,
            took,
            used,
            points,
        } = self;
        let latency: Map<String, Value> = quantiles(&total.latency)
            .into_iter()
            .map(|(name, value)| (name, value.as_secs_f64().into()))
            .collect();
        let object = json!({
            "bench": args.kind.name(),
            "clients": args.clients,
            "inflight": args.inflight,
            "qos": u8::from(args.qos),
            "size": args.size,
            "seconds": took.as_secs_f64(),
            "count": total.count,
            "per_second": self.rate(),
            "megabytes_per_second": self.megabytes(),
            "latency_seconds": if total.latency.is_empty() { Value::Null } else { latency.into() },
            "cpu": used.processor,
            "memory_bytes": used.memory,
            "per_second_by_time": points,
        });
        format!("{object}\n")
    }
}

/// The quantiles and the longest.
fn quantiles(latency: &Histogram<u64>) -> Vec<(String, Duration)> {
    let at = |(name, quantile): &(&str, f64)| {
        (
            (*name).to_owned(),
            Duration::from_nanos(latency.value_at_quantile(*quantile)),
        )
    };
    let mut all: Vec<_> = QUANTILES.iter().map(at).collect();
    all.push(("max".to_owned(), Duration::from_nanos(latency.max())));
    all
}

/// The quantiles on a line.
pub(super) fn latencies(latency: &Histogram<u64>) -> String {
    if latency.is_empty() {
        return "no latencies".to_owned();
    }
    let all = quantiles(latency).into_iter().take(QUANTILES.len());
    let all: Vec<_> = all
        .map(|(name, value)| format!("{name} {}", shown(value)))
        .collect();
    all.join("  ")
}

/// A latency, in milliseconds above one and in microseconds below.
fn shown(latency: Duration) -> String {
    let seconds = latency.as_secs_f64();
    if seconds < 0.001 {
        format!("{:.0} µs", seconds * 1e6)
    } else {
        format!("{:.2} ms", seconds * 1e3)
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) fn memory(bytes: Option<u64>) -> String {
    bytes.map_or_else(
        || "not told".to_owned(),
        |bytes| format!("{:.1} MB", bytes as f64 / 1e6),
    )
}
