//! What was measured: how many, how large, and how long each took.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::{CreationError, Histogram};

/// The longest that is told apart, in nanoseconds: a minute.
const LONGEST: u64 = 60_000_000_000;

/// The messages of one client.
pub(super) struct Recorder(Mutex<Lane>);

/// So many messages, of so many bytes, that took so long.
pub(super) struct Lane {
    pub(super) count: u64,
    pub(super) bytes: u64,
    /// In nanoseconds, to three digits.
    pub(super) latency: Histogram<u64>,
}

impl Lane {
    fn new() -> Result<Self, CreationError> {
        Ok(Self {
            count: 0,
            bytes: 0,
            latency: Histogram::new_with_bounds(1, LONGEST, 3)?,
        })
    }
}

impl Recorder {
    pub(super) fn new() -> Result<Self, CreationError> {
        Ok(Self(Mutex::new(Lane::new()?)))
    }

    /// One more, of so many bytes; how long it took, where that is known.
    pub(super) fn record(&self, bytes: usize, took: Option<Duration>) {
        let mut lane = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lane.count += 1;
        lane.bytes += bytes as u64;
        if let Some(took) = took {
            let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(LONGEST);
            lane.latency
                .saturating_record(nanoseconds.clamp(1, LONGEST));
        }
    }
}

/// What all have recorded.
pub(super) fn total(recorders: &[Arc<Recorder>]) -> Result<Lane, CreationError> {
    let mut total = Lane::new()?;
    for recorder in recorders {
        let lane = recorder.0.lock().unwrap_or_else(PoisonError::into_inner);
        total.count += lane.count;
        total.bytes += lane.bytes;
        // Of the same bounds: it fits.
        let _ = total.latency.add(&lane.latency);
    }
    Ok(total)
}
