//! A scenario: what the server does and what the client is to make of it, line by line, and the section that settles it.
//!
//! README.md beside this crate's manifest tells the words. Here they are only read.

use std::fs;
use std::path::Path;

use crate::vocabulary::{COMMANDS, PACKETS, REPORTS, known};
use crate::words::{Words, number};

/// A scenario, as its file tells it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file's name without its extension.
    pub name: String,
    /// What the server does, in a sentence.
    pub about: String,
    /// The statements and sections of the specification that settle what the client is to do.
    pub settled: String,
    /// Whether the specification says must, should, or leaves it to the client and only its promises to the application count.
    pub level: String,
    /// What is done, in turn.
    pub steps: Vec<Line>,
}

/// A step, and where it stands.
#[derive(Clone, Debug)]
pub struct Line {
    /// The line of the file, from 1.
    pub number: usize,
    /// As it is written.
    pub text: String,
    /// As it is understood.
    pub step: Step,
}

/// One thing that is done or waited for.
#[derive(Clone, Debug)]
pub enum Step {
    /// The client is told to do something.
    Client(Words),
    /// The next packet of the client is this one.
    Expect(Words),
    /// The server sends a packet.
    Send(Words),
    /// The server sends these bytes.
    Raw(String),
    /// What is sent goes out in pieces of so many bytes; 0: as it is.
    Chop(usize),
    /// The client reports this to its application.
    Told(Words),
    /// The server behaves well, whatever the client does, until the client reports this.
    Serve(Words),
    /// Each CONNECT is answered by this packet, until the client reports `until`, after `most` connections at most.
    Refer {
        /// How many connections are allowed.
        most: usize,
        /// The answer.
        answer: Words,
        /// What ends it.
        until: Words,
    },
    /// The client ends the connection. Says it why, it is one of these reasons; `silently`: it need not say why.
    Leaves {
        /// Reason codes; none: any that is an error.
        reasons: Vec<u64>,
        /// The specification asks for no DISCONNECT here.
        silently: bool,
    },
    /// The client keeps the connection: it publishes a message of QoS 1 on it, and takes the acknowledgement.
    Stays,
    /// The server ends the connection.
    Cut,
    /// Nothing comes of the client for so many milliseconds.
    Quiet(u64),
    /// The server answers no PINGREQ from now on.
    Mute,
    /// Of all that the client reports, so many are like this in the end.
    Finally {
        /// How many there are to be.
        times: usize,
        /// A report of the client, or one of its packets.
        of: Words,
    },
}

impl Scenario {
    /// Reads the scenarios of a folder, in the order of their names.
    pub fn all(folder: &Path) -> Result<Vec<Self>, String> {
        let problem = |error| format!("{}: {error}", folder.display());
        let mut scenarios = Vec::new();
        for entry in fs::read_dir(folder).map_err(problem)? {
            let path = entry.map_err(problem)?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            if path.extension().is_some_and(|extension| extension == "txt") {
                let text = fs::read_to_string(&path).map_err(problem)?;
                scenarios.push(Self::parse(&name, &text)?);
            }
        }
        scenarios.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(scenarios)
    }

    /// Reads a scenario from its text.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut scenario = Self {
            name: name.to_owned(),
            about: String::new(),
            settled: String::new(),
            level: String::new(),
            steps: Vec::new(),
        };
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let header = line.split_once(": ");
            let field = match header.map(|(field, _)| field) {
                Some("about") => &mut scenario.about,
                Some("settled") => &mut scenario.settled,
                Some("level") => &mut scenario.level,
                _ => {
                    let step = Step::parse(line);
                    let step = step.map_err(|why| format!("{name}:{number}: {why}"))?;
                    let text = line.to_owned();
                    scenario.steps.push(Line { number, text, step });
                    continue;
                }
            };
            header.map_or("", |(_, value)| value).clone_into(field);
        }
        if !["must", "should", "free"].contains(&scenario.level.as_str()) {
            return Err(format!("{name}: its level is must, should or free"));
        }
        if scenario.about.is_empty() || scenario.settled.is_empty() {
            return Err(format!(
                "{name}: it says neither what it is about nor what settles it"
            ));
        }
        Ok(scenario)
    }
}

