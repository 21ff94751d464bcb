//! The restarts of the broker, at random moments.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, sleep, sleep_until};

use crate::Result;
use crate::broker::Broker;

/// How long the broker is up between two restarts, and how long it is down, in milliseconds.
const UP: std::ops::Range<u64> = 500..5_000;
const DOWN: std::ops::Range<u64> = 100..2_000;

/// In so much time there is at least one restart.
pub(super) const SHORTEST: Duration = Duration::from_millis(UP.end);

/// Restarts the broker until then, and leaves it running. Returns how often.
///
/// # Errors
/// When the broker does not end or does not start again, or has ended by itself.
pub(super) async fn restarts(broker: &mut Broker, mut rng: Rng, end: Instant) -> Result<u32> {
    let mut restarts = 0;
    loop {
        let next = Instant::now() + Duration::from_millis(rng.u64(UP));
        let down = Duration::from_millis(rng.u64(DOWN));
        if next > end {
            sleep_until(end).await;
            broker.fault()?;
            return Ok(restarts);
        }
        sleep_until(next).await;
        broker.fault()?;
        broker.stop().await?;
        sleep(down).await;
        broker.start().await?;
        restarts += 1;
    }
}
