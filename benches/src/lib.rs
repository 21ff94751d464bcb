//! Benchmarks of ohmqtt, repeatable by a stranger.
//!
//! A case is set up once and then run any number of times. The same cases are timed by criterion (`cargo bench -p
//! ohmqtt-benches`) and counted in instructions and allocations by `codec_counts`, which `cargo xtask bench` runs under
//! callgrind. What was tried, and what it gave, is in `NOTES.md`.

pub mod allocations;
#[cfg(feature = "client")]
pub mod client;
pub mod codec;
#[cfg(feature = "dispatch")]
pub mod dispatch;
#[cfg(feature = "durable")]
pub mod durable;
pub mod process;
#[cfg(feature = "dispatch")]
pub mod router;
#[cfg(feature = "transport")]
pub mod transport;

use std::fmt;

/// What runs a case so many times, one after the other.
pub type Run = Box<dyn FnMut(u64)>;

/// Something to measure.
pub struct Case {
    /// What it is called on the command line and in tables.
    pub name: &'static str,
    set_up: fn() -> Run,
}

impl Case {
    /// A case whose setup gives what runs it.
    pub const fn new(name: &'static str, set_up: fn() -> Run) -> Self {
        Self { name, set_up }
    }

    /// Sets it up.
    pub fn set_up(&self) -> Run {
        (self.set_up)()
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}
