//! `cargo xtask statements`: pairs each normative statement of the specification with the code that upholds it and the
//! test that proves it, by search.
//!
//! A statement is cited as `[MQTT-x.y.z-n]`: in a comment beside the line that upholds it, and in the doc line of a test.
//! Where neither can be, `spec/exemptions.tsv` says why: `exempt` for what binds only the network or the application,
//! `later` for what a part yet to come upholds, with where that will be.

use std::collections::BTreeMap;

use lexopt::Parser;

use crate::error::{Result, failed, no_more};
use crate::project::root;
use crate::tidy::{self, File};

const STATEMENTS: &str = "spec/normative-statements.tsv";
const EXEMPTIONS: &str = "spec/exemptions.tsv";

/// More than these would say that the rule is dodged.
const EXEMPT_AT_MOST: usize = 12;
/// A test that cites more proves none of them.
const CITED_AT_MOST: usize = 5;

/// Where a statement is cited.
#[derive(Debug, Default, PartialEq, Eq)]
struct Places {
    code: Vec<String>,
    tests: Vec<String>,
}

/// Prints the table, and fails when a statement lacks its pair or a citation is wrong.
pub(crate) fn run(args: &mut Parser) -> Result {
    no_more(args)?;
    let files = tidy::files(&root())?;
    let text = |path: &str| {
        files
            .iter()
            .find(|file| file.path == path)
            .map(|file| file.text.as_str())
    };
    let Some(statements) = text(STATEMENTS) else {
        return failed(format!("{STATEMENTS} is missing"));
    };
    let report = report(statements, text(EXEMPTIONS).unwrap_or_default(), &files);
    println!("{}", report.table);
    for problem in &report.problems {
        println!("{problem}");
    }
    println!("{}", report.summary);
    if report.problems.is_empty() {
        Ok(())
    } else {
        failed(format!(
            "{} problems with the statements",
            report.problems.len()
        ))
    }
}

/// The table, what is wrong, and the last line.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    table: String,
    problems: Vec<String>,
    summary: String,
}

fn report(statements: &str, exemptions: &str, files: &[File]) -> Report {
    let ids: Vec<&str> = rows(statements)
        .filter_map(|row| row.first().copied())
        .collect();
    let mut problems = Vec::new();
    let mut cited: BTreeMap<String, Places> = BTreeMap::new();
    for file in files.iter().filter(|file| is_product(file)) {
        collect(file, &mut cited, &mut problems);
    }
    for id in cited.keys().filter(|id| !ids.contains(&id.as_str())) {
        problems.push(format!("{id} is cited, and no statement has this id"));
    }
    let mut excused: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for row in rows(exemptions) {
        match row[..] {
            [id, kind @ ("exempt" | "later"), reason]
                if ids.contains(&id) && !reason.is_empty() =>
            {
                excused.insert(id, (kind, reason));
            }
            _ => problems.push(format!(
                "{EXEMPTIONS}: not `id, exempt or later, reason`: {}",
                row.join(" ")
            )),
        }
    }
    let (mut proven, mut exempt, mut later, mut missing) = (0, 0, 0, 0);
    let mut table = Vec::new();
    let none = Places::default();
    for id in &ids {
        let places = cited.get(*id).unwrap_or(&none);
        let is_proven = !places.code.is_empty() && !places.tests.is_empty();
        let remark = match (is_proven, excused.get(id)) {
            (true, None) => {
                proven += 1;
                String::new()
            }
            (true, Some(_)) => {
                problems.push(format!("{id} is proven, and {EXEMPTIONS} still excuses it"));
                String::new()
            }
            (false, Some((kind, reason))) => {
                *(if *kind == "exempt" {
                    &mut exempt
                } else {
                    &mut later
                }) += 1;
                format!("{kind}: {reason}")
            }
            (false, None) => {
                missing += 1;
                let lacks = match (places.code.is_empty(), places.tests.is_empty()) {
                    (true, true) => "code and test",
                    (true, false) => "code",
                    _ => "test",
                };
                problems.push(format!("{id} has no {lacks}"));
                "MISSING".to_owned()
            }
        };
        let first = |places: &[String]| match places {
            [] => "-".to_owned(),
            [one] => one.clone(),
            [one, rest @ ..] => format!("{one} (+{})", rest.len()),
        };
        table.push(
            format!(
                "{id:14} {:52} {:58} {remark}",
                first(&places.code),
                first(&places.tests)
            )
            .trim_end()
            .to_owned(),
        );
    }
    if exempt > EXEMPT_AT_MOST {
        problems.push(format!(
            "{exempt} statements are exempt; {EXEMPT_AT_MOST} is the most"
        ));
    }
    let total = ids.len();
    let summary = format!(
        "statements: {total} total, {proven} proven, {exempt} exempt, {later} later, {missing} missing"
    );
    Report {
        table: table.join("\n"),
        problems,
        summary,
    }
}

