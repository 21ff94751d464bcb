//! The little of TOML that a `Cargo.toml` of ours uses: tables, keys and values, one entry after the other.

/// One `key = value`, with the table it stands in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// As written between the brackets; empty before the first table.
    pub(crate) table: String,
    pub(crate) key: String,
    /// As written, without comments; a value of several lines is joined.
    pub(crate) value: String,
    pub(crate) line: usize,
}

/// A line of a table of dependencies.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// What is said of it, such as `workspace = true`.
    pub(crate) spec: String,
    pub(crate) line: usize,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Kind {
    Normal,
    Dev,
    Build,
}

/// The entries of a manifest, in their order.
pub(crate) fn entries(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut table = "";
    let mut is_open = false;
    for (index, line) in text.lines().enumerate() {
        let line = without_comment(line).trim();
        if let (true, Some(last)) = (is_open, entries.last_mut()) {
            last.value.push(' ');
            last.value.push_str(line);
            is_open = depth(&last.value) > 0;
        } else if line.starts_with('[') {
            table = line.trim_matches(['[', ']']).trim();
        } else if let Some((key, value)) = line.split_once('=') {
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            is_open = depth(&value) > 0;
            entries.push(Entry {
                table: table.to_owned(),
                key,
                value,
                line: index + 1,
            });
        }
    }
    entries
}

/// The dependencies among `entries`, whichever way they are written.
pub(crate) fn dependencies(entries: &[Entry]) -> Vec<Dependency> {
    let mut found: Vec<Dependency> = Vec::new();
    for entry in entries {
        let Some((kind, rest)) = dependency_table(&entry.table) else {
            continue;
        };
        // `[dependencies.x] key = value`, `x.key = value`, `x = value`
        let (name, spec) = match (rest, entry.key.split_once('.')) {
            (Some(name), _) => (name, format!("{} = {}", entry.key, entry.value)),
            (None, Some((name, key))) => (name, format!("{key} = {}", entry.value)),
            (None, None) => (entry.key.as_str(), entry.value.clone()),
        };
        match found.last_mut() {
            Some(last) if last.name == name && last.kind == kind => {
                last.spec.push_str(", ");
                last.spec.push_str(&spec);
            }
            _ => found.push(Dependency {
                name: name.to_owned(),
                kind,
                spec,
                line: entry.line,
            }),
        }
    }
    found
}

/// The kind of a table of dependencies, and the name after it; `[target.'...'.dependencies]` is one too.
fn dependency_table(table: &str) -> Option<(Kind, Option<&str>)> {
    let table = match table.strip_prefix("target.") {
        Some(rest) if rest.starts_with('\'') => rest.rsplit_once("'.")?.1,
        Some(rest) => rest.split_once('.')?.1,
        None => table,
    };
    let (kind, name) = table
        .split_once('.')
        .map_or((table, None), |(kind, name)| (kind, Some(name)));
    let kind = match kind {
        "dependencies" => Kind::Normal,
        "dev-dependencies" => Kind::Dev,
        "build-dependencies" => Kind::Build,
        _ => return None,
    };
    Some((kind, name))
}

fn without_comment(line: &str) -> &str {
    let mut in_string = false;
    for (at, c) in line.char_indices() {
        match c {
            '"' => in_string = !in_string,
            '#' if !in_string => return &line[..at],
            _ => {}
        }
    }
    line
}

/// How many brackets of `value` are still open.
fn depth(value: &str) -> i32 {
    let mut in_string = false;
    let mut depth = 0;
    for c in value.chars() {
        match c {
            '"' => in_string = !in_string,
            '[' | '{' if !in_string => depth += 1,
            ']' | '}' if !in_string => depth -= 1,
            _ => {}
        }
    }
    depth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_their_tables_and_lines() {
        let text = "# hello\n[package]\nname = \"a#b\" # c\n\n[features]\nx = [\n    \"y\", # z\n]\nw = []\n";
        let entry = |table: &str, key: &str, value: &str, line| Entry {
            table: table.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
            line,
        };
        assert_eq!(
            entries(text),
            [
                entry("package", "name", "\"a#b\"", 3),
                entry("features", "x", "[ \"y\", ]", 6),
                entry("features", "w", "[]", 9),
            ]
        );
    }

    #[test]
    fn dependencies_are_found_however_they_are_written() {
        let text = "[dependencies]\na.workspace = true\nb = { workspace = true, features = [\"x\"] }\n\
                    [target.'cfg(unix)'.dependencies]\nc = \"1\"\n\
                    [dev-dependencies.d]\npath = \"../d\"\noptional = true\n[build-dependencies]\ne.path = \"../e\"\n\
                    [workspace.dependencies]\nf = \"1\"\n";
        let dependency = |name: &str, kind, spec: &str, line| Dependency {
            name: name.to_owned(),
            kind,
            spec: spec.to_owned(),
            line,
        };
        assert_eq!(
            dependencies(&entries(text)),
            [
                dependency("a", Kind::Normal, "workspace = true", 2),
                dependency(
                    "b",
                    Kind::Normal,
                    "{ workspace = true, features = [\"x\"] }",
                    3
                ),
                dependency("c", Kind::Normal, "\"1\"", 5),
                dependency("d", Kind::Dev, "path = \"../d\", optional = true", 7),
                dependency("e", Kind::Build, "path = \"../e\"", 10),
            ]
        );
    }
}
