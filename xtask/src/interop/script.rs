//! A program that is listened to: its lines as they come, a deadline for each of them, and its end with ours.

use std::io::{BufRead, BufReader};
use std::ops::AddAssign;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result, failed};

/// The longest silence. Every script gives itself less, so that it can end what it has started.
const SILENCE: Duration = Duration::from_secs(75);

/// A running program. It is killed when this is dropped.
pub(super) struct Script {
    name: &'static str,
    process: Child,
    lines: Receiver<String>,
    silence: Duration,
}

/// How many checks there were, and how many of them failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) checks: usize,
    pub(super) failures: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.checks += other.checks;
        self.failures += other.failures;
    }
}

impl Script {
    pub(super) fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let spawned = command.stdout(Stdio::piped()).spawn();
        let mut process =
            spawned.map_err(|error| Error::Failed(format!("{name} did not start: {error}")))?;
        let (sender, lines) = mpsc::channel();
        if let Some(output) = process.stdout.take() {
            // It ends with the program, whose last holder of standard output is closed then.
            thread::spawn(move || {
                for line in BufReader::new(output)
                    .lines()
                    .map_while(std::result::Result::ok)
                {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self {
            name,
            process,
            lines,
            silence: SILENCE,
        })
    }

    /// The next line, or nothing when it has said all.
    ///
    /// # Errors
    /// When it is silent for too long.
    pub(super) fn line(&mut self) -> Result<Option<String>> {
        match self.lines.recv_timeout(self.silence) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                failed(format!("nothing within {} s", self.silence.as_secs()))
            }
        }
    }

    /// Listens to its end, passes on each line, and counts: it should say `checks` of them that end in ` ok`, and end with 0.
    pub(super) fn judge(&mut self, checks: usize, mut tell: impl FnMut(&str)) -> Tally {
        let mut tally = Tally::default();
        let mut count = |line: &str| {
            tell(line);
            tally.checks += 1;
            tally.failures += usize::from(!line.ends_with(" ok"));
            tally
        };
        let mut so_far = Tally::default();
        let end = loop {
            match self.line() {
                Ok(Some(line)) => so_far = count(&line),
                Ok(None) => break self.process.wait().map_err(|error| error.to_string()),
                Err(error) => break Err(error.to_string()),
            }
        };
        let complaint = match end {
            Err(error) => Some(error),
            // The line that failed has said why.
            Ok(_) if so_far.failures > 0 => None,
            Ok(status) => objection(status, so_far.checks, checks),
        };
        match complaint {
            Some(why) => count(&format!("{} FAILED: {why}", self.name)),
            None => so_far,
        }
    }
}

fn objection(status: ExitStatus, said: usize, wanted: usize) -> Option<String> {
    if !status.success() {
        Some(status.to_string())
    } else if said != wanted {
        Some(format!("{said} checks instead of {wanted}"))
    } else {
        None
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // It has ended already, save after an error; and then there is nobody left to tell.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::program;

    /// What is said of a program of the shell that should make two checks.
    fn check(text: &str, silence: Duration, failures: usize, want: &[&str]) {
        let mut script = Script::start("peer", program("sh").args(["-c", text])).unwrap();
        script.silence = silence;
        let mut said = Vec::new();
        let tally = script.judge(2, |line| said.push(line.to_owned()));
        assert_eq!(said, want, "{text}");
        let checks = want.len();
        assert_eq!(tally, Tally { checks, failures }, "{text}");
    }

    #[test]
    fn lines_that_end_in_ok_are_counted() {
        check("echo a ok; echo b ok", SILENCE, 0, &["a ok", "b ok"]);
    }

    #[test]
    fn a_line_that_says_anything_else_is_a_failure() {
        check(
            "echo a ok; echo b FAILED: late; exit 1",
            SILENCE,
            1,
            &["a ok", "b FAILED: late"],
        );
    }

    #[test]
    fn a_script_that_ends_early_has_failed() {
        let why = "peer FAILED: 1 checks instead of 2";
        check("echo a ok", SILENCE, 1, &["a ok", why]);
    }

    #[test]
    fn a_script_that_ends_badly_has_failed_whatever_it_said() {
        let want = &["a ok", "b ok", "peer FAILED: exit status: 3"];
        check("echo a ok; echo b ok; exit 3", SILENCE, 1, want);
    }

    #[test]
    fn a_script_that_hangs_is_ended() {
        let why = "peer FAILED: nothing within 0 s";
        check("exec sleep 60", Duration::ZERO, 1, &[why]);
    }
}
