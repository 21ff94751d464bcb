//! What this process takes of the machine: processor time, memory.

use std::time::Duration;

/// A point in the life of the process.
pub(super) struct Usage {
    processor: Duration,
}

/// What was taken since.
pub(super) struct Used {
    /// Processors that were busy for it, on the average; 0 where the system does not tell.
    pub(super) processor: f64,
    /// Bytes of memory it has now, where the system tells.
    pub(super) memory: Option<u64>,
}

impl Usage {
    pub(super) fn begin() -> Self {
        Self {
            processor: processor(),
        }
    }

    /// What was taken in the time since.
    pub(super) fn so_far(&self, time: Duration) -> Used {
        let used = processor().saturating_sub(self.processor);
        Used {
            processor: used.as_secs_f64() / time.as_secs_f64().max(0.001),
            memory: memory(),
        }
    }
}

#[cfg(unix)]
fn processor() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds)
        + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(not(unix))]
fn processor() -> Duration {
    Duration::ZERO
}

/// The resident set, as Linux tells it.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
