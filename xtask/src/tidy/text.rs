//! Rules for any text file: line ends, trailing whitespace, paths of one machine, length, the opening of a file,
//! documentation examples that are not run, and the section of the changelog that a change writes to.

use crate::tidy::{File, Finding};

/// What is checked line by line. Tables and lock files are as their makers write them.
const TEXT: &[&str] = &[
    "css", "html", "js", "json", "md", "py", "pyi", "rs", "sh", "svg", "toml", "txt", "yaml", "yml",
];

/// A file of code with more lines wants to be a folder.
const MOST_LINES: usize = 600;

/// Folders at the root of somebody's machine.
const MACHINE_FOLDERS: &[&str] = &["home", "root", "work", "Users"];

pub(super) fn check(file: &File, findings: &mut Vec<Finding>) {
    let has_no_extension = !file.name().trim_start_matches('.').contains('.');
    if !file.has_extension(TEXT) && !has_no_extension {
        return;
    }
    let mut report =
        |line: usize, message: String| findings.push(Finding::new(file, line, message));
    for (index, line) in file.text.split('\n').enumerate() {
        let number = index + 1;
        if line.ends_with([' ', '\t', '\r']) {
            report(number, "whitespace at the end of the line".to_owned());
        }
        if let Some(folder) = machine_path(line) {
            report(number, format!("a path of one machine: /{folder}"));
        }
        if file.has_extension(&["md", "rs"]) && is_ignored_example(line) {
            report(
                number,
                "an example that is not run: make it run, or say `text`".to_owned(),
            );
        }
    }
    let lines = file.text.lines().count();
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        report(lines, "no newline at the end of the file".to_owned());
    }
    if file.text.ends_with("\n\n") {
        report(lines, "an empty line at the end of the file".to_owned());
    }
    if file.has_extension(&["py", "rs"]) && !file.is_test() && lines > MOST_LINES {
        report(
            MOST_LINES,
            format!("{lines} lines, more than {MOST_LINES}: make it a folder"),
        );
    }
    if file.has_extension(&["rs"]) && !file.is_test() && !file.text.starts_with("//!") {
        report(
            1,
            "the file does not open with `//!`, what it is for and what it leaves out".to_owned(),
        );
    }
    if file.path == "CHANGELOG.md" && !file.text.lines().any(|line| line == "## Unreleased") {
        report(1, "there is no section `## Unreleased`".to_owned());
    }
}

/// The first folder of an absolute path that only one machine has.
fn machine_path(line: &str) -> Option<&'static str> {
    MACHINE_FOLDERS.iter().copied().find(|folder| {
        line.match_indices(folder).any(|(at, _)| {
            let Some(before) = line[..at].strip_suffix('/') else {
                return false;
            };
            let after = line[at + folder.len()..].chars().next();
            // A relative path, a URL's host, a topic such as `+/home`: all have something before the slash.
            let starts_here = before
                .chars()
                .next_back()
                .is_none_or(|c| !is_part(c) && !"/.+}$".contains(c));
            starts_here && after.is_none_or(|c| !is_part(c))
        })
    })
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

/// Whether the line opens an example of the documentation that the tests leave out.
fn is_ignored_example(line: &str) -> bool {
    let line = line.trim_start();
    let line = line
        .strip_prefix("///")
        .or_else(|| line.strip_prefix("//!"))
        .unwrap_or(line);
    let Some(info) = line.trim_start().strip_prefix("```") else {
        return false;
    };
    info.split([',', ' '])
        .any(|word| word.starts_with("ignore"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::found;

    fn finds(path: &str, text: &str, want: &[&str]) {
        assert_eq!(found(check, path, text), want, "{path}: {text:?}");
    }

    #[test]
    fn whitespace_is_clean() {
        finds("a.md", "a\nb\n", &[]);
        finds(
            "a.md",
            "a \nb\t\nc\r\n",
            &[
                "1: whitespace at the end of the line",
                "2: whitespace at the end of the line",
                "3: whitespace at the end of the line",
            ],
        );
        finds("a.md", "a\nb", &["2: no newline at the end of the file"]);
        finds(
            "a.md",
            "a\n\n",
            &["2: an empty line at the end of the file"],
        );
        finds(".ci/run", "a", &["1: no newline at the end of the file"]);
        finds(".gitignore", "a", &["1: no newline at the end of the file"]);
        finds("spec/a.tsv", "a\t", &[]);
        finds("a.py", "", &[]);
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        for (folder, rest) in [
            ("work", "/x"),
            ("root", "/.cargo"),
            ("home", ""),
            ("Users", "/me"),
        ] {
            let path = format!("/{folder}{rest}");
            let want = format!("1: a path of one machine: /{folder}");
            finds("a.md", &format!("see `{path}`\n"), &[&want]);
            finds("a.toml", &format!("{path}\n"), &[&want]);
            for harmless in [
                format!("..{path}"),
                format!("+{path}"),
                format!("a{path}"),
                format!("mqtt:/{path}"),
            ] {
                finds("a.md", &format!("see {harmless}\n"), &[]);
            }
        }
        finds("a.md", "a/workflow /workflow /homes /root-of-all\n", &[]);
    }

    #[test]
    fn a_long_file_is_found_unless_it_is_a_test() {
        let long = format!("//! It.\n{}", "x\n".repeat(600));
        finds(
            "a/src/b.rs",
            &long,
            &["600: 601 lines, more than 600: make it a folder"],
        );
        finds("a/tests/it/b.rs", &long, &[]);
        finds("a/b.md", &long, &[]);
    }

    #[test]
    fn a_file_of_code_opens_with_what_it_is_for() {
        let want = ["1: the file does not open with `//!`, what it is for and what it leaves out"];
        finds("a/src/b.rs", "use c;\n", &want);
        finds("a/tests/it/b.rs", "use c;\n", &[]);
    }

    #[test]
    fn an_example_that_is_not_run_is_found() {
        let want = ["2: an example that is not run: make it run, or say `text`"];
        for word in ["ignore", "rust,ignore", "ignore-wasm32"] {
            finds(
                "a/src/b.rs",
                &format!("//! It.\n    /// ```{word}\n"),
                &want,
            );
            finds("a.md", &format!("It.\n```{word}\n"), &want);
        }
        finds("a.md", "```text\n```\n", &[]);
    }

    #[test]
    fn the_changelog_has_an_unreleased_section() {
        finds("CHANGELOG.md", "# Changelog\n\n## Unreleased\n", &[]);
        finds(
            "CHANGELOG.md",
            "# Changelog\n",
            &["1: there is no section `## Unreleased`"],
        );
    }
}
