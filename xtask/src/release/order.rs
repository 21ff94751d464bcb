//! The crates that are published, each behind those it is made of.

use std::collections::BTreeMap;
use std::fs;

use crate::error::{Error, Result, failed};
use crate::project::root;
use crate::tidy::manifest::{Kind, dependencies, entries};

/// Their names, in the order in which they are published.
pub(super) fn published() -> Result<Vec<String>> {
    let mut manifests = BTreeMap::new();
    let unreadable = |error| Error::Failed(format!("{}: {error}", root().display()));
    for entry in fs::read_dir(root()).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let manifest = fs::read_to_string(entry.path().join("Cargo.toml"));
        if let (true, Ok(text)) = (name.starts_with("ohmqtt-"), manifest)
            && is_published(&text)
        {
            manifests.insert(name, text);
        }
    }
    in_order(&manifests)
}

fn is_published(manifest: &str) -> bool {
    !entries(manifest)
        .iter()
        .any(|entry| entry.table == "package" && entry.key == "publish" && entry.value == "false")
}

/// Each name behind those that its manifest names; development alone does not count.
fn in_order(manifests: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let mut waiting: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, text) in manifests {
        let made_of = dependencies(&entries(text))
            .into_iter()
            .filter(|dependency| dependency.kind != Kind::Dev)
            .map(|dependency| dependency.name)
            .filter(|name| manifests.contains_key(name));
        waiting.insert(name, made_of.collect());
    }
    let mut order: Vec<String> = Vec::new();
    while !waiting.is_empty() {
        let next = waiting
            .iter()
            .find(|(_, made_of)| made_of.iter().all(|name| order.contains(name)));
        let Some((&name, _)) = next else {
            let names: Vec<_> = waiting.into_keys().collect();
            return failed(format!("{} are made of each other", names.join(", ")));
        };
        waiting.remove(name);
        order.push(name.to_owned());
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(crates: &[(&str, &str)]) -> Result<Vec<String>> {
        let manifests = crates
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        in_order(&manifests.collect())
    }

    #[test]
    fn a_crate_stands_behind_what_it_is_made_of() {
        let crates = [
            ("a", "[dependencies]\nc.workspace = true\n"),
            ("b", "[dev-dependencies]\na = { path = \"../a\" }\n"),
            ("c", "[dependencies]\nb.workspace = true\nserde = \"1\"\n"),
        ];
        assert_eq!(order(&crates).unwrap(), ["b", "c", "a"]);
    }

    #[test]
    fn a_circle_is_told() {
        let crates = [
            ("a", "[dependencies]\nb = \"1\"\n"),
            ("b", "[dependencies]\na = \"1\"\n"),
        ];
        assert_eq!(order(&crates), failed("a, b are made of each other"));
    }

    #[test]
    fn what_is_published_ends_with_what_users_hold() {
        let order = published().unwrap();
        let at = |name: &str| order.iter().position(|own| own == name).unwrap();
        assert!(at("ohmqtt-codec") < at("ohmqtt-session"));
        assert!(
            at("ohmqtt-driver") < at("ohmqtt-client") && at("ohmqtt-driver") < at("ohmqtt-broker")
        );
        assert!(!order.iter().any(|name| name == "ohmqtt-py"));
    }
}
