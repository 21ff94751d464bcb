//! `cargo xtask bench backlog [--messages N]`: a million messages of 256 bytes wait in a store. What do they cost in memory, how long does
//! it take to open them, and what does draining them cost beside a short queue?

use super::Asked;
use super::figures::{Figures, Folder, build};
use super::rows::{Goal, Row};
use crate::error::{Result, failed};

const MESSAGES: u64 = 1_000_000;
/// Short queues, for comparison: how many messages wait in one, and how many are drained in all.
const SHORT: [(&str, u64, u64); 2] = [("100", 100, 10_000), ("1,000", 1_000, 50_000)];
/// So much may the process grow by the backlog, in KiB.
const MEMORY: f64 = 64.0 * 1024.0;
/// So much may a message of the backlog cost, beside one of a short queue.
const RATIO: f64 = 1.3;

pub(super) fn run(asked: &Asked, all: &mut Vec<Row>) -> Result {
    let backlog = build("backlog", "durable")?;
    let messages = asked.messages.unwrap_or(MESSAGES);
    for store in ["redb", "sqlite"] {
        let folder = Folder::new("backlog")?;
        let run = |words: &str| Figures::of(&mut folder.command(&backlog, words));
        let filled = run(&format!("fill {store} FOLDER {messages}"))?;
        let opened = run(&format!("open {store} FOLDER"))?;
        let drained = run(&format!("drain {store} FOLDER"))?;
        let (grown, millis) = (filled.get("grown")?, opened.get("millis")?);
        let long = drained.get("micros")?;
        let mut left = drained.get("left")?;
        println!(
            "backlog: store={store} messages={messages} grown={:.1} MiB (goal {:.0}) opened in {millis:.0} ms with {:.1} MiB",
            grown / 1024.0,
            MEMORY / 1024.0,
            opened.get("grown")? / 1024.0,
        );
        let of = |what: &str| format!("backlog/{store}/{what}");
        all.push(Row::new(of("memory"), "KiB", grown, Goal::AtMost(MEMORY)));
        for (shown, each, count) in SHORT {
            let other = Folder::new("short")?;
            let words = format!("short {store} FOLDER {count} {each}");
            let short = Figures::of(&mut other.command(&backlog, &words))?;
            let brief = short.get("micros")?;
            left += short.get("left")?;
            println!(
                "backlog: store={store} drained at {long:.1} us a message, queues of {shown} at {brief:.1} us: ratio {:.2} (goal {RATIO})",
                long / brief,
            );
            let row = of(&format!("drained, to queues of {shown}"));
            all.push(Row::new(row, "ratio", long / brief, Goal::AtMost(RATIO)));
        }
        if left > 0.0 {
            return failed(format!("{store}: {left} messages were not delivered"));
        }
    }
    Ok(())
}
