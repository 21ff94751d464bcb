//! What a program shows, and the secrets that are looked for in it.

use std::error::Error;
use std::fmt::{Debug, Display, Write};

/// Part of every secret here, and of nothing else.
pub(crate) const SECRET: &str = "hunter2";

/// Everything that was shown.
#[derive(Default)]
pub(crate) struct Shown(String);

impl Shown {
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    pub(crate) fn debug(&mut self, value: &dyn Debug) {
        // Also as it is in the values of users.
        writeln!(self.0, "{value:?} {value:#?} {:?}", Some(value)).unwrap();
    }

    pub(crate) fn display(&mut self, value: &dyn Display) {
        writeln!(self.0, "{value}").unwrap();
    }

    /// An error, and what is behind it.
    pub(crate) fn error(&mut self, error: &(dyn Error + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            self.debug(&error);
            self.display(&error);
            next = error.source();
        }
    }

    /// No secret is in it, in any of the ways bytes are written; all of these words are.
    pub(crate) fn check(&self, words: &[&str]) {
        let bytes = SECRET.as_bytes();
        let decimal: Vec<_> = bytes.iter().map(u8::to_string).collect();
        let hex = |between: &str| {
            let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            digits.join(between)
        };
        // "hunter2" alone, and as a part of user name and password.
        let ways = [
            SECRET.to_owned(),
            decimal.join(", "),
            hex(""),
            hex(" "),
            hex(", 0x"),
            "aHVudGVyM".to_owned(),
        ];
        // One line each but for the indented form, where each number has its own.
        let shown = self.0.split_whitespace().collect::<Vec<_>>().join(" ");
        for way in ways {
            let at = shown.to_lowercase().find(&way.to_lowercase());
            let around = at.map(|at| &shown[at.saturating_sub(200)..at]);
            assert_eq!(around, None, "shown as {way}");
        }
        for word in words {
            assert!(shown.contains(word), "{word} is not in {shown}");
        }
    }
}
