//! A value that one side changes and any number of others wait on, from futures and from threads.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// A value that one side changes and others wait on until it is as they want it.
///
/// Waiting takes nothing away: any number of futures and threads may wait at once, and a wait that is dropped leaves nothing behind.
#[derive(Debug, Default)]
pub struct Cell<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State<T> {
    value: T,
    /// Futures that wait, by a number of their own.
    wakers: Vec<(u64, Waker)>,
    next: u64,
    /// The one that polls.
    poller: Option<Waker>,
    /// Threads that wait.
    threads: usize,
}

impl<T> Cell<T> {
    /// A cell that holds this value.
    pub fn new(value: T) -> Self {
        Self {
            state: Mutex::new(State {
                value,
                wakers: Vec::new(),
                next: 0,
                poller: None,
                threads: 0,
            }),
            changed: Condvar::new(),
        }
    }

    /// Changes the value and wakes everyone who waits.
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state.value);
        if state.wakers.is_empty() && state.poller.is_none() && state.threads == 0 {
            return result;
        }
        let wakers = std::mem::take(&mut state.wakers);
        let poller = state.poller.take();
        let threads = state.threads;
        drop(state);
        if threads > 0 {
            self.changed.notify_all();
        }
        for waker in wakers.into_iter().map(|(_, waker)| waker).chain(poller) {
            waker.wake();
        }
        result
    }

    /// Looks at the value.
    pub fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.lock().value)
    }

    /// What the value gives now. `ready` may change the value when it gives something, and nobody is woken for that.
    #[inline]
    pub fn now<R>(&self, ready: impl FnOnce(&mut T) -> Option<R>) -> Option<R> {
        ready(&mut self.lock().value)
    }

    /// Waits until the value gives a result. `ready` may change the value when it gives one, and nobody else is woken for that.
    ///
    /// Cancel safety: dropping the future leaves the cell as it was.
    pub fn until<R, F: FnMut(&mut T) -> Option<R> + Unpin>(&self, ready: F) -> Until<'_, T, F> {
        Until {
            cell: self,
            ready,
            registered: None,
        }
    }

    /// As [`until`](Self::until), for a poll function. Of several pollers only the last to ask is woken.
    pub fn poll_until<R>(
        &self,
        cx: &Context<'_>,
        ready: impl FnOnce(&mut T) -> Option<R>,
    ) -> Poll<R> {
        let mut state = self.lock();
        if let Some(result) = ready(&mut state.value) {
            Poll::Ready(result)
        } else {
            state.poller = Some(cx.waker().clone());
            Poll::Pending
        }
    }

    /// Blocks the thread until the value gives a result, or `None` once `timeout` has passed. Without a timeout it waits for ever.
    pub fn until_blocking<R>(
        &self,
        timeout: Option<Duration>,
        mut ready: impl FnMut(&mut T) -> Option<R>,
    ) -> Option<R> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.lock();
        loop {
            if let Some(result) = ready(&mut state.value) {
                return Some(result);
            }
            let left = match deadline {
                Some(deadline) => deadline.checked_duration_since(Instant::now())?,
                None => Duration::from_secs(3600),
            };
            state.threads += 1;
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            state.threads -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The future of [`Cell::until`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Until<'a, T, F> {
    cell: &'a Cell<T>,
    ready: F,
    registered: Option<u64>,
}

impl<T, R, F: FnMut(&mut T) -> Option<R> + Unpin> Future for Until<'_, T, F> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let this = &mut *self;
        let mut state = this.cell.lock();
        if let Some(result) = (this.ready)(&mut state.value) {
            return Poll::Ready(result);
        }
        let number = *this.registered.get_or_insert_with(|| {
            state.next += 1;
            state.next
        });
        if let Some((_, waker)) = state.wakers.iter_mut().find(|(of, _)| *of == number) {
            waker.clone_from(cx.waker());
        } else {
            if state.wakers.is_empty() {
                // Most have one who waits.
                state.wakers.reserve_exact(1);
            }
            state.wakers.push((number, cx.waker().clone()));
        }
        Poll::Pending
    }
}

impl<T, F> Drop for Until<'_, T, F> {
    fn drop(&mut self) {
        if let Some(number) = self.registered {
            self.cell.lock().wakers.retain(|(of, _)| *of != number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::task::Wake;

    struct Count(std::sync::atomic::AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }

    #[test]
    fn a_change_wakes_futures_and_threads() {
        let cell = Arc::new(Cell::new(0));
        let thread = std::thread::spawn({
            let cell = Arc::clone(&cell);
            move || cell.until_blocking(None, |n| (*n > 1).then_some(*n))
        });
        let count = Arc::new(Count(0.into()));
        let waker = Waker::from(Arc::clone(&count));
        let mut wait = cell.until(|n| (*n > 1).then_some(*n));
        let mut poll = || Pin::new(&mut wait).poll(&mut Context::from_waker(&waker));
        assert!(poll().is_pending());
        cell.update(|n| *n = 1);
        assert!(poll().is_pending());
        cell.update(|n| *n = 2);
        assert_eq!(poll(), Poll::Ready(2));
        assert_eq!(thread.join().unwrap(), Some(2));
        assert_eq!(count.0.load(std::sync::atomic::Ordering::SeqCst), 2);
    }

    #[test]
    fn a_dropped_wait_leaves_nothing_behind() {
        let cell = Cell::new(());
        let mut wait = cell.until(|()| None::<()>);
        assert!(
            Pin::new(&mut wait)
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        assert_eq!(cell.lock().wakers.len(), 1);
        drop(wait);
        assert_eq!(cell.lock().wakers.len(), 0);
    }

    #[test]
    fn a_blocking_wait_ends_with_its_timeout() {
        assert_eq!(
            Cell::new(()).until_blocking(Some(Duration::from_millis(1)), |()| None::<()>),
            None
        );
    }
}
