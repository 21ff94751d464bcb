//! The resident set of this process, looked at ten times a second.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::Result;

const PERIOD: Duration = Duration::from_millis(100);

/// Watches until it is asked.
pub(super) struct Memory {
    enough: oneshot::Sender<()>,
    watching: JoinHandle<Result<Measured>>,
}

/// In KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Measured {
    /// At the end of the warm-up.
    pub(super) warm: u64,
    /// The most since then.
    pub(super) most: u64,
    pub(super) last: u64,
}

impl Memory {
    /// Watches from then on.
    pub(super) fn watch(warm: Instant) -> Self {
        let (enough, mut is_enough) = oneshot::channel();
        let watching = tokio::spawn(async move {
            sleep_until(warm).await;
            let resident = resident()?;
            let mut measured = Measured {
                warm: resident,
                most: resident,
                last: resident,
            };
            while tokio::time::timeout(PERIOD, &mut is_enough).await.is_err() {
                measured.see(self::resident()?);
            }
            measured.see(self::resident()?);
            Ok(measured)
        });
        Self { enough, watching }
    }

    /// Looks for the last time.
    pub(super) async fn measured(self) -> Result<Measured> {
        // If it has ended by itself it says why.
        let _ = self.enough.send(());
        self.watching.await?
    }
}

impl Measured {
    fn see(&mut self, resident: u64) {
        self.last = resident;
        self.most = self.most.max(resident);
    }

    /// How far it went above what it was at the end of the warm-up.
    pub(super) fn growth(&self) -> u64 {
        self.most - self.warm
    }
}

/// What this process occupies now, in KiB, as Linux says.
pub(crate) fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| {
        format!("memory is read from /proc/self/status, as Linux has it: {error}")
    })?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    Ok(number.ok_or("/proc/self/status has no VmRSS")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_to_the_peak_and_not_to_the_end() {
        let mut measured = Measured {
            warm: 100,
            most: 100,
            last: 100,
        };
        measured.see(150);
        measured.see(90);
        assert_eq!((measured.growth(), measured.last), (50, 90));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_is_taken_after_the_warm_up_is_seen() {
        let memory = Memory::watch(Instant::now());
        // It has looked once when the next look is under way.
        tokio::time::sleep(2 * PERIOD).await;
        let taken = vec![1_u8; 32 * 1024 * 1024];
        let measured = memory.measured().await.unwrap();
        assert!(measured.growth() > 16 * 1024, "{measured:?}");
        drop(taken);
    }
}
