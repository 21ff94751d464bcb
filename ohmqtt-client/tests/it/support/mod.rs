//! What tests share: waits with a deadline, and brokers of their own.

#[cfg(unix)]
pub(crate) mod mosquitto;

use std::future::IntoFuture;
use std::time::Duration;

/// What is awaited in a test comes within this time, or never.
const SOON: Duration = Duration::from_secs(20);

/// Waits for something that comes soon.
pub(crate) async fn soon<F: IntoFuture>(awaited: F) -> F::Output {
    match tokio::time::timeout(SOON, awaited.into_future()).await {
        Ok(output) => output,
        Err(_) => panic!("not within {SOON:?}"),
    }
}
