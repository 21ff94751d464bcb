//! `cargo xtask tidy`: the walls of `ARCHITECTURE.md` as far as a search can see them, and the habits of the tree.
//!
//! Each rule is a function from a file to its findings, so that each is tested on small strings. What the compiler,
//! rustfmt or clippy already say is not repeated here.

mod arrows;
pub(crate) mod manifest;
mod named;
mod purposes;
mod rust;
mod text;
mod tree;
mod walls;

pub(crate) use self::rust::test_lines;
pub(crate) use self::tree::files;

use std::fmt::{self, Display, Formatter};

use lexopt::Parser;

use crate::error::{Result, failed, no_more};
use crate::project::root;

/// A file of the checkout.
pub(crate) struct File {
    /// Relative to the root, with `/` between the folders.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The crate that stands in the folder of the one it simulates, and has its own arrows and habits.
const SIMULATOR: &str = "ohmqtt-session/sim";

impl File {
    /// The folder at the root in which it stands, which is the name of its crate if it is in one.
    pub(crate) fn top(&self) -> &str {
        if self.path.starts_with(SIMULATOR) {
            return SIMULATOR;
        }
        self.path.split('/').next().unwrap_or_default()
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    pub(crate) fn has_extension(&self, extensions: &[&str]) -> bool {
        self.name()
            .rsplit_once('.')
            .is_some_and(|(_, own)| extensions.contains(&own))
    }

    /// Whether the path has a folder of this name.
    fn is_under(&self, folder: &str) -> bool {
        self.path
            .split('/')
            .rev()
            .skip(1)
            .any(|part| part == folder)
    }

    /// Whether the whole file is test code.
    pub(crate) fn is_test(&self) -> bool {
        self.is_under("tests") || self.name() == "tests.rs"
    }
}

/// What a rule objects to.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    fn new(file: &File, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: file.path.clone(),
            line,
            message: message.into(),
        }
    }
}

impl Display for Finding {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Reads every file of the checkout and prints what is not as it should be.
pub(crate) fn run(args: &mut Parser) -> Result {
    no_more(args)?;
    let files = files(&root())?;
    let mut findings = Vec::new();
    for file in &files {
        text::check(file, &mut findings);
        walls::check(file, &mut findings);
        arrows::check(file, &mut findings);
    }
    named::check(&files, &mut findings);
    purposes::check(&files, &mut findings);
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} files, {} findings", files.len(), findings.len());
    if findings.is_empty() {
        Ok(())
    } else {
        failed(format!("{} findings in the tree", findings.len()))
    }
}

/// For tests: the findings of `rule` on one file, as `line: message`.
#[cfg(test)]
fn found(rule: fn(&File, &mut Vec<Finding>), path: &str, text: &str) -> Vec<String> {
    let file = File {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let mut findings = Vec::new();
    rule(&file, &mut findings);
    findings
        .iter()
        .map(|finding| format!("{}: {}", finding.line, finding.message))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_knows_its_place() {
        let file = |path: &str| File {
            path: path.to_owned(),
            text: String::new(),
        };
        assert_eq!(file("ohmqtt-codec/src/lib.rs").top(), "ohmqtt-codec");
        assert_eq!(file("README.md").top(), "README.md");
        assert!(file("ohmqtt-codec/tests/it/main.rs").is_test());
        assert!(file("ohmqtt-codec/src/topic/tests.rs").is_test());
        assert!(!file("ohmqtt-codec/src/tests_of_time.rs").is_test());
        assert!(file("a/b.tar.rs").has_extension(&["md", "rs"]));
        assert!(!file("a/rs").has_extension(&["rs"]));
    }
}
