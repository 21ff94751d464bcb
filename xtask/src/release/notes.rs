//! The notes of a release: the section of the changelog that it becomes.

use crate::error::{Result, failed};

/// The section of this version, or of what is unreleased.
pub(super) fn cut(changelog: &str, version: &str) -> Result<String> {
    for title in [version, "Unreleased"] {
        let heading = format!("## {title}");
        let lines = changelog
            .lines()
            .skip_while(|line| !is_heading(line, &heading));
        let section: Vec<_> = lines
            .skip(1)
            .take_while(|line| !line.starts_with("## "))
            .collect();
        let section = section.join("\n");
        if !section.trim().is_empty() {
            return Ok(format!("{}\n", section.trim()));
        }
    }
    failed(format!(
        "CHANGELOG.md says nothing of {version}, nor of what is unreleased"
    ))
}

/// A heading may have the day of the release behind it.
fn is_heading(line: &str, heading: &str) -> bool {
    line.strip_prefix(heading)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str =
        "# Changelog\n\n## Unreleased\n\n- new\n\n## 0.2.0 - 2026-01-01\n\n- old\n\n## 0.1.0\n";

    #[test]
    fn the_notes_are_the_section_of_the_version() {
        assert_eq!(cut(LOG, "0.2.0").unwrap(), "- old\n");
        assert_eq!(cut(LOG, "0.3.0").unwrap(), "- new\n");
        assert_eq!(cut(LOG, "0.1.0").unwrap(), "- new\n");
    }

    #[test]
    fn a_release_of_which_nothing_is_told_is_none() {
        assert!(cut("## Unreleased\n\n## 0.2.0\n- old\n", "0.3.0").is_err());
    }
}
