//! The walls that Rust source must not cross: which words may not stand in which crate.
//!
//! What a crate depends on is the business of `arrows`; here is what it must not do with what it has.

use crate::tidy::rust::{code, is_word, without_tests};
use crate::tidy::{File, Finding};

/// Words that may not stand in the source of some crates.
struct Wall {
    /// The crates it stands around; none: all of them.
    crates: &'static [&'static str],
    reach: Reach,
    words: &'static [&'static str],
    why: &'static str,
}

/// How far a wall reaches into a crate.
#[derive(PartialEq)]
enum Reach {
    /// Tests, examples and benches too.
    Everything,
    /// What is under `src`, without what is under `#[cfg(test)]`.
    Product,
}

const LIBRARIES: &[&str] = &[
    "ohmqtt-broker",
    "ohmqtt-cli",
    "ohmqtt-client",
    "ohmqtt-codec",
    "ohmqtt-driver",
    "ohmqtt-session",
    "ohmqtt-store",
    "ohmqtt-topics",
    "ohmqtt-transport",
];

const SANS_IO: &[&str] = &["ohmqtt-codec", "ohmqtt-session"];

const FACADES: &[&str] = &["ohmqtt-broker", "ohmqtt-client"];

/// Where unsafe code is argued for, case by case.
pub(super) const UNSAFE_ALLOWED: &[&str] = &["benches", "fuzz", "ohmqtt-py", "no_std_proof"];

const UNSAFE: Wall = Wall {
    crates: &[],
    reach: Reach::Everything,
    words: &["unsafe"],
    why: "unsafe code is forbidden outside benches, build proofs and ohmqtt-py",
};

const WALLS: &[Wall] = &[
    Wall {
        crates: &[],
        reach: Reach::Everything,
        words: &["todo!", "unimplemented!", "dbg!", "#[ignore"],
        why: "what is in the tree is finished, and no test is skipped",
    },
    Wall {
        crates: LIBRARIES,
        reach: Reach::Product,
        words: &[
            ".unwrap()",
            ".expect(",
            ".unwrap_err()",
            ".expect_err(",
            "panic!",
            "unreachable!",
        ],
        why: "no input may panic",
    },
    Wall {
        crates: SANS_IO,
        reach: Reach::Product,
        words: &[
            "std::",
            "tokio",
            "Instant::now",
            "SystemTime",
            "thread::",
            "Mutex",
            "RwLock",
        ],
        why: "codec and session have no std, clock, thread or lock",
    },
    Wall {
        crates: SANS_IO,
        reach: Reach::Product,
        words: &["rand::", "getrandom", "Rng::new", "Rng::default"],
        why: "codec and session have no randomness: a seed is an argument",
    },
    Wall {
        crates: &["ohmqtt-transport"],
        reach: Reach::Everything,
        words: &[
            "ohmqtt_codec",
            "ohmqtt_session",
            "ohmqtt_store",
            "ohmqtt_driver",
        ],
        why: "the transport knows nothing of MQTT",
    },
    Wall {
        crates: FACADES,
        reach: Reach::Product,
        words: &[
            "Packet::PubAck",
            "Packet::PubRec",
            "Packet::PubRel",
            "Packet::PubComp",
            "ohmqtt_codec::Ack",
        ],
        why: "acknowledgements are built and matched in ohmqtt-session only",
    },
];

pub(super) fn check(file: &File, findings: &mut Vec<Finding>) {
    if !file.has_extension(&["rs"]) {
        return;
    }
    let everything = code(&file.text);
    let product = without_tests(&everything);
    let in_product = file.is_under("src") && !file.is_test();
    for wall in WALLS {
        let around = wall.crates.is_empty() || wall.crates.contains(&file.top());
        if around && wall.reach == Reach::Everything {
            search(file, wall, &everything, findings);
        } else if around && in_product {
            search(file, wall, &product, findings);
        }
    }
    if FACADES.contains(&file.top()) && in_product {
        imports_of_acknowledgements(file, &product, findings);
    }
    if !UNSAFE_ALLOWED.iter().any(|folder| file.is_under(folder)) {
        search(file, &UNSAFE, &everything, findings);
    }
    let is_sans_io_root =
        SANS_IO.contains(&file.top()) && file.path == format!("{}/src/lib.rs", file.top());
    if is_sans_io_root && !everything.lines().any(|line| line == "#![no_std]") {
        findings.push(Finding::new(file, 1, "`#![no_std]` is missing"));
    }
}

/// Codec's `Ack` in an import: a type of one's own with that name is no acknowledgement packet.
fn imports_of_acknowledgements(file: &File, code: &str, findings: &mut Vec<Finding>) {
    let mut line = 1;
    for statement in code.split_inclusive(';') {
        if let Some((before, import)) = statement.split_once("use ohmqtt_codec::")
            && (has_word(import, "Ack") || import.trim_start().starts_with('*'))
        {
            let line = line + before.matches('\n').count();
            let message = "codec's `Ack` is built and matched in ohmqtt-session only";
            findings.push(Finding::new(file, line, message));
        }
        line += statement.matches('\n').count();
    }
}

fn search(file: &File, wall: &Wall, code: &str, findings: &mut Vec<Finding>) {
    for (index, line) in code.lines().enumerate() {
        for word in wall.words.iter().filter(|word| has_word(line, word)) {
            findings.push(Finding::new(
                file,
                index + 1,
                format!("`{word}`: {}", wall.why),
            ));
        }
    }
}

