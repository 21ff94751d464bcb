//! Which filters match which topics.

use crate::bytes::publish;
use crate::check::{Bench, Check, scene};
use crate::fault::{Outcome, same};

pub(super) const CHECKS: &[Check] = &[
    scene(
        "wildcards match as section 4.7.1 says",
        &["4.7.1-1", "4.7.1-2", "3.3.2-3"],
        |bench| {
            let topics = ["a", "a/", "/a", "a/b", "a/b/c", "a//c", "", "/", "b"];
            matches(bench, "#", &topics, &topics)?;
            matches(bench, "a/#", &topics, &["a", "a/", "a/b", "a/b/c", "a//c"])?;
            matches(bench, "+", &topics, &["a", "", "b"])?;
            matches(bench, "a/+", &topics, &["a/", "a/b"])?;
            matches(bench, "+/+", &topics, &["a/", "/a", "a/b", "/"])?;
            matches(bench, "/+", &topics, &["/a", "/"])?;
            matches(bench, "a/+/c", &topics, &["a/b/c", "a//c"])?;
            matches(bench, "+/b/#", &topics, &["a/b", "a/b/c"])?;
            matches(bench, "a/", &topics, &["a/"])
        },
    ),
    scene(
        "topics are compared character by character, without any normalization",
        &["4.7.3-4", "1.5.4-3"],
        |bench| {
            let topics = ["a", "A", "é", "e\u{301}", "a ", " a", "\u{feff}a", "ａ"];
            for topic in topics {
                matches(bench, topic, &topics, &[topic])?;
            }
            Ok(())
        },
    ),
    scene(
        "a filter that begins with a wildcard does not match topics that begin with $",
        &["4.7.2-1"],
        |bench| {
            let topic = format!("$own/{}", bench.client("x"));
            let tail = topic.trim_start_matches("$own");
            let mut wire = bench.connect("c")?;
            // Only Retain Handling 2 keeps what others retain from coming.
            wire.subscribe_all(
                &[],
                &[("#", 0x20), (&format!("+{tail}"), 0x20), ("+/#", 0x20)],
            )?;
            let mut other = bench.connect("other")?;
            other.publish(&publish(&topic, "x").qos(1))?;
            other.publish(&publish(bench.topic("last"), "x").qos(1))?;
            // The last one shows that it listens.
            loop {
                let message = wire.message()?;
                let is_hidden = message.topic.first() == Some(&b'$');
                same("a topic that begins with $", &is_hidden, &false)?;
                if message.topic == bench.topic("last").as_bytes() {
                    return Ok(());
                }
            }
        },
    ),
];

/// Of these topics the filter matches those that are wanted.
fn matches(bench: &Bench, filter: &str, topics: &[&str], wanted: &[&str]) -> Outcome {
    let mut wire = bench.connect("c")?;
    wire.subscribe(&bench.topic(filter), 0)?;
    for topic in topics {
        wire.publish_all(&[publish(bench.topic(topic), topic).qos(1)])?;
    }
    let came = wire.everything()?;
    let mut came: Vec<_> = came.iter().map(|message| message.topic.clone()).collect();
    let mut wanted: Vec<_> = wanted
        .iter()
        .map(|topic| bench.topic(topic).into_bytes())
        .collect();
    came.sort();
    wanted.sort();
    let readable = |topics: &[Vec<u8>]| -> Vec<String> {
        topics
            .iter()
            .map(|topic| String::from_utf8_lossy(topic).into_owned())
            .collect()
    };
    same(
        &format!("what {filter:?} matches"),
        &readable(&came),
        &readable(&wanted),
    )
}
