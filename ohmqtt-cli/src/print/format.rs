//! The format language of mosquitto's `-F`: parsed once, written for each message.
//!
//! Sequences begin with `%` (the message), `@` (the time) or `\` (characters that are hard to type). What each `%` stands for is
//! `directive`'s.

use ohmqtt_client::Message;

use super::directive::{Directive, Layout};
use crate::clock::Moment;

/// A format.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Format(Vec<Piece>);

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Literal(Vec<u8>),
    Message(Directive, Layout),
    /// A directive of strftime(3).
    Time(String),
    /// The nanoseconds of the current second.
    Nanoseconds,
}

impl Format {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text.chars();
        while let Some(first) = rest.next() {
            let piece = match first {
                '%' => message(&mut rest)?,
                '@' => match rest.next() {
                    None => {
                        return Err("a format ends in '@'; write @@ for the character".to_owned());
                    }
                    Some('@') => literal('@'),
                    Some('N') => Piece::Nanoseconds,
                    Some(other) => Piece::Time(format!("%{other}")),
                },
                '\\' => literal(escape(rest.next())?),
                other => literal(other),
            };
            match (pieces.last_mut(), piece) {
                (Some(Piece::Literal(before)), Piece::Literal(more)) => before.extend(more),
                (_, piece) => pieces.push(piece),
            }
        }
        Ok(Self(pieces))
    }

    /// Writes the message. The error says what of it cannot be written as is asked; the rest is.
    pub(super) fn write(
        &self,
        message: &Message,
        pretty: bool,
        line: &mut Vec<u8>,
    ) -> Result<(), String> {
        let now = Moment::now();
        let mut result = Ok(());
        for piece in &self.0 {
            match piece {
                Piece::Literal(bytes) => line.extend_from_slice(bytes),
                Piece::Message(directive, layout) => {
                    let written = directive.write(message, *layout, &now, pretty, line);
                    result = result.and(written);
                }
                Piece::Time(directive) => {
                    line.extend_from_slice(now.directive(directive).as_bytes());
                }
                Piece::Nanoseconds => {
                    line.extend_from_slice(format!("{:09}", now.unix().1).as_bytes());
                }
            }
        }
        result
    }
}

fn literal(character: char) -> Piece {
    Piece::Literal(character.to_string().into_bytes())
}

fn escape(character: Option<char>) -> Result<char, String> {
    Ok(match character {
        Some('\\') => '\\',
        Some('0') => '\0',
        Some('a') => '\x07',
        Some('e') => '\x1B',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('v') => '\x0B',
        Some(other) => {
            return Err(format!(
                "'\\{other}' is none of \\\\ \\0 \\a \\e \\n \\r \\t \\v"
            ));
        }
        None => return Err("a format ends in '\\'; write \\\\ for the character".to_owned()),
    })
}

/// What follows a `%`: flags, widths, and the letter.
fn message(rest: &mut std::str::Chars<'_>) -> Result<Piece, String> {
    let mut layout = Layout::default();
    let mut next = || {
        rest.next()
            .ok_or("a format ends in '%'; write %% for the character")
    };
    let mut character = next()?;
    if character == '-' {
        layout.left = true;
        character = next()?;
    }
    if character == '0' {
        layout.zeros = true;
        character = next()?;
    }
    while let Some(digit) = character.to_digit(10) {
        layout.width = number(layout.width, digit)?;
        character = next()?;
    }
    if character == '.' {
        let mut most = 0;
        character = next()?;
        while let Some(digit) = character.to_digit(10) {
            most = number(most, digit)?;
            character = next()?;
        }
        layout.most = Some(most);
    }
    if character == '%' {
        return Ok(literal('%'));
    }
    let directive = Directive::of(character).ok_or_else(|| {
        format!("'%{character}' stands for nothing; see the help for what there is")
    })?;
    Ok(Piece::Message(directive, layout))
}

/// One digit more. A width has a bound, so that a slip of the finger does not fill the disk.
fn number(before: usize, digit: u32) -> Result<usize, String> {
    let number = usize::try_from(digit).unwrap_or_default() + before * 10;
    if number > 10_000 {
        return Err("a width of a format is at most 10000".to_owned());
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_read_once() {
        let layout = Layout {
            left: true,
            zeros: false,
            width: 12,
            most: Some(3),
        };
        let want = vec![
            Piece::Literal(b"a\n%".to_vec()),
            Piece::Message(Directive::Topic, layout),
            Piece::Literal(b"@".to_vec()),
            Piece::Time("%Y".to_owned()),
            Piece::Nanoseconds,
        ];
        assert_eq!(Format::parse("a\\n%%%-12.3t@@@Y@N"), Ok(Format(want)));
    }

    #[test]
    fn what_stands_for_nothing_is_refused() {
        for text in ["%", "@", "\\", "%y", "\\q", "%99999999p", "%-", "%5."] {
            assert!(Format::parse(text).is_err(), "{text}");
        }
    }
}
