//! A file of rules in Mosquitto's syntax: who may read and write which topics.
//!
//! `parse` reads it, `pattern` is what a rule is about; here is what the rules together allow.

mod parse;
mod pattern;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use self::pattern::Pattern;
use super::file::{self, FileError, Reload};
use super::{Action, Authorize, Principal};

/// The rules of a file.
pub(crate) struct AclFile {
    path: PathBuf,
    rules: RwLock<Arc<Rules>>,
}

#[derive(Debug, Default)]
struct Rules {
    /// For those without a name.
    anonymous: Vec<Rule>,
    users: HashMap<Box<str>, Vec<Rule>>,
    /// For everybody.
    all: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    right: Right,
    pattern: Pattern,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    Read,
    Write,
    ReadWrite,
    Deny,
}

impl AclFile {
    /// Reads the file. Blocks the thread for the disk.
    pub(crate) fn open(path: PathBuf) -> Result<Self, FileError> {
        let rules = parse::rules(&path, &file::read(&path)?)?;
        Ok(Self {
            path,
            rules: RwLock::new(rules.into()),
        })
    }
}

impl Reload for AclFile {
    fn read(&self) -> Result<Box<dyn FnOnce() + Send + '_>, FileError> {
        let rules = parse::rules(&self.path, &file::read(&self.path)?)?;
        Ok(Box::new(move || {
            *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules.into();
        }))
    }
}

impl Authorize for AclFile {
    fn allows(&self, who: &Principal<'_>, action: &Action<'_>) -> bool {
        // Held for a moment only by who puts new rules in their place.
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        rules.allow(who, action)
    }
}

impl Rules {
    fn allow(&self, who: &Principal<'_>, action: &Action<'_>) -> bool {
        match *action {
            Action::Connect => true,
            Action::Publish { topic, .. }
            | Action::Will { topic, .. }
            | Action::Retained { topic } => self.grant(who, Right::Write, topic),
            Action::Deliver { topic } => self.grant(who, Right::Read, topic),
            Action::Subscribe { filter, .. } => self.grant_filter(who, unshared(filter)),
        }
    }

    /// Whether a rule gives this right to a topic, and none denies it.
    fn grant(&self, who: &Principal<'_>, right: Right, topic: &str) -> bool {
        let mut is_granted = false;
        for rule in self.of(who) {
            if !(rule.right == Right::Deny || rule.right.includes(right)) {
                continue;
            }
            if rule.pattern.matches(who, topic) {
                if rule.right == Right::Deny {
                    return false;
                }
                is_granted = true;
            }
        }
        is_granted
    }

    /// Whether a filter matches any topic that may be read. What of the messages it matches is delivered is asked for each.
    fn grant_filter(&self, who: &Principal<'_>, filter: &str) -> bool {
        let mut is_granted = false;
        for rule in self.of(who) {
            if rule.right == Right::Deny {
                if rule.pattern.covers(who, filter) {
                    return false;
                }
            } else if rule.right.includes(Right::Read) {
                is_granted |= rule.pattern.overlaps(who, filter);
            }
        }
        is_granted
    }

    fn of(&self, who: &Principal<'_>) -> impl Iterator<Item = &Rule> {
        let own = match who.user.name() {
            Some(name) => self.users.get(name),
            None => Some(&self.anonymous),
        };
        own.into_iter().flatten().chain(&self.all)
    }
}

impl Right {
    fn includes(self, right: Self) -> bool {
        self == right || self == Self::ReadWrite
    }
}

/// The filter of a shared subscription without the name of its group.
fn unshared(filter: &str) -> &str {
    let shared = filter.strip_prefix("$share/");
    shared
        .and_then(|rest| rest.split_once('/'))
        .map_or(filter, |(_, filter)| filter)
}

#[cfg(test)]
mod tests;
