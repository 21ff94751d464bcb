//! What a check finds wrong, and how it says so.

use std::fmt::Debug;

/// What was wanted, and what came in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) wanted: String,
    pub(crate) came: String,
}

pub(crate) type Outcome<T = ()> = Result<T, Fault>;

/// A fault of this kind.
pub(crate) fn fault<T>(wanted: impl Into<String>, came: impl Into<String>) -> Outcome<T> {
    Err(Fault {
        wanted: wanted.into(),
        came: came.into(),
    })
}

/// Holds when it came as it was wanted.
pub(crate) fn same<T: PartialEq + Debug>(what: &str, came: &T, wanted: &T) -> Outcome {
    if came == wanted {
        return Ok(());
    }
    fault(format!("{what}: {wanted:?}"), format!("{came:?}"))
}

/// Holds when it is so.
pub(crate) fn holds(is_so: bool, wanted: &str, came: impl Debug) -> Outcome {
    if is_so {
        return Ok(());
    }
    fault(wanted, format!("{came:?}"))
}
