//! A future polled as it asks for it, and only so often.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// A future, and whether it has asked to be polled.
pub(crate) struct Polls<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
    asked: Arc<Asked>,
}

struct Asked {
    is_so: AtomicBool,
    bell: Notify,
}

impl Wake for Asked {
    fn wake(self: Arc<Self>) {
        self.is_so.store(true, Ordering::Release);
        self.bell.notify_one();
    }
}

impl<'a, T> Polls<'a, T> {
    pub(crate) fn new(future: Pin<Box<dyn Future<Output = T> + 'a>>) -> Self {
        Self {
            future,
            // The first poll needs no asking.
            asked: Arc::new(Asked {
                is_so: AtomicBool::new(true),
                bell: Notify::new(),
            }),
        }
    }

    /// Whether it asks to be polled within this time.
    pub(crate) async fn asks(&self, within: Duration) -> bool {
        let asks = async {
            while !self.asked.is_so.load(Ordering::Acquire) {
                self.asked.bell.notified().await;
            }
        };
        timeout(within, asks).await.is_ok()
    }

    /// One poll.
    pub(crate) fn poll(&mut self) -> Poll<T> {
        self.asked.is_so.store(false, Ordering::Release);
        let waker = Waker::from(Arc::clone(&self.asked));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_future_is_polled_once_for_each_time_it_asks() {
        let yielding = async {
            tokio::task::yield_now().await;
            std::future::pending::<()>().await;
        };
        let mut polls = Polls::new(Box::pin(yielding));
        for _ in 0..2 {
            assert!(polls.asks(Duration::from_secs(1)).await);
            assert!(polls.poll().is_pending());
        }
        assert!(!polls.asks(Duration::from_secs(1)).await);
    }
}