/// The rows of a table below its head, as their cells.
fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    table
        .lines()
        .skip(1)
        .filter(|line| !line.is_empty())
        .map(|line| line.split('\t').collect())
}

/// Whether the file belongs to a crate that upholds statements.
fn is_product(file: &File) -> bool {
    file.top().starts_with("ohmqtt-") && file.has_extension(&["rs"])
}

/// Finds what a file cites, as code or as tests.
fn collect(file: &File, cited: &mut BTreeMap<String, Places>, problems: &mut Vec<String>) {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut in_tests = file.is_test();
    for (at, line) in lines.iter().enumerate() {
        in_tests |= line.trim() == "#[cfg(test)]";
        let Some((_, comment)) = line.split_once("//") else {
            continue;
        };
        let here = ids_in(comment);
        if here.is_empty() {
            continue;
        }
        let place = format!("{}:{}", file.path, at + 1);
        if !in_tests {
            for id in here {
                cited.entry(id).or_default().code.push(place.clone());
            }
        } else if line.trim_start().starts_with("///") {
            match tested(&lines, at) {
                Some(name) => {
                    for id in here {
                        cited
                            .entry(id)
                            .or_default()
                            .tests
                            .push(format!("{} {name}", file.path));
                    }
                }
                None => problems.push(format!(
                    "{place}: a test cites in its doc line, and this is none's"
                )),
            }
        }
    }
    if in_tests {
        too_many(file, &lines, problems);
    }
}

/// The name of the test whose doc comment line `at` belongs to.
fn tested<'a>(lines: &[&'a str], at: usize) -> Option<&'a str> {
    let mut is_test = false;
    for line in lines[at..].iter().map(|line| line.trim()) {
        // A test made by a macro of the suite names itself in its first argument, behind the doc line.
        if let Some(name) = line.split("fn ").nth(1).filter(|_| is_test) {
            return name.split('(').next();
        }
        is_test |= line.starts_with("#[") && line.contains("test");
        if line.is_empty()
            || !(line.starts_with("///") || line.starts_with("#[") || line.starts_with("//"))
        {
            return None;
        }
    }
    None
}

/// A doc comment that cites more than a test can prove.
fn too_many(file: &File, lines: &[&str], problems: &mut Vec<String>) {
    let mut count = 0;
    for (at, line) in lines.iter().enumerate() {
        if line.trim_start().starts_with("///") {
            count += ids_in(line).len();
            continue;
        }
        if count > CITED_AT_MOST {
            problems.push(format!(
                "{}:{}: one test cites {count} statements; {CITED_AT_MOST} is the most",
                file.path, at
            ));
        }
        count = 0;
    }
}

