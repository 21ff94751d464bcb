//! Links from one page of Markdown to another, or to a file of the tree: what they lead to is there, the heading too. mkdocs sees only those
//! within the guide.

use std::path::{Component, Path, PathBuf};

use crate::tidy::File;

/// What the repository is called in links that are to work elsewhere too.
const OURS: &str = "https://github.com/ohmqtt/ohmqtt/blob/main/";

/// What is wrong with the links of `page`.
pub(super) fn broken(page: &File, files: &[File], root: &Path) -> Vec<String> {
    let folder = Path::new(&page.path).parent().unwrap_or(Path::new(""));
    let leads_nowhere = |target: &&str| {
        let (path, heading) = target.split_once('#').unwrap_or((target, ""));
        let path = match path.strip_prefix(OURS) {
            Some(path) => PathBuf::from(path),
            None if path.contains(':') => return false,
            None if path.is_empty() => PathBuf::from(&page.path),
            None => join(folder, path),
        };
        let to = files.iter().find(|file| Path::new(&file.path) == path);
        let has_heading = to.is_none_or(|file| headings(&file.text).any(|own| own == heading));
        !root.join(&path).exists() || !heading.is_empty() && !has_heading
    };
    targets(&page.text)
        .filter(leads_nowhere)
        .map(|target| format!("{}: {target} leads nowhere", page.path))
        .collect()
}

/// Where the links of a page lead: those of Markdown, and pictures in HTML.
fn targets(page: &str) -> impl Iterator<Item = &str> {
    let until = |text: &'static str, end: char| {
        move |start: usize, page: &'_ str| {
            let from = start + text.len();
            page[from..].find(end).map(|length| from..from + length)
        }
    };
    [("](", ')'), ("src=\"", '"'), ("srcset=\"", '"')]
        .into_iter()
        .flat_map(move |(text, end)| {
            let range = until(text, end);
            page.match_indices(text)
                .filter_map(move |(at, _)| range(at, page))
        })
        .map(|range| &page[range])
}

/// The names by which headings are linked to.
fn headings(page: &str) -> impl Iterator<Item = String> {
    let mut is_code = false;
    let lines = page.lines().filter(move |line| {
        is_code ^= line.starts_with("```");
        !is_code
    });
    lines.filter_map(|line| {
        let title = line.strip_prefix('#')?.trim_start_matches('#');
        let kept = title
            .trim()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        Some(
            kept.map(|c| if c == ' ' { '-' } else { c })
                .collect::<String>()
                .to_lowercase(),
        )
    })
}

/// A path of the tree without `.` and `..`.
fn join(folder: &Path, path: &str) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in folder.join(path).components() {
        match part {
            Component::ParentDir => {
                whole.pop();
            }
            Component::CurDir => {}
            part => whole.push(part),
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::root;

    fn check(path: &str, text: &str, want: &[&str]) {
        let file = |path: &str, text: &str| File {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let readme = file(
            "README.md",
            "# ΩQTT\n## Which part do I need?\n```sh\n# no\n```\n",
        );
        let page = file(path, text);
        assert_eq!(broken(&page, &[readme], &root()), want, "{text}");
    }

    #[test]
    fn links_to_what_is_there_are_fine() {
        check(
            "docs/a.md",
            "[r](../README.md) [h](../README.md#which-part-do-i-need)\n",
            &[],
        );
        check(
            "README.md",
            "<img src=\"docs/delivery.svg\"> [x](xtask)\n",
            &[],
        );
        check(
            "a.md",
            "[out](https://example.org/) [m](mailto:a@b.c)\n",
            &[],
        );
        check("a.md", &format!("[r]({OURS}README.md#ωqtt)\n"), &[]);
    }

    #[test]
    fn links_to_nothing_are_told() {
        check(
            "docs/a.md",
            "[r](README.md)\n",
            &["docs/a.md: README.md leads nowhere"],
        );
        check(
            "a.md",
            "[r](README.md#no) <source srcset=\"b.svg\">\n",
            &[
                "a.md: README.md#no leads nowhere",
                "a.md: b.svg leads nowhere",
            ],
        );
    }
}
