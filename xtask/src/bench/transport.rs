//! `cargo xtask bench transport`: bytes a second over each transport, beside the library underneath in the same run.

use super::Asked;
use super::figures::{Figures, build};
use super::rows::{self, Goal};
use crate::error::Result;
use crate::project::program;

/// A transport and the least that it may reach of the library underneath.
const GOALS: &[(&str, f64)] = &[
    ("tcp", 0.9),
    ("tls", 0.9),
    #[cfg(unix)]
    ("unix", 0.9),
    ("ws", 0.8),
    ("wss", 0.8),
    ("quic", 0.8),
];

/// The lengths of writes, in bytes: a large payload's, and that of a PUBLISH of 256 bytes.
const LENGTHS: [u32; 2] = [64 * 1024, 286];

/// A row of figures.
struct Row {
    name: &'static str,
    len: u32,
    ours: f64,
    raw: f64,
    goal: f64,
}

pub(super) fn run(_: &Asked, all: &mut Vec<rows::Row>) -> Result {
    let streams = build("streams", "transport")?;
    for len in LENGTHS {
        for &(name, goal) in GOALS {
            let mut command = program(&streams);
            let figures = Figures::of(command.args([name, &len.to_string()]))?;
            let (ours, raw) = (figures.get("ours")?, figures.get("raw")?);
            let row = Row {
                name,
                len,
                ours,
                raw,
                goal,
            };
            println!("{}", row.line());
            let of = format!("transport/{name} by {len} bytes");
            all.push(rows::Row::new(
                of,
                "of the library's rate",
                row.ratio(),
                Goal::AtLeast(goal),
            ));
        }
    }
    Ok(())
}

impl Row {
    fn ratio(&self) -> f64 {
        self.ours / self.raw
    }

    fn line(&self) -> String {
        let Self {
            name,
            len,
            ours,
            raw,
            goal,
        } = self;
        let (ours, raw, ratio) = (ours / 1e6, raw / 1e6, self.ratio());
        format!(
            "transport: {name:4} by {len:5} bytes {ours:6.0} MB/s, raw {raw:6.0} MB/s, ratio {ratio:.2} (goal {goal})"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_both_rates_and_their_ratio() {
        let row = Row {
            name: "tls",
            len: 65536,
            ours: 8.1e8,
            raw: 9e8,
            goal: 0.9,
        };
        assert_eq!(
            row.line(),
            "transport: tls  by 65536 bytes    810 MB/s, raw    900 MB/s, ratio 0.90 (goal 0.9)"
        );
    }
}
