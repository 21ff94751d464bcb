//! The public futures of the client as its source has them, by a search: `pub async fn`, and types that are awaited or polled as
//! streams.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::subject::Method;

/// Traits of the standard whose implementations are public futures, and the method that stands for each.
const TRAITS: &[(&str, &str)] = &[
    ("IntoFuture", "into_future"),
    ("Future", "poll"),
    ("Stream", "poll_next"),
];

/// A public future.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    /// `Type::method`.
    name: String,
    /// Whether the documentation says what dropping it does. That of a trait's method stands at the type.
    is_documented: bool,
}

/// What is in the source and not in the table, or the other way round, or not documented.
pub(crate) fn compare<'a>(folder: &Path, methods: impl Iterator<Item = &'a Method>) -> Vec<String> {
    let mut found = Vec::new();
    if let Err(error) = search_folder(folder, &mut found) {
        return vec![format!("{}: {error}", folder.display())];
    }
    let covered = methods.flat_map(|method| method.covers.iter());
    compare_names(&found, &covered.copied().collect())
}

fn compare_names(found: &[Found], covered: &BTreeSet<&str>) -> Vec<String> {
    let mut violations = Vec::new();
    for Found {
        name,
        is_documented,
    } in found
    {
        if !covered.contains(name.as_str()) {
            violations.push(format!(
                "{name} is a public future and has no row among the methods"
            ));
        }
        if !is_documented {
            violations.push(format!(
                "the documentation of {name} has no line on cancel safety"
            ));
        }
    }
    for name in covered {
        if !found.iter().any(|found| found.name == *name) {
            violations.push(format!("{name} has a row and is not in the source"));
        }
    }
    violations
}

fn search_folder(folder: &Path, found: &mut Vec<Found>) -> std::io::Result<()> {
    let mut paths: Vec<_> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            search_folder(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            search(&fs::read_to_string(path)?, found);
        }
    }
    Ok(())
}

/// Searches one file, as rustfmt leaves it: what opens in the first column closes there.
fn search(text: &str, found: &mut Vec<Found>) {
    let lines: Vec<&str> = text.lines().collect();
    // Tests stand last.
    let end = lines.iter().position(|line| *line == "#[cfg(test)]");
    let lines = &lines[..end.unwrap_or(lines.len())];
    let mut owner = String::new();
    for (number, line) in lines.iter().enumerate() {
        if *line == "}" {
            owner.clear();
        }
        if let Some((of_trait, of_type)) = opened(line) {
            of_type.clone_into(&mut owner);
            let method = TRAITS.iter().find(|(name, _)| Some(*name) == of_trait);
            if let Some((_, method)) = method {
                found.push(Found {
                    name: format!("{of_type}::{method}"),
                    is_documented: is_type_documented(lines, of_type),
                });
            }
        }
        if let Some(rest) = line.trim_start().strip_prefix("pub async fn ") {
            let name = word(rest);
            found.push(Found {
                name: if owner.is_empty() {
                    name.to_owned()
                } else {
                    format!("{owner}::{name}")
                },
                is_documented: is_documented(lines, number),
            });
        }
    }
}

/// Of `impl<..> Trait<..> for Type<..>` the names of both, of `impl<..> Type<..>` that of the type.
fn opened(line: &str) -> Option<(Option<&str>, &str)> {
    let rest = line.strip_prefix("impl")?;
    let rest = match rest.strip_prefix('<') {
        // No implementation here has parameters of more than one depth.
        Some(parameters) => parameters.split_once('>')?.1,
        None => rest,
    };
    let rest = rest.trim_start();
    Some(match rest.split_once(" for ") {
        Some((of_trait, of_type)) => (Some(last_word(of_trait)), last_word(of_type)),
        None => (None, last_word(rest)),
    })
}

/// The name that a path ends with, without its parameters.
fn last_word(path: &str) -> &str {
    let path = path.split(['<', ' ']).next().unwrap_or(path);
    word(path.rsplit("::").next().unwrap_or(path))
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

fn is_type_documented(lines: &[&str], of_type: &str) -> bool {
    let is_it = |line: &&str| {
        let rest = line.strip_prefix("pub struct ");
        rest.is_some_and(|rest| word(rest) == of_type)
    };
    let number = lines.iter().position(is_it);
    number.is_some_and(|number| is_documented(lines, number))
}

/// Whether the documentation above this line has a line on cancel safety.
fn is_documented(lines: &[&str], number: usize) -> bool {
    let above = lines[..number].iter().rev().map(|line| line.trim_start());
    let mut belonging = above.take_while(|line| line.starts_with("///") || line.starts_with('#'));
    belonging.any(|line| line.contains("Cancel safety"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
/// A value.
///
/// Cancel safety: none needed.
#[derive(Debug)]
pub struct Asked<'a> {
    x: &'a str,
}

impl<'a> IntoFuture for Asked<'a> {
}

impl Client {
    /// Waits.
    ///
    /// Cancel safety: nothing happens.
    #[must_use]
    pub async fn wait(&self) {}

    /// Waits too.
    pub async fn hurry(&self) {}

    async fn own(&self) {}
}

/// Waits without a client.
pub async fn alone() {}

#[cfg(test)]
mod tests {
    pub async fn test() {}
}
";

    fn found() -> Vec<Found> {
        let mut found = Vec::new();
        search(SOURCE, &mut found);
        found
    }

    #[test]
    fn public_futures_are_found_with_their_documentation() {
        let found = found();
        let found: Vec<_> = found
            .iter()
            .map(|found| (found.name.as_str(), found.is_documented))
            .collect();
        assert_eq!(
            found,
            [
                ("Asked::into_future", true),
                ("Client::wait", true),
                ("Client::hurry", false),
                ("alone", false),
            ]
        );
    }

    #[test]
    fn the_table_and_the_source_have_to_agree() {
        let covered = [
            "Asked::into_future",
            "Client::hurry",
            "Client::gone",
            "alone",
        ];
        let violations = compare_names(&found(), &covered.into_iter().collect());
        assert_eq!(
            violations,
            [
                "Client::wait is a public future and has no row among the methods",
                "the documentation of Client::hurry has no line on cancel safety",
                "the documentation of alone has no line on cancel safety",
                "Client::gone has a row and is not in the source",
            ]
        );
    }
}
