//! A store that says when it is called and when it answers, and a thread that says that the process runs.

use std::time::Duration;

use ohmqtt_store::{Batch, Durability, Store, StoreError, Visit};

use super::say;
use crate::pace::TICK;
use crate::stamp;

/// A store whose commits are told to the rig.
pub(super) struct Timed(pub(super) Box<dyn Store>);

impl Store for Timed {
    fn scan(&self, from: &[u8], prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.0.scan(from, prefix, visit)
    }

    fn apply(&mut self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        say(&format!("call {} {durability:?}\n", stamp::now()));
        let result = self.0.apply(batch, durability);
        say(&format!("answer {}\n", stamp::now()));
        result
    }
}

/// Says all the time that the process runs.
pub(super) fn tick() {
    std::thread::spawn(|| {
        loop {
            say(&format!("tick {}\n", stamp::now()));
            std::thread::sleep(Duration::from_micros(TICK));
        }
    });
}