/// The ids of statements in `[MQTT-x.y.z-n]` form.
fn ids_in(text: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for part in text.split("[MQTT-").skip(1) {
        if let Some((id, _)) = part.split_once(']')
            && id
                .chars()
                .all(|c| c.is_ascii_digit() || c == '.' || c == '-')
        {
            ids.push(format!("MQTT-{id}"));
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "id\tbinds\tsection\tsummary\nMQTT-1.1.1-1\tcodec\t1.1.1\tone\nMQTT-1.1.1-2\tboth\t1.1.1\ttwo\n";

    fn file(path: &str, text: &str) -> File {
        File {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    fn check(exemptions: &str, files: &[File], problems: &[&str], summary: &str) {
        let report = report(TABLE, exemptions, files);
        assert_eq!(report.problems, problems);
        assert_eq!(report.summary, summary);
    }

    #[test]
    fn a_statement_is_proven_by_a_line_of_code_and_a_test() {
        let code = file(
            "ohmqtt-codec/src/a.rs",
            "// [MQTT-1.1.1-1] [MQTT-1.1.1-2] It is so.\nfn f() {}\n",
        );
        let test = "/// [MQTT-1.1.1-1] One is so.\n#[test]\nfn one_is_so() {}\n";
        check(
            "",
            &[code, file("ohmqtt-codec/tests/it/a.rs", test)],
            &["MQTT-1.1.1-2 has no test"],
            "statements: 2 total, 1 proven, 0 exempt, 0 later, 1 missing",
        );
    }

    #[test]
    fn a_reason_excuses_what_is_not_proven_and_nothing_else() {
        let both = "// [MQTT-1.1.1-1]\n#[cfg(test)]\nmod tests {\n/// [MQTT-1.1.1-1]\n#[tokio::test]\nasync fn t() {}\n}\n";
        check(
            "id\tkind\treason\nMQTT-1.1.1-2\tlater\tthe router\n",
            &[file("ohmqtt-codec/src/a.rs", both)],
            &[],
            "statements: 2 total, 1 proven, 0 exempt, 1 later, 0 missing",
        );
        check(
            "id\tkind\treason\nMQTT-1.1.1-1\texempt\tno\nMQTT-1.1.1-2\texempt\tthe network\nMQTT-9.9.9-9\texempt\tx\n",
            &[file("ohmqtt-codec/src/a.rs", both)],
            &[
                "spec/exemptions.tsv: not `id, exempt or later, reason`: MQTT-9.9.9-9 exempt x",
                "MQTT-1.1.1-1 is proven, and spec/exemptions.tsv still excuses it",
            ],
            "statements: 2 total, 0 proven, 1 exempt, 0 later, 0 missing",
        );
    }

    #[test]
    fn a_citation_that_is_no_tests_or_has_no_statement_is_a_problem() {
        let stray =
            "/// [MQTT-1.1.1-1] of nothing\nstruct S;\n/// [MQTT-7.7.7-7]\n#[test]\nfn t() {}\n";
        let excuse = "id\tkind\treason\nMQTT-1.1.1-1\tlater\tx\nMQTT-1.1.1-2\tlater\tx\n";
        check(
            excuse,
            &[file("ohmqtt-codec/tests/it/a.rs", stray)],
            &[
                "ohmqtt-codec/tests/it/a.rs:1: a test cites in its doc line, and this is none's",
                "MQTT-7.7.7-7 is cited, and no statement has this id",
            ],
            "statements: 2 total, 0 proven, 0 exempt, 2 later, 0 missing",
        );
    }

    #[test]
    fn one_test_proves_at_most_five() {
        let text = format!(
            "/// {}\n#[test]\nfn t() {{}}\n",
            "[MQTT-1.1.1-1] ".repeat(6)
        );
        let excuse = "id\tkind\treason\nMQTT-1.1.1-1\tlater\tx\nMQTT-1.1.1-2\tlater\tx\n";
        let report = report(TABLE, excuse, &[file("ohmqtt-codec/tests/a.rs", &text)]);
        assert_eq!(
            report.problems,
            ["ohmqtt-codec/tests/a.rs:1: one test cites 6 statements; 5 is the most"]
        );
    }
}
