//! Accepting that outlives what passes: a listener that ends because files ran out for a second takes a broker down.

use std::future::Future;
use std::io;
use std::time::Duration;

/// How long to wait when the system has run out of files, memory or buffers: others must end first.
const PAUSE: Duration = Duration::from_millis(50);

/// Calls `accept` until it gives a connection, or an error that cannot pass. `at` is for the log.
pub(crate) async fn accept_patiently<T, F>(at: &str, mut accept: impl FnMut() -> F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    loop {
        match accept().await {
            Ok(connection) => return Ok(connection),
            Err(error) if is_final(&error) => return Err(error),
            Err(error) if is_of_one_connection(&error) => {
                tracing::debug!(at, %error, "connection gone before accept");
            }
            Err(error) => {
                tracing::warn!(at, %error, "accept failed; trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The socket does not listen (any more): no later call can succeed.
fn is_final(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
    )
}

/// The next connection is not affected. On Linux `accept` also reports errors of the network the new one is on.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
            | ErrorKind::TimedOut
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
    )
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// Accepts from a script of outcomes and gives the result and the time that passed.
    async fn run(script: Vec<io::Result<u32>>) -> (io::Result<u32>, Duration) {
        let start = Instant::now();
        let mut script = script.into_iter();
        let result = accept_patiently("test", || std::future::ready(script.next().unwrap())).await;
        (result, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn accept_goes_on_after_a_pause_when_files_run_out() {
        let too_many_files = || Err(io::Error::from_raw_os_error(24));
        let (result, passed) = run(vec![too_many_files(), too_many_files(), Ok(7)]).await;
        assert_eq!(result.unwrap(), 7);
        assert!(passed >= 2 * PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn accept_goes_on_at_once_after_an_aborted_connection() {
        let (result, passed) = run(vec![Err(io::ErrorKind::ConnectionAborted.into()), Ok(7)]).await;
        assert_eq!(result.unwrap(), 7);
        assert_eq!(passed, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn accept_ends_when_the_socket_does_not_listen() {
        let (result, _) = run(vec![Err(io::ErrorKind::InvalidInput.into()), Ok(7)]).await;
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
