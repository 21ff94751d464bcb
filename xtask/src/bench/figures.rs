//! The lines that the programs of the benches print: `name=number` after `name=number`.

use std::path::PathBuf;
use std::process::Command;

use crate::error::{Result, failed};
use crate::project::{self, cargo, output, program, target};

/// The numbers of one line.
#[derive(Debug, PartialEq)]
pub(super) struct Figures(Vec<(String, f64)>);

impl Figures {
    /// Runs a program that prints one line of figures.
    pub(super) fn of(command: &mut Command) -> Result<Self> {
        let (text, _) = output(command)?;
        Self::read(&text)
    }

    pub(super) fn read(text: &str) -> Result<Self> {
        let figure = |word: &str| {
            let (name, value) = word.split_once('=')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        match text.split_whitespace().map(figure).collect() {
            Some(figures) => Ok(Self(figures)),
            None => failed(format!("these are no figures: {text:?}")),
        }
    }

    /// One of them.
    pub(super) fn get(&self, name: &str) -> Result<f64> {
        match self.0.iter().find(|(of, _)| of == name) {
            Some((_, value)) => Ok(*value),
            None => failed(format!("there is no figure {name} in {self:?}")),
        }
    }
}

/// Builds a program of the benches that needs this feature, and tells where it is.
pub(super) fn build(name: &str, feature: &str) -> Result<PathBuf> {
    project::run(&mut cargo(&format!(
        "build --release --package ohmqtt-benches --features {feature} --bin {name}"
    )))?;
    Ok(target().join("release").join(name))
}

/// A folder for the files of a run, in the folder that cargo builds into, which is on a disk; empty at first and gone at the end.
#[derive(Debug)]
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Result<Self> {
        let path = target().join("bench").join(name);
        let made = std::fs::remove_dir_all(&path)
            .or_else(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })
            .and_then(|()| std::fs::create_dir_all(&path));
        match made {
            Ok(()) => Ok(Self(path)),
            Err(error) => failed(format!("{}: {error}", path.display())),
        }
    }

    /// A program with these words and this folder in place of `FOLDER`.
    pub(super) fn command(&self, of: &PathBuf, words: &str) -> Command {
        let mut command = program(of);
        for word in words.split(' ') {
            if word == "FOLDER" {
                command.arg(&self.0);
            } else {
                command.arg(word);
            }
        }
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is in the build folder, and harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_by_their_names() {
        let figures = Figures::read("micros=1.5 left=0\n").unwrap();
        assert_eq!(figures.get("micros"), Ok(1.5));
        assert_eq!(figures.get("left"), Ok(0.0));
        assert!(figures.get("right").is_err());
        assert!(Figures::read("micros=fast").is_err());
    }
}
