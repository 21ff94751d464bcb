//! `cargo xtask worth [--coverage] [--mutants] [--sample N] [--seed S] [--shard K/N]`: what the tests of codec and session are worth.
//!
//! `coverage` counts the lines that they run; `mutants` breaks the code in places that a seed chooses and counts how often they notice.
//! Without a choice it does both. Neither is part of `ci`: the one builds everything again with counters, the other builds it once
//! for each mutant.

mod coverage;
mod lcov;
mod llvm;
mod mutants;
mod sample;

use lexopt::{Arg, Parser, ValueExt as _};

use self::mutants::Caught;
use self::sample::{Sample, Shard};
use crate::error::{Error, Result, failed};

/// At least this share of the lines of each crate runs in the tests, and of the mutants is caught.
const LINES: f64 = 95.0;
const CAUGHT: f64 = 90.0;

/// What the command line asks for.
#[derive(Debug, PartialEq)]
struct Asked {
    coverage: bool,
    mutants: bool,
    sample: Sample,
}

/// Does what is asked for; the last line has the figures.
pub(crate) fn run(args: &mut Parser) -> Result {
    let asked = asked(args)?;
    let mut figures = Vec::new();
    let mut short = Vec::new();
    if asked.coverage {
        let covered = coverage::run()?;
        for row in &covered.crates {
            if row.percent() < LINES {
                short.push(format!("{} has {row}, not {LINES} %", row.name));
            }
        }
        figures.push(format!("coverage {:.1} %", covered.percent()));
    }
    if asked.mutants {
        let Caught { caught, all } = mutants::run(&asked.sample)?;
        if percent(caught, all) < CAUGHT {
            short.push(format!("{caught} of {all} mutants are not {CAUGHT} %"));
        }
        figures.push(format!("mutants {caught} of {all} caught"));
    }
    println!("worth: {}", figures.join(", "));
    if short.is_empty() {
        Ok(())
    } else {
        failed(short.join("; "))
    }
}

fn asked(args: &mut Parser) -> Result<Asked> {
    let mut asked = Asked {
        coverage: false,
        mutants: false,
        sample: Sample {
            size: 100,
            seed: 1,
            shard: Shard::WHOLE,
        },
    };
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("coverage") => asked.coverage = true,
            Arg::Long("mutants") => asked.mutants = true,
            Arg::Long("sample") => asked.sample.size = args.value()?.parse()?,
            Arg::Long("seed") => asked.sample.seed = args.value()?.parse()?,
            Arg::Long("shard") => {
                let said = args.value()?.string()?;
                let shard = Shard::of(&said);
                asked.sample.shard = shard.ok_or_else(|| {
                    Error::Usage(format!("`{said}` is no shard: 1/4 is the first of four"))
                })?;
            }
            _ => return Err(arg.unexpected().into()),
        }
    }
    if !asked.coverage && !asked.mutants {
        (asked.coverage, asked.mutants) = (true, true);
    }
    Ok(asked)
}

/// What share of a hundred `part` is of `whole`.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of lines and mutants are small"
)]
fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    100.0 * part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: &[&str], coverage: bool, mutants: bool, size: usize) {
        let got = asked(&mut Parser::from_args(args)).unwrap();
        let want = (coverage, mutants, size);
        assert_eq!((got.coverage, got.mutants, got.sample.size), want);
    }

    #[test]
    fn without_a_choice_both_are_asked_for() {
        check(&[], true, true, 100);
        check(&["--coverage"], true, false, 100);
        check(&["--mutants", "--sample", "5"], false, true, 5);
    }

    #[test]
    fn a_shard_that_is_none_is_refused() {
        for said in ["", "1", "0/4", "5/4", "1/0", "a/b"] {
            let got = asked(&mut Parser::from_args(["--shard", said]));
            assert!(matches!(got, Err(Error::Usage(_))), "{said}");
        }
    }

    #[test]
    fn of_nothing_no_share_is_enough() {
        assert!(percent(0, 0) < CAUGHT);
        assert!((percent(19, 20) - LINES).abs() < 1e-9);
    }
}
