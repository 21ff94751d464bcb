//! `docs/dependencies.md` says of each dependency what it is for, in the table of those who get it, and lists the unsafe code.

use std::collections::{BTreeMap, BTreeSet};

use crate::tidy::manifest::{Kind, dependencies, entries};
use crate::tidy::walls::UNSAFE_ALLOWED;
use crate::tidy::{File, Finding};

const PAGE: &str = "docs/dependencies.md";

const PRODUCT: &str = "In the crates and the Python package";
const OTHERS: &str = "In tests, benches and tasks";
const UNSAFE: &str = "Unsafe code";

/// A dependency by its name: where it stands first, and whether the product has it.
struct Used<'a> {
    file: &'a File,
    line: usize,
    is_product: bool,
}

pub(super) fn check(files: &[File], findings: &mut Vec<Finding>) {
    let Some(page) = files.iter().find(|file| file.path == PAGE) else {
        return;
    };
    let used = used(files);
    let mut told: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (heading, name, line) in rows(&page.text) {
        let wrong = match heading {
            PRODUCT | OTHERS => match used.get(name) {
                None => Some("nothing depends on it"),
                Some(used) if used.is_product != (heading == PRODUCT) => {
                    Some("it belongs into the other table")
                }
                Some(_) => None,
            },
            UNSAFE if !UNSAFE_ALLOWED.contains(&name) => Some("no unsafe code is allowed there"),
            _ => None,
        };
        let twice = (!told.insert((heading, name))).then_some("it has a row already");
        for wrong in wrong.into_iter().chain(twice) {
            findings.push(Finding::new(page, line, format!("`{name}`: {wrong}")));
        }
    }
    for (name, used) in &used {
        let has_row = |heading| told.contains(&(heading, name.as_str()));
        if !has_row(PRODUCT) && !has_row(OTHERS) {
            let message = format!("`{name}` has no row in {PAGE} that says what it is for");
            findings.push(Finding::new(used.file, used.line, message));
        }
    }
    for place in UNSAFE_ALLOWED {
        if !told.contains(&(UNSAFE, *place)) {
            let message = format!("`{place}` may have unsafe code, and no row says why");
            findings.push(Finding::new(page, 1, message));
        }
    }
}

/// The dependencies of all manifests that are not ours.
fn used(files: &[File]) -> BTreeMap<String, Used<'_>> {
    let mut all: BTreeMap<String, Used<'_>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.name() == "Cargo.toml") {
        let entries = entries(&file.text);
        let is_private = entries.iter().any(|entry| {
            entry.table == "package" && entry.key == "publish" && entry.value == "false"
        });
        // It is shipped, and not by crates.io.
        let is_shipped = !is_private || file.top() == "ohmqtt-py";
        let as_tests = entries
            .iter()
            .find(|entry| entry.table == "features" && entry.key == "as-tests");
        for dependency in dependencies(&entries) {
            let dep = format!("\"dep:{}\"", dependency.name);
            let is_for_tests = as_tests.is_some_and(|feature| feature.value.contains(&dep));
            let is_product = is_shipped && dependency.kind != Kind::Dev && !is_for_tests;
            if dependency.name.starts_with("ohmqtt-") {
                continue;
            }
            let used = all.entry(dependency.name).or_insert(Used {
                file,
                line: dependency.line,
                is_product,
            });
            used.is_product |= is_product;
        }
    }
    all
}

/// The rows of tables that begin with a name in backticks, with the heading above and the line.
fn rows(text: &str) -> impl Iterator<Item = (&str, &str, usize)> {
    let mut heading = "";
    (1..).zip(text.lines()).filter_map(move |(number, line)| {
        if let Some(text) = line.strip_prefix("## ") {
            heading = text;
        }
        let (name, _) = line.strip_prefix("| `")?.split_once('`')?;
        Some((heading, name, number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(page: &str, manifests: &[(&str, &str)], want: &[&str]) {
        let places = UNSAFE_ALLOWED.iter();
        let places: Vec<_> = places.map(|place| format!("| `{place}` | why |")).collect();
        let page = format!("{page}## Unsafe code\n{}\n", places.join("\n"));
        let file = |(path, text): (&str, &str)| File {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let mut files: Vec<_> = manifests.iter().copied().map(file).collect();
        files.push(file((PAGE, &page)));
        let mut findings = Vec::new();
        check(&files, &mut findings);
        findings.sort();
        let found: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(found, want);
    }

    const ROW: &str = "## In the crates and the Python package\n| `bytes` | buffers |\n";
    const TEST_ROW: &str = "## In tests, benches and tasks\n| `bytes` | buffers |\n";
    const USE: &str = "[dependencies]\nohmqtt-codec.workspace = true\nbytes.workspace = true\n";

    #[test]
    fn each_dependency_has_its_row() {
        let shipped = [("ohmqtt-store/Cargo.toml", USE)];
        finds(ROW, &shipped, &[]);
        let want = "ohmqtt-store/Cargo.toml:3: `bytes` has no row in docs/dependencies.md that says what it is for";
        finds("", &shipped, &[want]);
        finds(
            &format!("{ROW}| `bytes` | again |\n"),
            &shipped,
            &["docs/dependencies.md:3: `bytes`: it has a row already"],
        );
    }

    #[test]
    fn each_row_has_its_dependency() {
        finds(
            ROW,
            &[],
            &["docs/dependencies.md:2: `bytes`: nothing depends on it"],
        );
    }

    #[test]
    fn what_users_get_is_told_from_what_tests_have() {
        let other = ["docs/dependencies.md:2: `bytes`: it belongs into the other table"];
        let private = format!("[package]\npublish = false\n{USE}");
        let dev = USE.replace("[dependencies]", "[dev-dependencies]");
        let as_tests = format!("[features]\nas-tests = [\"dep:bytes\"]\n{USE}");
        for (path, text, is_product) in [
            ("ohmqtt-store/Cargo.toml", USE, true),
            ("ohmqtt-py/Cargo.toml", &private, true),
            ("crash/Cargo.toml", &private, false),
            ("ohmqtt-store/Cargo.toml", &dev, false),
            ("ohmqtt-py/Cargo.toml", &as_tests, false),
        ] {
            let (right, wrong) = if is_product {
                (ROW, TEST_ROW)
            } else {
                (TEST_ROW, ROW)
            };
            finds(right, &[(path, text)], &[]);
            finds(wrong, &[(path, text)], &other);
        }
    }

    #[test]
    fn unsafe_code_is_listed_where_it_is_allowed() {
        finds(
            "## Unsafe code\n| `ohmqtt-codec` | speed |\n",
            &[],
            &["docs/dependencies.md:2: `ohmqtt-codec`: no unsafe code is allowed there"],
        );
    }
}
