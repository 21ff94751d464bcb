//! The tests that `RELIABILITY.md` names stand in the tree.

use std::collections::HashSet;

use crate::tidy::{File, Finding};

const PAGE: &str = "RELIABILITY.md";

/// What begins a function's name, in the languages of the tree.
const KEYWORDS: &[&str] = &["fn ", "def "];

pub(super) fn check(files: &[File], findings: &mut Vec<Finding>) {
    let Some(page) = files.iter().find(|file| file.path == PAGE) else {
        return;
    };
    let functions: HashSet<&str> = files
        .iter()
        .filter(|file| file.has_extension(&["rs", "py"]))
        .flat_map(|file| file.text.lines())
        .filter_map(function)
        .collect();
    for (number, line) in (1..).zip(page.text.lines()) {
        for name in line
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| is_test(name))
        {
            if !functions.contains(name) {
                let message = format!("there is no test `{name}`");
                findings.push(Finding::new(page, number, message));
            }
        }
    }
}

/// Names of tests are sentences: several words, and nothing but them.
fn is_test(text: &str) -> bool {
    let is_word = |byte: u8| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.bytes().all(is_word) && text.matches('_').count() > 1
}

/// The name of the function that a line begins.
fn function(line: &str) -> Option<&str> {
    let named = |keyword| line.split_once(keyword).map(|(_, rest)| rest);
    let rest = KEYWORDS.iter().copied().find_map(named)?;
    rest.split(['(', '<']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_is_not_there_is_found() {
        let file = |path: &str, text: &str| File {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let files = [
            file(
                PAGE,
                "`cargo xtask fuzz`, `it_is_there`, `so_is_this`\n`it_is_not_there`, `page`\n",
            ),
            file("a/tests/it.rs", "    async fn it_is_there() {\n"),
            file("b/tests/test_it.py", "def so_is_this(tmp_path):\n"),
        ];
        let mut findings = Vec::new();
        check(&files, &mut findings);
        let found: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            ["RELIABILITY.md:2: there is no test `it_is_not_there`"]
        );
    }
}
