//! The options that say what is published.

use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;

/// What is published.
#[derive(Debug, Args)]
#[command(next_help_heading = "Payload")]
pub(crate) struct MessageArgs {
    /// This text
    #[arg(short = 'm', long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) message: Option<OsString>,
    /// What is in this file
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// All of standard input, as one message
    #[arg(short = 's', long)]
    pub(crate) stdin_file: bool,
    /// Nothing: a message of no bytes
    #[arg(short = 'n', long)]
    pub(crate) null_message: bool,
}

impl MessageArgs {
    /// How many of the ways to say it are used.
    pub(crate) fn ways(&self) -> usize {
        let ways = [
            self.message.is_some(),
            self.file.is_some(),
            self.stdin_file,
            self.null_message,
        ];
        ways.into_iter().filter(|used| *used).count()
    }

    /// The payload, which may be given as hexadecimal digits. Blocks the thread until it is read.
    pub(crate) fn payload(&self, hex: bool) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        if let Some(text) = &self.message {
            bytes = text.clone().into_encoded_bytes();
        } else if let Some(file) = &self.file {
            bytes = std::fs::read(file).map_err(|error| Failure::file("-f", file, &error))?;
        } else if self.stdin_file {
            let read = std::io::stdin().lock().read_to_end(&mut bytes);
            read.map_err(|error| Failure::usage(format!("standard input: {error}")))?;
        }
        if hex { unhex(&bytes) } else { Ok(bytes) }
    }
}

/// The bytes that hexadecimal digits stand for; white space between them means nothing.
pub(crate) fn unhex(digits: &[u8]) -> Result<Vec<u8>, Failure> {
    let digits: Vec<u8> = digits
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    data_encoding::HEXLOWER_PERMISSIVE
        .decode(&digits)
        .map_err(|error| {
            Failure::usage(format!(
                "--hex: {error}; write two hexadecimal digits a byte"
            ))
        })
}
