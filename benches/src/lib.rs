//! Benchmarks of ohmqtt, repeatable by a stranger.
//!
//! A case is set up once and then run any number of times. The same cases are timed by criterion (`cargo bench -p
//! ohmqtt-benches`) and counted in instructions and allocations by `codec_counts`, which `cargo xtask bench` runs under
//! callgrind. What was tried, and what it gave, is in `NOTES.md`.

pub mod allocations;
pub mod codec;

use std::fmt;

/// Something to measure.
pub struct Case {
    /// What it is called on the command line and in tables.
    pub name: &'static str,
    setup: fn() -> Box<dyn FnMut()>,
}

impl Case {
    /// A case whose setup gives what is run.
    pub const fn new(name: &'static str, setup: fn() -> Box<dyn FnMut()>) -> Self {
        Self { name, setup }
    }

    /// Sets it up: the result runs it once each time it is called.
    pub fn set_up(&self) -> Box<dyn FnMut()> {
        (self.setup)()
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}