impl Step {
    fn parse(line: &str) -> Result<Self, String> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words = || Words::parse(rest);
        let count = || number(rest).ok_or_else(|| format!("{rest:?} is no number"));
        Ok(match verb {
            "client" => Self::Client(known(words()?, &[COMMANDS])?),
            "expect" => Self::Expect(known(words()?, &[PACKETS])?),
            "send" => match rest.strip_prefix("raw ") {
                Some(bytes) => Self::Raw(bytes.to_owned()),
                None => Self::Send(words()?),
            },
            "chop" => Self::Chop(usize::try_from(count()?).unwrap_or(0)),
            "told" => Self::Told(known(words()?, &[REPORTS])?),
            "serve" => Self::Serve(known(words()?, &[REPORTS])?),
            "refer" => refer(rest)?,
            "leaves" => leaves(rest)?,
            "stays" => Self::Stays,
            "cut" => Self::Cut,
            "quiet" => Self::Quiet(count()?),
            "mute" => Self::Mute,
            "never" | "once" => Self::Finally {
                times: usize::from(verb == "once"),
                of: known(words()?, &[PACKETS, REPORTS])?,
            },
            other => return Err(format!("there is no step {other:?}")),
        })
    }
}

/// `MOST ANSWER until REPORT`.
fn refer(rest: &str) -> Result<Step, String> {
    let form = || format!("refer MOST PACKET until REPORT, not {rest:?}");
    let (most, rest) = rest.split_once(' ').ok_or_else(form)?;
    let (answer, until) = rest.split_once(" until ").ok_or_else(form)?;
    Ok(Step::Refer {
        most: most.parse().map_err(|_| form())?,
        answer: Words::parse(answer)?,
        until: known(Words::parse(until)?, &[REPORTS])?,
    })
}

/// `[silently] [REASON...]`.
fn leaves(rest: &str) -> Result<Step, String> {
    let (mut reasons, mut silently) = (Vec::new(), false);
    for word in rest.split_whitespace() {
        if word == "silently" {
            silently = true;
        } else {
            reasons.push(number(word).ok_or_else(|| format!("{word:?} is no reason code"))?);
        }
    }
    Ok(Step::Leaves { reasons, silently })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "about: It.\nsettled: 4.13\nlevel: must\n";

    #[test]
    fn a_scenario_is_read_with_its_lines() {
        let text = format!("{HEAD}\n# first\nclient connect\nsend raw 20 03\nleaves 0x81 0x82\n");
        let scenario = Scenario::parse("it", &text).unwrap();
        assert_eq!((&*scenario.about, &*scenario.level), ("It.", "must"));
        let lines: Vec<_> = scenario.steps.iter().map(|line| line.number).collect();
        assert_eq!(lines, [6, 7, 8]);
        assert!(matches!(&scenario.steps[1].step, Step::Raw(bytes) if bytes == "20 03"));
        let Step::Leaves { reasons, silently } = &scenario.steps[2].step else {
            panic!("not leaves");
        };
        assert_eq!((&reasons[..], *silently), (&[0x81, 0x82][..], false));
    }

    #[test]
    fn what_is_wrong_in_a_file_is_told_with_its_line() {
        let error = |text: &str| Scenario::parse("it", text).unwrap_err();
        assert_eq!(
            error(&format!("{HEAD}dance")),
            "it:4: there is no step \"dance\""
        );
        assert_eq!(
            error(&format!("{HEAD}quiet long")),
            "it:4: \"long\" is no number"
        );
        assert_eq!(
            error(&format!("{HEAD}never message tpic=a")),
            "it:4: message has no field tpic"
        );
        assert!(error("about: It.").contains("level"));
        assert!(error("level: must").contains("what settles it"));
        assert!(error(&format!("{HEAD}refer 5 CONNACK")).contains("until"));
    }
}
