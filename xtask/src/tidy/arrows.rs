//! The arrows between our crates, and what every manifest of the workspace says.
//!
//! A manifest that opens a workspace of its own (build proofs, fuzz targets, benches against peers) is left alone.

use crate::tidy::manifest::{Dependency, Entry, Kind, dependencies, entries};
use crate::tidy::{File, Finding};

/// What each crate may depend on among ours. There are no other arrows; dev-dependencies are free.
const ARROWS: &[(&str, &[&str])] = &[
    ("ohmqtt-codec", &[]),
    ("ohmqtt-session", &["ohmqtt-codec"]),
    ("ohmqtt-store", &["ohmqtt-codec", "ohmqtt-session"]),
    ("ohmqtt-topics", &["ohmqtt-codec"]),
    ("ohmqtt-transport", &[]),
    ("ohmqtt-driver", BELOW_DRIVER),
    ("ohmqtt-client", BELOW_FACADES),
    ("ohmqtt-broker", BELOW_FACADES),
    ("ohmqtt-cli", BELOW_PROGRAMS),
    ("ohmqtt-py", BELOW_PACKAGE),
    ("ohmqtt-session/sim", &["ohmqtt-codec", "ohmqtt-session"]),
    ("benches", BELOW_PROGRAMS),
    // It tests the broker from outside, with a codec of its own.
    ("conformance", &["ohmqtt-broker"]),
    ("crash", BELOW_PROGRAMS),
    ("fuzz", BELOW_PROGRAMS),
    // It tests the client from outside, with packets of its own.
    ("kit", &["ohmqtt-client"]),
    ("xtask", &[]),
];

const BELOW_DRIVER: &[&str] = &[
    "ohmqtt-codec",
    "ohmqtt-session",
    "ohmqtt-store",
    "ohmqtt-transport",
];

const BELOW_FACADES: &[&str] = &[
    "ohmqtt-codec",
    "ohmqtt-session",
    "ohmqtt-store",
    "ohmqtt-topics",
    "ohmqtt-transport",
    "ohmqtt-driver",
];

const BELOW_PROGRAMS: &[&str] = &[
    "ohmqtt-codec",
    "ohmqtt-session",
    "ohmqtt-store",
    "ohmqtt-topics",
    "ohmqtt-transport",
    "ohmqtt-driver",
    "ohmqtt-client",
    "ohmqtt-broker",
];

/// The Python package has the command too.
const BELOW_PACKAGE: &[&str] = &[
    "ohmqtt-codec",
    "ohmqtt-session",
    "ohmqtt-store",
    "ohmqtt-topics",
    "ohmqtt-transport",
    "ohmqtt-driver",
    "ohmqtt-client",
    "ohmqtt-broker",
    "ohmqtt-cli",
];

/// They hold unsafe code, so they cannot take the workspace's `forbid` and have lints of their own.
const OWN_LINTS: &[&str] = &["benches", "ohmqtt-py"];

/// What every manifest takes from the workspace, and what those take that are published.
const SHARED: &[&str] = &["version", "edition", "rust-version", "license"];
const PUBLISHED: &[&str] = &["repository", "keywords"];

pub(super) fn check(file: &File, findings: &mut Vec<Finding>) {
    if file.name() != "Cargo.toml" {
        return;
    }
    let entries = entries(&file.text);
    if file.path == "Cargo.toml" {
        check_root(file, &entries, findings);
    } else if !entries
        .iter()
        .any(|entry| entry.table.starts_with("workspace"))
        && !file.text.lines().any(|line| line.trim() == "[workspace]")
    {
        check_member(file, &entries, findings);
    }
}

fn check_root(file: &File, entries: &[Entry], findings: &mut Vec<Finding>) {
    let wanted = [
        ("workspace", "default-members", "[\"ohmqtt-client\"]"),
        ("workspace.lints.rust", "unsafe_code", "\"forbid\""),
        ("workspace.lints.rust", "missing_docs", "\"warn\""),
    ];
    for (table, key, value) in wanted {
        if !has(entries, table, key, value) {
            findings.push(Finding::new(
                file,
                1,
                format!("[{table}] does not say `{key} = {value}`"),
            ));
        }
    }
}

fn check_member(file: &File, entries: &[Entry], findings: &mut Vec<Finding>) {
    let mut report =
        |line: usize, message: String| findings.push(Finding::new(file, line, message));
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == file.top()) else {
        report(
            1,
            format!("{} has no row in the table of arrows of tidy", file.top()),
        );
        return;
    };
    let is_published = !has(entries, "package", "publish", "false");
    let published = if is_published { PUBLISHED } else { &[] };
    for key in SHARED.iter().chain(published) {
        if !has(entries, "package", &format!("{key}.workspace"), "true") {
            report(
                1,
                format!("[package] does not say `{key}.workspace = true`"),
            );
        }
    }
    if !entries
        .iter()
        .any(|entry| entry.table == "package" && entry.key == "description")
    {
        report(1, "[package] has no description".to_owned());
    }
    let own_lints = OWN_LINTS.contains(&file.top())
        && entries
            .iter()
            .any(|entry| entry.table.starts_with("lints."));
    if !own_lints && !has(entries, "lints", "workspace", "true") {
        report(1, "[lints] does not say `workspace = true`".to_owned());
    }
    for dependency in dependencies(entries) {
        if let Some(message) = objection(file.top(), allowed, &dependency) {
            report(dependency.line, message);
        }
    }
}

