//! What a rule is about: topics, by wildcards and by the names of who asks.
//!
//! A name stands for itself: no character in it is a wildcard or begins a level. Who has a name that holds one of these, or none, is
//! matched by no pattern with that name.

use crate::access::Principal;

/// A topic filter in which `%c` may stand for the Client Identifier and `%u` for the user's name.
#[derive(Debug)]
pub(super) struct Pattern {
    levels: Vec<Level>,
}

#[derive(Debug)]
enum Level {
    /// Names, and text between them.
    Name(Vec<Piece>),
    /// `+`
    One,
    /// `#`
    All,
}

#[derive(Debug)]
enum Piece {
    Text(Box<str>),
    Client,
    User,
}

impl Pattern {
    /// For a valid filter. `has_names`: `%c` and `%u` are more than text.
    pub(super) fn new(filter: &str, has_names: bool) -> Self {
        let level = |level: &str| match level {
            "+" => Level::One,
            "#" => Level::All,
            _ if has_names => Level::Name(pieces(level)),
            _ => Level::Name(vec![Piece::Text(level.into())]),
        };
        Self {
            levels: filter.split('/').map(level).collect(),
        }
    }

    /// Whether this topic is one of those it is about.
    pub(super) fn matches(&self, who: &Principal<'_>, topic: &str) -> bool {
        // A topic has no wildcards.
        self.covers(who, topic)
    }

    /// Whether every topic that the filter matches is.
    pub(super) fn covers(&self, who: &Principal<'_>, filter: &str) -> bool {
        if filter.starts_with('$') != self.is_reserved() {
            return false;
        }
        let mut theirs = filter.split('/');
        for level in &self.levels {
            let is_covered = match (level, theirs.next()) {
                (Level::All, _) => return true,
                (_, None | Some("#")) | (Level::Name(_), Some("+")) => false,
                (Level::One, Some(_)) => true,
                (Level::Name(pieces), Some(level)) => is(pieces, who, level),
            };
            if !is_covered {
                return false;
            }
        }
        theirs.next().is_none()
    }

    /// Whether any topic that the filter matches is.
    pub(super) fn overlaps(&self, who: &Principal<'_>, filter: &str) -> bool {
        if filter.starts_with('$') != self.is_reserved() {
            return false;
        }
        let mut theirs = filter.split('/');
        for level in &self.levels {
            // A level without any name that could stand there rules everything out, whatever the filter says.
            let may_be = match (level, theirs.next()) {
                (Level::All, _) => return true,
                (_, Some("#")) => return self.can_be(who),
                (_, None) => false,
                (Level::One, Some(_)) => true,
                (Level::Name(_), Some("+")) => self.can_be(who),
                (Level::Name(pieces), Some(level)) => is(pieces, who, level),
            };
            if !may_be {
                return false;
            }
        }
        matches!(theirs.next(), None | Some("#"))
    }

    /// It is about topics that begin with `$`. [MQTT-4.7.2-1] A leading wildcard is not, and no more is a name.
    fn is_reserved(&self) -> bool {
        match self.levels.first() {
            Some(Level::Name(pieces)) => {
                matches!(pieces.first(), Some(Piece::Text(text)) if text.starts_with('$'))
            }
            _ => false,
        }
    }

    /// Whether the names in it can stand where they do.
    fn can_be(&self, who: &Principal<'_>) -> bool {
        let mut pieces = self.levels.iter().flat_map(|level| match level {
            Level::Name(pieces) => &pieces[..],
            _ => &[],
        });
        pieces.all(|piece| piece.text(who).is_some())
    }
}

impl Piece {
    /// What stands for it; `None`: nothing can.
    fn text<'a>(&'a self, who: &Principal<'a>) -> Option<&'a str> {
        let name = match self {
            Self::Text(text) => return Some(text),
            Self::Client => who.client_id,
            Self::User => who.user.name()?,
        };
        let is_safe = !name.is_empty() && !name.contains(['+', '#', '/']);
        is_safe.then_some(name)
    }
}

/// Whether the pieces in their order are this level.
fn is(pieces: &[Piece], who: &Principal<'_>, level: &str) -> bool {
    let rest = pieces.iter().try_fold(level, |rest, piece| {
        piece.text(who).and_then(|text| rest.strip_prefix(text))
    });
    rest == Some("")
}

fn pieces(level: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = level;
    while let Some((at, piece)) = first_name(rest) {
        if at > 0 {
            pieces.push(Piece::Text(rest[..at].into()));
        }
        pieces.push(piece);
        rest = &rest[at + 2..];
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(rest.into()));
    }
    pieces
}

fn first_name(text: &str) -> Option<(usize, Piece)> {
    let client = text.find("%c").map(|at| (at, Piece::Client));
    let user = text.find("%u").map(|at| (at, Piece::User));
    client.into_iter().chain(user).min_by_key(|(at, _)| *at)
}
