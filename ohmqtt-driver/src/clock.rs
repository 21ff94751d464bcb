//! The clock that drivers give to sessions.

use std::time::SystemTime;

use ohmqtt_session::Instant;

/// Reads the wall clock once, and goes on by a monotonic clock.
///
/// Under a paused tokio clock it stands still and jumps with it, so that tests own its time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Instant,
    start: tokio::time::Instant,
}

impl Clock {
    /// A clock that agrees with the wall clock now.
    pub fn new() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let wall =
            Instant::from_unix_micros(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX));
        Self {
            wall,
            start: tokio::time::Instant::now(),
        }
    }

    /// This moment, for a session.
    pub fn now(&self) -> Instant {
        self.wall + self.start.elapsed()
    }

    /// A session's deadline, for a timer.
    pub fn deadline(&self, at: Instant) -> tokio::time::Instant {
        self.start + at.since(self.wall)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_deadline_comes_back_as_the_moment_it_was() {
        let clock = Clock::new();
        let at = clock.now() + Duration::from_secs(5);
        let deadline = clock.deadline(at);
        assert_eq!(clock.wall + (deadline - clock.start), at);
    }
}
