//! How a task ends when it does not succeed.

use std::fmt::{self, Display, Formatter};

/// Why a task did not succeed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// The command line was wrong: exit code 2, with the usage.
    Usage(String),
    /// The task failed: exit code 1.
    Failed(String),
}

pub(crate) type Result<T = ()> = std::result::Result<T, Error>;

impl Display for Error {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (Self::Usage(message) | Self::Failed(message)) = self;
        out.write_str(message)
    }
}

impl From<lexopt::Error> for Error {
    fn from(error: lexopt::Error) -> Self {
        Self::Usage(error.to_string())
    }
}

/// A failure that says `message`.
pub(crate) fn failed<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::Failed(message.into()))
}

/// Refuses what is left of the command line.
pub(crate) fn no_more(args: &mut lexopt::Parser) -> Result {
    match args.next()? {
        Some(arg) => Err(arg.unexpected().into()),
        None => Ok(()),
    }
}
