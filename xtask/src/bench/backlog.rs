//! `cargo xtask bench backlog [--messages N]`: a million messages of 256 bytes wait in a store. What do they cost in memory, how long does
//! it take to open them, and what does draining them cost beside a short queue?

use super::Asked;
use super::figures::{Figures, Folder, build};
use super::rows::{Goal, Row};
use crate::error::{Result, failed};

const MESSAGES: u64 = 1_000_000;
/// Messages drained a thousand at a time, for comparison.
const SHORT: u64 = 50_000;
/// So much may the process grow by the backlog, in KiB.
const MEMORY: f64 = 64.0 * 1024.0;
/// So much may a message of the backlog cost, beside one of a short queue.
const RATIO: f64 = 1.3;

pub(super) fn run(asked: &Asked, all: &mut Vec<Row>) -> Result {
    let backlog = build("backlog", "durable")?;
    let messages = asked.messages.unwrap_or(MESSAGES);
    let mut missed = Vec::new();
    for store in ["redb", "sqlite"] {
        let folder = Folder::new("backlog")?;
        let run = |words: &str| Figures::of(&mut folder.command(&backlog, words));
        let filled = run(&format!("fill {store} FOLDER {messages}"))?;
        let opened = run(&format!("open {store} FOLDER"))?;
        let drained = run(&format!("drain {store} FOLDER"))?;
        let other = Folder::new("short")?;
        let words = format!("short {store} FOLDER {SHORT}");
        let short = Figures::of(&mut other.command(&backlog, &words))?;
        let (grown, millis) = (filled.get("grown")?, opened.get("millis")?);
        let (long, brief) = (drained.get("micros")?, short.get("micros")?);
        println!(
            "backlog: store={store} messages={messages} grown={:.1} MiB (goal {:.0}) opened in {millis:.0} ms with {:.1} MiB, \
             drained at {long:.1} us a message, a short queue at {brief:.1} us: ratio {:.2} (goal {RATIO})",
            grown / 1024.0,
            MEMORY / 1024.0,
            opened.get("grown")? / 1024.0,
            long / brief,
        );
        let left = drained.get("left")? + short.get("left")?;
        if left > 0.0 {
            return failed(format!("{store}: {left} messages were not delivered"));
        }
        let of = |what: &str| format!("backlog/{store}/{what}");
        all.push(Row::new(of("memory"), "KiB", grown, Goal::AtMost(MEMORY)));
        all.push(Row::new(
            of("drained to short"),
            "ratio",
            long / brief,
            Goal::AtMost(RATIO),
        ));
        if grown > MEMORY {
            missed.push(format!("{store}: memory"));
        }
        if long > RATIO * brief {
            missed.push(format!("{store}: cost"));
        }
    }
    if asked.check && !missed.is_empty() {
        return failed(format!("goals missed: {}", missed.join(", ")));
    }
    Ok(())
}
