//! One line of words: a head, and fields with values. Packets, patterns, and what goes to and from a client's process are all such lines.

use std::collections::HashMap;
use std::fmt;

use serde_json::{Map, Value};

/// A head and its fields, in their order: `PUBLISH topic=a/b qos=1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// What it is: the type of a packet, a command, a report. In a pattern several may stand, with `|` between them.
    pub head: String,
    /// Names and values. A value is text, and compared as a number where both are numbers.
    pub fields: Vec<(String, String)>,
}

/// Values that a scenario has given names.
pub type Names = HashMap<String, String>;

impl Words {
    /// Without fields.
    pub fn new(head: impl Into<String>) -> Self {
        Self {
            head: head.into(),
            fields: Vec::new(),
        }
    }

    /// With one more field.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "numbers and texts stand as they are where it is called"
    )]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.fields.push((name.to_owned(), value.to_string()));
        self
    }

    /// Reads `HEAD name=value name="value with spaces"`. A name alone has the value 1.
    pub fn parse(line: &str) -> Result<Self, String> {
        let mut parts = split(line)?.into_iter();
        let Some(head) = parts.next() else {
            return Err("nothing is said".to_owned());
        };
        let fields = parts.map(|part| match part.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (part, "1".to_owned()),
        });
        let fields = fields.collect();
        Ok(Self { head, fields })
    }

    /// The value of a field.
    pub fn text(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let (_, value) = fields.find(|(own, _)| own == name)?;
        Some(value)
    }

    /// The value of a field that is a number, decimal or with `0x`.
    pub fn number(&self, name: &str) -> Option<u64> {
        number(self.text(name)?)
    }

    /// The same with each `$name` replaced by its value.
    pub fn filled(&self, names: &Names) -> Result<Self, String> {
        let mut filled = self.clone();
        for (field, value) in &mut filled.fields {
            if let Some(name) = value.strip_prefix('$') {
                let known = names.get(name);
                let known = known.ok_or_else(|| format!("{field}: nothing is called ${name}"))?;
                value.clone_from(known);
            }
        }
        Ok(filled)
    }

    /// Whether `came` is of one of these heads and has these fields. A `$name` that is not known yet takes the value that came.
    pub fn matches(&self, came: &Self, names: &mut Names) -> bool {
        if !self.head.split('|').any(|head| head == came.head) {
            return false;
        }
        let mut learnt = Vec::new();
        for (field, wanted) in &self.fields {
            // What a packet does not have is 0 or empty.
            let value = came.text(field).unwrap_or_default();
            let wanted = match wanted.strip_prefix('$') {
                Some(name) => {
                    if let Some(known) = names.get(name) {
                        known
                    } else {
                        learnt.push((name.to_owned(), value.to_owned()));
                        continue;
                    }
                }
                None => wanted,
            };
            if !wanted.split('|').any(|wanted| same(wanted, value)) {
                return false;
            }
        }
        names.extend(learnt);
        true
    }

    /// As a line of JSON, with the head under this name.
    pub fn to_json(&self, head: &str) -> String {
        let mut map = Map::new();
        map.insert(head.to_owned(), Value::from(self.head.as_str()));
        for (name, value) in &self.fields {
            let value = match number(value) {
                Some(number) => Value::from(number),
                None => Value::from(value.as_str()),
            };
            map.insert(name.clone(), value);
        }
        Value::Object(map).to_string()
    }

    /// From a line of JSON, with the head under this name.
    pub fn from_json(head: &str, line: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let Value::Object(map) = value else {
            return Err("not an object".to_owned());
        };
        let mut words = Self::default();
        for (name, value) in map {
            let value = match value {
                Value::String(text) => text,
                Value::Bool(is_so) => u8::from(is_so).to_string(),
                Value::Null => continue,
                other => other.to_string(),
            };
            if name == head {
                words.head = value;
            } else {
                words.fields.push((name, value));
            }
        }
        if words.head.is_empty() {
            return Err(format!("without \"{head}\""));
        }
        Ok(words)
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head)?;
        for (name, value) in &self.fields {
            match value.char_indices().nth(80) {
                Some((at, _)) => write!(f, " {name}={}... {} bytes", &value[..at], value.len())?,
                None if value.contains(' ') => write!(f, " {name}=\"{value}\"")?,
                None => write!(f, " {name}={value}")?,
            }
        }
        Ok(())
    }
}

/// Decimal, or hexadecimal with `0x`.
pub(crate) fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn same(wanted: &str, came: &str) -> bool {
    match number(wanted) {
        Some(0) if came.is_empty() => true,
        Some(wanted) => number(came) == Some(wanted),
        None => wanted == came,
    }
}

/// The parts of a line between its spaces, of which none ends a part between quotes.
pub(crate) fn split(line: &str) -> Result<Vec<String>, String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut is_quoted = false;
    for c in line.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            c if c.is_whitespace() && !is_quoted => {
                if !part.is_empty() {
                    parts.push(std::mem::take(&mut part));
                }
            }
            c => part.push(c),
        }
    }
    if is_quoted {
        return Err(format!("a quote is open at the end of: {line}"));
    }
    if !part.is_empty() {
        parts.push(part);
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Words {
        Words::parse(line).unwrap()
    }

    #[test]
    fn a_pattern_asks_only_for_what_it_names() {
        let came = words("PUBLISH topic=a qos=1 id=7 payload=\"two words\"");
        let mut names = Names::new();
        assert!(words("PUBLISH qos=1").matches(&came, &mut names));
        assert!(words("PUBACK|PUBLISH qos=1|2 dup=0").matches(&came, &mut names));
        assert!(words("PUBLISH id=0x07").matches(&came, &mut names));
        assert!(words("PUBLISH payload=\"two words\"").matches(&came, &mut names));
        assert!(!words("PUBLISH qos=2").matches(&came, &mut names));
        assert!(!words("PUBACK").matches(&came, &mut names));
        assert!(!words("PUBLISH retain").matches(&came, &mut names));
    }

    #[test]
    fn a_name_is_learnt_once_and_compared_from_then_on() {
        let mut names = Names::new();
        let pattern = words("PUBLISH id=$one");
        // What does not match teaches nothing.
        assert!(!words("PUBLISH id=$one qos=2").matches(&words("PUBLISH id=6"), &mut names));
        assert!(pattern.matches(&words("PUBLISH id=7"), &mut names));
        assert!(!pattern.matches(&words("PUBLISH id=8"), &mut names));
        let filled = words("PUBACK id=$one").filled(&names).unwrap();
        assert_eq!(filled, words("PUBACK id=7"));
        assert!(words("PUBACK id=$two").filled(&names).is_err());
    }

    #[test]
    fn lines_of_json_are_read_as_they_are_written() {
        let line = words("publish topic=a qos=1").to_json("do");
        assert_eq!(line, r#"{"do":"publish","topic":"a","qos":1}"#);
        let back = Words::from_json("do", &line).unwrap();
        assert_eq!(back, words("publish topic=a qos=1"));
        let report = Words::from_json("is", r#"{"is":"connected","session_present":true}"#);
        assert_eq!(report.unwrap(), words("connected session_present"));
        assert!(Words::from_json("is", "[]").is_err());
        assert!(Words::from_json("is", "{}").is_err());
        assert!(Words::parse("a b=\"c").is_err());
        assert!(Words::parse("  ").is_err());
    }
}
