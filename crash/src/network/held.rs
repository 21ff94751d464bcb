//! What a process holds: open files and tasks. What it holds more at the end than at the beginning has leaked.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::Result;

/// How long something may take to be let go of: connections end in tasks of their own.
const PATIENCE: Duration = Duration::from_secs(20);

/// Open files of this process and tasks of this runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) files: usize,
    pub(super) tasks: usize,
}

impl Held {
    pub(super) fn now() -> Result<Self> {
        let files = std::fs::read_dir("/proc/self/fd").map_err(|error| {
            format!("open files are counted in /proc/self/fd, as Linux has it: {error}")
        })?;
        Ok(Self {
            files: files.count(),
            tasks: Handle::current().metrics().num_alive_tasks(),
        })
    }

    /// Waits until it stays as it is for a moment: what has ended may be on its way out.
    pub(super) async fn settled() -> Result<Self> {
        let mut before = Self::now()?;
        loop {
            sleep(Duration::from_millis(100)).await;
            let now = Self::now()?;
            if now == before {
                return Ok(now);
            }
            before = now;
        }
    }

    /// Waits until no more is held than was at first, and gives how much more it is all the same.
    pub(super) async fn leaked(self) -> Result<usize> {
        let until = Instant::now() + PATIENCE;
        loop {
            let now = Self::now()?;
            let more = now.more_than(self);
            if more == 0 {
                return Ok(0);
            }
            if Instant::now() > until {
                eprintln!("{now:?}, where it was {self:?}: {}", files().join(", "));
                return Ok(more);
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn more_than(self, before: Self) -> usize {
        self.files.saturating_sub(before.files) + self.tasks.saturating_sub(before.tasks)
    }
}

/// What the open files of this process are.
fn files() -> Vec<String> {
    let files = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
    let leads_to = |file: std::io::Result<std::fs::DirEntry>| {
        let to = std::fs::read_link(file.ok()?.path()).ok()?;
        Some(to.display().to_string())
    };
    files.filter_map(leads_to).collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_not_let_go_of_has_leaked() {
        // Files come and go with the other tests of this process, so they are compared by hand.
        let before = Held {
            files: usize::MAX,
            ..Held::now().unwrap()
        };
        let task = tokio::spawn(std::future::pending::<()>());
        assert_eq!(before.leaked().await.unwrap(), 1);
        task.abort();
        assert_eq!(before.leaked().await.unwrap(), 0);
        let file = |files| Held { files, tasks: 3 };
        assert_eq!(file(9).more_than(file(7)), 2);
        assert_eq!(file(7).more_than(file(9)), 0);
    }
}