fn objection(of: &str, allowed: &[&str], dependency: &Dependency) -> Option<String> {
    let Dependency {
        name, kind, spec, ..
    } = dependency;
    let from_workspace = spec.contains("workspace = true");
    let is_ours = ARROWS.iter().any(|(ours, _)| ours == name);
    if !is_ours {
        return (!from_workspace)
            .then(|| format!("{name} does not come from [workspace.dependencies]"));
    }
    if *kind == Kind::Dev {
        // A version would have to be published before the crate that tests with it.
        let by_path_only = spec.contains("path = ") && !from_workspace && !spec.contains("version");
        return (!by_path_only).then(|| format!("the dev-dependency {name} is not by path only"));
    }
    (!allowed.contains(&name.as_str())).then(|| format!("there is no arrow from {of} to {name}"))
}

fn has(entries: &[Entry], table: &str, key: &str, value: &str) -> bool {
    entries
        .iter()
        .any(|entry| entry.table == table && entry.key == key && entry.value == value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::found;

    const HEAD: &str = "[package]\nname = \"x\"\ndescription = \"It.\"\nversion.workspace = true\n\
        edition.workspace = true\nrust-version.workspace = true\nlicense.workspace = true\n\
        repository.workspace = true\nkeywords.workspace = true\n[lints]\nworkspace = true\n";

    fn finds(name: &str, rest: &str, want: &[&str]) {
        assert_eq!(
            found(
                check,
                &format!("{name}/Cargo.toml"),
                &format!("{HEAD}{rest}")
            ),
            want,
            "{name}: {rest}"
        );
    }

    #[test]
    fn an_arrow_that_is_not_drawn_is_found() {
        finds(
            "ohmqtt-session",
            "[dependencies]\nohmqtt-codec.workspace = true\n",
            &[],
        );
        finds(
            "ohmqtt-codec",
            "[dependencies]\nohmqtt-session.workspace = true\n",
            &["13: there is no arrow from ohmqtt-codec to ohmqtt-session"],
        );
        finds(
            "ohmqtt-transport",
            "[dependencies]\nohmqtt-codec = { workspace = true }\n",
            &["13: there is no arrow from ohmqtt-transport to ohmqtt-codec"],
        );
        finds(
            "ohmqtt-client",
            "[dependencies.ohmqtt-broker]\nworkspace = true\n",
            &["13: there is no arrow from ohmqtt-client to ohmqtt-broker"],
        );
        finds(
            "ohmqtt-new",
            "",
            &["1: ohmqtt-new has no row in the table of arrows of tidy"],
        );
    }

    #[test]
    fn dev_dependencies_among_ours_are_by_path_only() {
        finds(
            "ohmqtt-client",
            "[dev-dependencies]\nohmqtt-broker = { path = \"../ohmqtt-broker\" }\n",
            &[],
        );
        let want = ["13: the dev-dependency ohmqtt-broker is not by path only"];
        finds(
            "ohmqtt-client",
            "[dev-dependencies]\nohmqtt-broker.workspace = true\n",
            &want,
        );
        let both = "[dev-dependencies]\nohmqtt-broker = { path = \"../ohmqtt-broker\", version = \"1\" }\n";
        finds("ohmqtt-client", both, &want);
    }

    #[test]
    fn versions_stand_in_the_workspace() {
        let want = ["13: tempfile does not come from [workspace.dependencies]"];
        finds(
            "ohmqtt-store",
            "[dev-dependencies]\ntempfile = \"3\"\n",
            &want,
        );
        finds(
            "ohmqtt-store",
            "[dev-dependencies]\ntempfile.workspace = true\n",
            &[],
        );
    }

    #[test]
    fn a_manifest_takes_lints_and_package_fields_from_the_workspace() {
        let found = found(
            check,
            "ohmqtt-codec/Cargo.toml",
            "[package]\nname = \"x\"\nversion = \"1\"\n",
        );
        assert_eq!(found.len(), SHARED.len() + PUBLISHED.len() + 2, "{found:?}");
        assert!(found.contains(&"1: [lints] does not say `workspace = true`".to_owned()));
    }

    #[test]
    fn crates_with_unsafe_code_have_lints_of_their_own() {
        let head = HEAD.replace("[lints]\nworkspace = true\n", "");
        let own = format!("{head}[lints.rust]\nunsafe_code = \"deny\"\n");
        assert_eq!(found(check, "benches/Cargo.toml", &own), [""; 0]);
        assert_eq!(
            found(check, "benches/Cargo.toml", &head),
            ["1: [lints] does not say `workspace = true`"]
        );
        assert_eq!(
            found(check, "ohmqtt-codec/Cargo.toml", &own),
            ["1: [lints] does not say `workspace = true`"]
        );
    }

    #[test]
    fn a_workspace_of_its_own_is_left_alone() {
        let text = "[package]\nname = \"proof\"\n[workspace]\n[dependencies]\nohmqtt-codec = { path = \"..\" }\n";
        assert_eq!(
            found(check, "ohmqtt-codec/no_std_proof/Cargo.toml", text),
            [""; 0]
        );
    }

    #[test]
    fn the_root_forbids_unsafe_code() {
        let found = found(
            check,
            "Cargo.toml",
            "[workspace]\ndefault-members = [\"ohmqtt-client\"]\n",
        );
        assert_eq!(
            found,
            [
                "1: [workspace.lints.rust] does not say `unsafe_code = \"forbid\"`",
                "1: [workspace.lints.rust] does not say `missing_docs = \"warn\"`",
            ]
        );
    }
}
