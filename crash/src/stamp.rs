//! Time that two processes agree on.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch, as the system's clock says.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
