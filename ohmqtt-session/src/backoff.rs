//! How long to wait before the next attempt to connect.

use core::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// Exponential backoff with full jitter: each wait is anything from nothing to a bound that doubles up to a maximum.
///
/// Jitter comes from a seed, so that the same seed gives the same waits; clients that lose a server together should have different ones.
#[derive(Debug)]
pub struct Backoff {
    limits: BackoffLimits,
    bounds: ExponentialBackoff,
    random: fastrand::Rng,
}

/// The first bound of a [`Backoff`], and the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffLimits {
    /// The bound of the first wait.
    pub min: Duration,
    /// The bound that is not exceeded.
    pub max: Duration,
}

impl Default for BackoffLimits {
    /// One second, doubling up to one minute.
    fn default() -> Self {
        Self {
            min: Duration::from_secs(1),
            max: Duration::from_secs(60),
        }
    }
}

impl Backoff {
    /// A backoff at its beginning.
    pub fn new(limits: BackoffLimits, seed: u64) -> Self {
        Self {
            limits,
            bounds: bounds(limits),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// How long to wait now.
    pub fn next_wait(&mut self) -> Duration {
        let bound = self.bounds.next().unwrap_or(self.limits.max);
        bound.mul_f64(self.random.f64())
    }

    /// Begins anew, after a connection that stood.
    pub fn reset(&mut self) {
        self.bounds = bounds(self.limits);
    }
}

fn bounds(limits: BackoffLimits) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(limits.min)
        .with_max_delay(limits.max)
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_below_a_bound_that_doubles_up_to_the_maximum() {
        let limits = BackoffLimits {
            min: Duration::from_secs(1),
            max: Duration::from_secs(8),
        };
        let mut backoff = Backoff::new(limits, 42);
        for bound in [1, 2, 4, 8, 8, 8] {
            assert!(backoff.next_wait() <= Duration::from_secs(bound));
        }
        backoff.reset();
        assert!(backoff.next_wait() <= Duration::from_secs(1));
    }

    #[test]
    fn the_same_seed_gives_the_same_waits_and_another_seed_others() {
        let waits = |seed| {
            let mut backoff = Backoff::new(BackoffLimits::default(), seed);
            core::array::from_fn::<_, 8, _>(|_| backoff.next_wait())
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }
}
