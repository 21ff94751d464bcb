//! The table of disagreements: decoder, packet (`*` for any), what, who is wrong, what settles it, and why.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{Class, Found, Result};

/// The rows of `explained.tsv`.
pub(crate) struct Explained(Vec<Row>);

struct Row {
    decoder: String,
    packet: String,
    what: String,
    verdict: String,
}

impl Explained {
    /// Reads the table; a row says all of it.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let rows = text.lines().skip(1).map(|line| {
            let cells: Vec<_> = line.split('\t').collect();
            match cells[..] {
                [decoder, packet, what, who, section, why]
                    if !section.is_empty() && !why.is_empty() =>
                {
                    Ok(Row {
                        decoder: decoder.to_owned(),
                        packet: packet.to_owned(),
                        what: what.to_owned(),
                        verdict: format!("{who} by {section}"),
                    })
                }
                _ => Err(format!("not a row of six cells: {line:?}").into()),
            }
        });
        Ok(Self(rows.collect::<Result<_>>()?))
    }

    /// Who is wrong, and what settles it.
    pub(crate) fn of(&self, class: &Class) -> Option<&str> {
        let row = self.0.iter().find(|row| row.explains(class));
        row.map(|row| row.verdict.as_str())
    }

    /// Rows that explain none of these, as they begin.
    pub(crate) fn idle(&self, classes: &BTreeMap<Class, Found>) -> Vec<String> {
        let idle = |row: &&Row| !classes.keys().any(|class| row.explains(class));
        let idle = self.0.iter().filter(idle);
        idle.map(|row| format!("{} {} {}", row.decoder, row.packet, row.what))
            .collect()
    }
}

impl Row {
    fn explains(&self, class: &Class) -> bool {
        self.decoder == class.decoder
            && (self.packet == class.packet || self.packet == "*")
            && self.what == class.what
    }
}
