//! From the lines of a file to rules.

use std::path::Path;

use ohmqtt_codec::TopicFilter;

use super::pattern::Pattern;
use super::{Right, Rule, Rules};
use crate::access::file::{FileError, line_error, lines};

const RIGHTS: &[(&str, Right)] = &[
    ("read", Right::Read),
    ("write", Right::Write),
    ("readwrite", Right::ReadWrite),
    ("deny", Right::Deny),
];

/// Reads the rules in `text`; `path` is for errors.
pub(super) fn rules(path: &Path, text: &str) -> Result<Rules, FileError> {
    let mut rules = Rules::default();
    let mut user = None;
    for (number, line) in lines(text) {
        let wrong = |problem: String| line_error(path, number, problem);
        let (word, rest) = split(line);
        match word {
            "user" if rest.is_empty() => return Err(wrong("no name behind 'user'".to_owned())),
            "user" => {
                user = Some(rest);
                rules.users.entry(rest.into()).or_default();
            }
            "topic" => {
                let rule = rule(rest, false).map_err(wrong)?;
                let own = user.and_then(|user| rules.users.get_mut(user));
                own.unwrap_or(&mut rules.anonymous).push(rule);
            }
            "pattern" => rules.all.push(rule(rest, true).map_err(wrong)?),
            other => {
                // What is not a word may be a secret: of a file of passwords that was given in this one's place.
                let is_word = other.bytes().all(|byte| byte.is_ascii_alphabetic());
                let what = if is_word {
                    format!("'{other}'")
                } else {
                    "this".to_owned()
                };
                let problem =
                    format!("{what} is not a rule: one begins with user, topic or pattern");
                return Err(wrong(problem));
            }
        }
    }
    Ok(rules)
}

/// What stands behind `topic` or `pattern`.
fn rule(text: &str, has_names: bool) -> Result<Rule, String> {
    let (first, rest) = split(text);
    let right = RIGHTS.iter().find(|(word, _)| *word == first);
    let (right, pattern) = right.map_or((Right::ReadWrite, text), |(_, right)| (*right, rest));
    let filter = TopicFilter::new(pattern).map_err(|error| format!("'{pattern}': {error}"))?;
    if filter.is_shared() {
        return Err(format!(
            "'{pattern}': rules are about topics, not about groups that share them"
        ));
    }
    Ok(Rule {
        right,
        pattern: Pattern::new(pattern, has_names),
    })
}

/// A word, and what stands behind it.
fn split(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}
