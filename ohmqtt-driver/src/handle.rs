//! How callers reach a session that a driver runs.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use ohmqtt_session::{Instant, Session};

use crate::Clock;

/// A session that callers and one driver share.
///
/// A call locks the session, does its work and wakes the driver only if it sleeps; while it rests, which is never for long, only one of
/// many calls does. The lock is never held across I/O, a store call or
/// user code: what `with` is given must be short, and must not call `with` again.
pub struct Handle<S> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    inner: Mutex<Inner<S>>,
    clock: Clock,
}

pub(crate) struct Inner<S> {
    pub(crate) session: S,
    /// Somebody called since the driver last looked.
    pub(crate) touched: bool,
    /// The driver, while it sleeps.
    pub(crate) sleeper: Option<Waker>,
    /// So many calls do not wake it: it rests.
    pub(crate) unheard: u32,
}

impl<S: Session> Handle<S> {
    /// Shares a session.
    pub fn new(session: S, clock: Clock) -> Self {
        let inner = Inner {
            session,
            touched: false,
            sleeper: None,
            unheard: 0,
        };
        Self {
            shared: Arc::new(Shared {
                inner: Mutex::new(inner),
                clock,
            }),
        }
    }

    /// Locks the session, calls, and wakes its driver if it sleeps.
    pub fn with<R>(&self, call: impl FnOnce(&mut S, Instant) -> R) -> R {
        self.tell(|session| call(session, self.shared.clock.now()))
    }

    /// As [`with`](Self::with), for what does not ask the time.
    pub fn tell<R>(&self, call: impl FnOnce(&mut S) -> R) -> R {
        let mut inner = self.lock();
        let result = call(&mut inner.session);
        inner.touched = true;
        let sleeper = match inner.unheard.checked_sub(1) {
            Some(left) => {
                inner.unheard = left;
                None
            }
            None => inner.sleeper.take(),
        };
        drop(inner);
        if let Some(waker) = sleeper {
            waker.wake();
        }
        result
    }

    /// Locks the session and looks at it. The driver sleeps on.
    pub fn read<R>(&self, look: impl FnOnce(&S) -> R) -> R {
        look(&self.lock().session)
    }

    /// The clock the session is driven by.
    pub fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// Whether both are handles of the same session.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// The session, for its driver. A panic in a session is a bug of ours, but no reason to take the caller down with it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        self.shared
            .inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Clone for Handle<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S> fmt::Debug for Handle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}
