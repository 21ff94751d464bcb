//! What the pages of Markdown say that no test runs: that a shell command exists, that an error has a certain text, and that there is something
//! behind a link.
//!
//! A command line in a block of `sh` is looked at where it begins with `cargo` or names one of our Python modules: its task, package, example
//! and module are there. The texts of errors are the first column of the tables in `troubleshooting.md`, in backquotes: each stands in a source.

use std::fs;
use std::path::Path;

use super::links;
use crate::error::{Result, failed};
use crate::project::root;
use crate::tidy::{self, File};

/// The page whose tables say what errors say.
const TROUBLE: &str = "docs/troubleshooting.md";

/// Looks at every page of the tree.
pub(super) fn check() -> Result {
    let files = tidy::files(&root())?;
    let mut wrong = Vec::new();
    for page in files.iter().filter(|file| file.has_extension(&["md"])) {
        wrong.extend(links::broken(page, &files, &root()));
        for command in commands(&page.text) {
            if let Some(missing) = missing(command, &root()) {
                wrong.push(format!("{}: `{command}`: there is no {missing}", page.path));
            }
        }
    }
    let sources: Vec<_> = files.iter().filter(|file| is_source(file)).collect();
    for page in files.iter().filter(|file| file.path == TROUBLE) {
        for text in error_texts(&page.text) {
            if !sources.iter().any(|file| file.text.contains(text)) {
                wrong.push(format!("{}: no error says `{text}`", page.path));
            }
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        failed(wrong.join("\n"))
    }
}

/// Where the texts of errors stand.
fn is_source(file: &File) -> bool {
    file.path.starts_with("ohmqtt-") && file.has_extension(&["rs", "py"]) && !file.is_test()
}

/// The command lines in the blocks of `sh`, without what `|`, `#` and `>` part from them.
fn commands(page: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut is_shell = false;
    for line in page.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            is_shell = kind == "sh";
        } else if is_shell {
            let line = line.split(" #").next().unwrap_or_default();
            found.extend(line.split([';', '|', '>']).map(str::trim));
        }
    }
    found.retain(|command| !command.is_empty());
    found
}

/// What a command names that is not there.
fn missing(command: &str, root: &Path) -> Option<String> {
    let words: Vec<_> = command.split_ascii_whitespace().collect();
    let behind = |flags: &[&str]| {
        let at = words.iter().position(|word| flags.contains(word))?;
        words.get(at + 1).copied()
    };
    match words.first().copied() {
        Some("cargo") => {
            let task = behind(&["xtask"])
                .filter(|task| !crate::TASKS.iter().any(|known| known.name == *task))
                .map(|task| format!("task {task}"));
            let package = behind(&["-p", "--package"]).unwrap_or("ohmqtt-client");
            let folder = root.join(package);
            if !folder.join("Cargo.toml").is_file() {
                return Some(format!("package {package}"));
            }
            let example = behind(&["--example"]).filter(|name| {
                let examples = folder.join("examples");
                !examples.join(format!("{name}.rs")).is_file() && !examples.join(name).is_dir()
            });
            task.or(example.map(|name| format!("example {name} in {package}")))
        }
        Some("python") => {
            let module = behind(&["-m"])?.replace('.', "/");
            let known = ["ohmqtt-py/python", "ohmqtt-py"].iter().any(|folder| {
                let place = root.join(folder).join(&module);
                place.is_dir() || fs::exists(place.with_extension("py")).unwrap_or(false)
            });
            (!known).then(|| format!("module {module}"))
        }
        Some("pip") => {
            let folder = words.iter().find_map(|word| word.strip_prefix("./"))?;
            (!root.join(folder).is_dir()).then(|| format!("folder {folder}"))
        }
        _ => None,
    }
}

/// What stands in backquotes in the first column of the tables.
fn error_texts(page: &str) -> Vec<&str> {
    let cells = page.lines().filter_map(|line| {
        let row = line.strip_prefix("| ")?;
        row.split(" | ").next()
    });
    cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn misses(command: &str, want: Option<&str>) {
        assert_eq!(missing(command, &root()).as_deref(), want, "{command}");
    }

    #[test]
    fn a_command_that_is_there_is_none_to_tell() {
        misses("cargo xtask ci", None);
        misses("cargo run --release --example quickstart", None);
        misses(
            "cargo run -p ohmqtt-broker --example broker -- mqtt://localhost:1883",
            None,
        );
        misses("python -m ohmqtt publish a b", None);
        misses("python -m examples.publish", None);
        misses("pip install ./ohmqtt-py", None);
        misses("echo 40020001", None);
    }

    #[test]
    fn what_a_command_names_in_vain_is_told() {
        misses("cargo xtask fly", Some("task fly"));
        misses(
            "cargo run --example moon",
            Some("example moon in ohmqtt-client"),
        );
        misses("cargo run -p ohmqtt-moon", Some("package ohmqtt-moon"));
        misses("python -m examples.moon", Some("module examples/moon"));
        misses("pip install ./moon", Some("folder moon"));
    }

    #[test]
    fn commands_are_those_in_blocks_of_sh() {
        let page = "`a`\n```sh\ncargo b   # c\necho d | cargo e\n```\n```text\nf\n```\n";
        assert_eq!(commands(page), ["cargo b", "echo d", "cargo e"]);
    }

    #[test]
    fn texts_of_errors_are_in_the_first_column() {
        let page = "`a`\n| it says | do |\n|---|---|\n| `b` | `c` |\n| No d (0x10) | |\n| `e` ... `f` | |\n";
        assert_eq!(error_texts(page), ["b", "e", "f"]);
    }
}
