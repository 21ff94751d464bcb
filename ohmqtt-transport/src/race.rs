//! Happy eyeballs (RFC 8305) without the names: given addresses, the first connection wins.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::TransportErrorKind;

/// How long an attempt runs alone before the next one joins it: RFC 8305, section 5.
pub(crate) const STAGGER: Duration = Duration::from_millis(250);

/// Puts addresses in the order they are tried: families in turn, IPv6 first, within a family as the resolver gave them.
pub(crate) fn in_turn(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.into_iter().partition(SocketAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut ordered = Vec::new();
    loop {
        let before = ordered.len();
        ordered.extend(v6.next());
        ordered.extend(v4.next());
        if ordered.len() == before {
            return ordered;
        }
    }
}

/// Tries `addresses` in order, a new one [`STAGGER`] after the last or as soon as one fails, and returns the first
/// stream. When all fail, the error that tells most. Dropping the future closes every attempt.
pub(crate) async fn race<T, F>(
    addresses: Vec<SocketAddr>,
    attempt: impl Fn(SocketAddr) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = addresses.into_iter();
    let mut running: Vec<Pin<Box<F>>> = Vec::new();
    let mut worst: Option<io::Error> = None;
    let mut turn = pin!(sleep_until(Instant::now()));
    poll_fn(|cx| {
        loop {
            let (mut index, mut failed) = (0, false);
            while let Some(attempt) = running.get_mut(index) {
                match attempt.as_mut().poll(cx) {
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(stream)),
                    Poll::Ready(Err(error)) => {
                        drop(running.swap_remove(index));
                        worst = Some(more_telling(worst.take(), error));
                        failed = true;
                    }
                    Poll::Pending => index += 1,
                }
            }
            let due = turn.as_mut().poll(cx).is_ready() || failed;
            if !running.is_empty() && (waiting.len() == 0 || !due) {
                return Poll::Pending;
            }
            let Some(address) = waiting.next() else {
                let none = || io::Error::new(io::ErrorKind::NotFound, "no address to connect to");
                return Poll::Ready(Err(worst.take().unwrap_or_else(none)));
            };
            running.push(Box::pin(attempt(address)));
            turn.as_mut().reset(Instant::now() + STAGGER);
        }
    })
    .await
}

/// Of two failures the one to report: an answer says more than silence, and silence more than a missing route, which on
/// hosts without IPv6 every name with both kinds of address has.
fn more_telling(before: Option<io::Error>, now: io::Error) -> io::Error {
    let rank = |error: &io::Error| match TransportErrorKind::of(error) {
        TransportErrorKind::Refused | TransportErrorKind::Reset => 0,
        TransportErrorKind::TimedOut => 1,
        TransportErrorKind::Unreachable | TransportErrorKind::AddressNotAvailable => 3,
        _ => 2,
    };
    match before {
        Some(before) if rank(&before) <= rank(&now) => before,
        _ => now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_ipv6_goes_first() {
        let given = addresses(&[
            "10.0.0.1:1",
            "10.0.0.2:1",
            "10.0.0.3:1",
            "[::1]:1",
            "[::2]:1",
        ]);
        let want = addresses(&[
            "[::1]:1",
            "10.0.0.1:1",
            "[::2]:1",
            "10.0.0.2:1",
            "10.0.0.3:1",
        ]);
        assert_eq!(in_turn(given), want);
    }

    /// What an address of the test does: after so many milliseconds it connects or fails.
    type Script = fn(u16) -> (u64, Result<(), io::ErrorKind>);

    /// Races ports 1 to `count` by `script`: the port that won or the kind of the error, and the milliseconds it took.
    async fn run(count: u16, script: Script) -> (Result<u16, io::ErrorKind>, u128) {
        let start = Instant::now();
        let addresses = (1..=count)
            .map(|port| ([127, 0, 0, 1], port).into())
            .collect();
        let result = race(addresses, |address| async move {
            let (after, outcome) = script(address.port());
            tokio::time::sleep(Duration::from_millis(after)).await;
            outcome.map(|()| address.port()).map_err(io::Error::from)
        });
        (
            result.await.map_err(|error| error.kind()),
            start.elapsed().as_millis(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_is_joined_by_the_next_after_250_ms() {
        let (won, after) = run(3, |port| (if port == 1 { 60_000 } else { 10 }, Ok(()))).await;
        assert_eq!(won, Ok(2));
        assert!((260..270).contains(&after), "{after}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_address_is_followed_at_once() {
        let (won, after) = run(2, |port| {
            (
                5,
                if port == 1 {
                    Err(io::ErrorKind::ConnectionRefused)
                } else {
                    Ok(())
                },
            )
        })
        .await;
        assert_eq!(won, Ok(2));
        assert!(after < 20, "{after}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_early_attempt_can_still_win_after_later_ones_began() {
        let (won, after) = run(2, |port| (if port == 1 { 300 } else { 5_000 }, Ok(()))).await;
        assert_eq!(won, Ok(1));
        assert!((300..310).contains(&after), "{after}");
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_the_error_that_tells_most_is_reported() {
        let (won, _) = run(3, |port| {
            let kind = [
                io::ErrorKind::NetworkUnreachable,
                io::ErrorKind::ConnectionRefused,
                io::ErrorKind::TimedOut,
            ];
            (5, Err(kind[usize::from(port) - 1]))
        })
        .await;
        assert_eq!(won, Err(io::ErrorKind::ConnectionRefused));
    }

    #[tokio::test(start_paused = true)]
    async fn no_address_is_an_error_not_a_wait() {
        assert_eq!(
            run(0, |_| (0, Ok(()))).await.0,
            Err(io::ErrorKind::NotFound)
        );
    }
}