/// Whether `word` stands in `line` and is not a part of a longer word.
fn has_word(line: &str, word: &str) -> bool {
    let is_open = |end: Option<char>, next: Option<char>| {
        !(end.is_some_and(is_word) && next.is_some_and(is_word))
    };
    line.match_indices(word).any(|(at, _)| {
        is_open(word.chars().next(), line[..at].chars().next_back())
            && is_open(
                word.chars().next_back(),
                line[at + word.len()..].chars().next(),
            )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::found;

    fn finds(path: &str, text: &str, want: &[&str]) {
        let got = found(check, path, text);
        let got: Vec<_> = got
            .iter()
            .map(|found| found.split(": ").take(2).collect::<Vec<_>>().join(": "))
            .collect();
        assert_eq!(got, want, "{path}: {text:?}");
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("let x = Ack { id };", "Ack {"));
        assert!(!has_word("let x = SubAck { id };", "Ack {"));
        assert!(!has_word("#![forbid(unsafe_code)]", "unsafe"));
        assert!(has_word("a.unwrap()", ".unwrap()"));
        assert!(!has_word("a.unwrap_or(b)", ".unwrap()"));
        assert!(!has_word("nostd::x", "std::"));
    }

    #[test]
    fn panics_stay_out_of_the_product() {
        finds(
            "ohmqtt-client/src/a.rs",
            "fn f() {\n    x.unwrap();\n}\n",
            &["2: `.unwrap()`"],
        );
        finds(
            "ohmqtt-codec/src/a.rs",
            "fn f() { panic!(\"no\") }\n",
            &["1: `panic!`"],
        );
        finds(
            "ohmqtt-client/src/a.rs",
            "/// Never `.unwrap()`.\nfn f() { \".unwrap()\" }\n",
            &[],
        );
        finds(
            "ohmqtt-client/src/a.rs",
            "#[cfg(test)]\nmod tests {\n    fn f() { x.unwrap() }\n}\n",
            &[],
        );
        for path in [
            "ohmqtt-client/tests/it/a.rs",
            "ohmqtt-client/examples/a.rs",
            "xtask/src/a.rs",
        ] {
            finds(path, "fn f() { x.unwrap() }\n", &[]);
        }
    }

    #[test]
    fn nothing_unfinished_is_anywhere() {
        finds("xtask/src/a.rs", "todo!()\n", &["1: `todo!`"]);
        finds(
            "ohmqtt-store/tests/it/a.rs",
            "#[ignore = \"slow\"]\nfn f() {}\n",
            &["1: `#[ignore`"],
        );
    }

    #[test]
    fn unsafe_code_is_where_it_is_argued_for() {
        finds(
            "ohmqtt-store/tests/it/a.rs",
            "unsafe { f() }\n",
            &["1: `unsafe`"],
        );
        finds("benches/src/a.rs", "unsafe { f() }\n", &[]);
        finds(
            "ohmqtt-codec/no_std_proof/src/lib.rs",
            "unsafe { f() }\n",
            &[],
        );
    }

    #[test]
    fn sans_io_crates_have_no_world() {
        finds(
            "ohmqtt-session/src/a.rs",
            "use std::time::SystemTime;\n",
            &["1: `std::`", "1: `SystemTime`"],
        );
        finds(
            "ohmqtt-session/src/a.rs",
            "use core::time::Duration;\n",
            &[],
        );
        finds("ohmqtt-codec/src/lib.rs", "//! It.\n#![no_std]\n", &[]);
        finds(
            "ohmqtt-codec/src/lib.rs",
            "//! It.\n",
            &["1: `#![no_std]` is missing"],
        );
        finds("ohmqtt-client/src/lib.rs", "use std::time::Instant;\n", &[]);
    }

    #[test]
    fn randomness_comes_from_a_seed() {
        let path = "ohmqtt-session/src/a.rs";
        finds(path, "fastrand::Rng::new()\n", &["1: `Rng::new`"]);
        finds(path, "fastrand::Rng::with_seed(seed)\n", &[]);
    }

    #[test]
    fn the_transport_knows_nothing_of_mqtt() {
        finds(
            "ohmqtt-transport/src/a.rs",
            "use ohmqtt_codec::Packet;\n",
            &["1: `ohmqtt_codec`"],
        );
    }

    #[test]
    fn client_and_broker_know_no_acknowledgement() {
        for name in ["client", "broker"] {
            let path = format!("ohmqtt-{name}/src/a.rs");
            finds(
                &path,
                "Packet::PubAck(x) => f(),\n",
                &["1: `Packet::PubAck`"],
            );
            finds(
                &path,
                "let x = ohmqtt_codec::Ack::new(id);\n",
                &["1: `ohmqtt_codec::Ack`"],
            );
            finds(&path, "let x = Ack::new(id);\n", &[]);
            let import = "use a::b;\n\nuse ohmqtt_codec::{\n    Ack, Packet,\n};\n";
            finds(
                &path,
                import,
                &["3: codec's `Ack` is built and matched in ohmqtt-session only"],
            );
            finds(
                &path,
                "use ohmqtt_codec::{Packet, SubAck};\nstruct Ack {}\n",
                &[],
            );
            finds(&path, "Packet::SubAck(x) => f(),\n", &[]);
        }
        finds(
            "ohmqtt-client/tests/it/a.rs",
            "Packet::PubAck(x) => f(),\n",
            &[],
        );
    }
}
