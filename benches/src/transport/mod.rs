//! What the transports cost: bytes one way over each of them, and over the library underneath used by itself, in the same
//! process.
//!
//! Both ends are on one thread, so that work is measured and not how two cores are scheduled. Each write is flushed, as a
//! driver does with what has gathered; over WebSocket it is a message.

mod certificates;
mod ends;
mod ours;
mod raw;

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;

pub use self::ends::Transfer;

/// What can go wrong here.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The lengths of writes, in bytes: a large payload's, and that of a PUBLISH of 256 bytes.
pub const LENGTHS: &[u32] = &[64 * 1024, 286];

/// How much goes between two looks at the clock, in bytes.
const BURST: u32 = 2 << 20;

/// How long a connection is timed, and how long it runs before: what it does at first, such as growing its windows, is not
/// timed.
const TIMED: Duration = Duration::from_millis(60);
const WARMING: Duration = Duration::from_millis(10);

/// How often each of the two is timed, in turn.
const ROUNDS: usize = 25;

/// A transport, ours and raw. Each connects anew.
pub struct Pair {
    /// Its scheme.
    pub name: &'static str,
    /// By `ohmqtt-transport`.
    pub ours: fn() -> Result<Transfer>,
    /// By the library underneath.
    pub raw: fn() -> Result<Transfer>,
}

/// All that this system has.
pub const PAIRS: &[Pair] = &[
    pair("tcp", ours::tcp, raw::tcp),
    pair("tls", ours::tls, raw::tls),
    #[cfg(unix)]
    pair("unix", ours::unix, raw::unix),
    pair("ws", ours::ws, raw::ws),
    pair("wss", ours::wss, raw::wss),
    pair("quic", ours::quic, raw::quic),
];

const fn pair(
    name: &'static str,
    ours: fn() -> Result<Transfer>,
    raw: fn() -> Result<Transfer>,
) -> Pair {
    Pair { name, ours, raw }
}

impl Pair {
    /// Both in turn, round after round, with writes of `len` bytes: the upper quartile of each rate, in bytes a second.
    pub fn compare(&self, len: u32) -> Result<[f64; 2]> {
        let mut rates = [const { Vec::new() }; 2];
        for _ in 0..ROUNDS {
            for (rates, connect) in rates.iter_mut().zip([self.ours, self.raw]) {
                let mut transfer = connect()?;
                rate(&mut transfer, len, WARMING)?;
                rates.push(rate(&mut transfer, len, TIMED)?);
            }
        }
        Ok(rates.map(upper_quartile))
    }
}

/// Bytes a second over a connection in about this time.
fn rate(transfer: &mut Transfer, len: u32, time: Duration) -> Result<f64> {
    let bytes = Bytes::from(vec![b'x'; usize::try_from(len)?]);
    let writes = BURST / len;
    let mut bursts = 0_u32;
    let start = Instant::now();
    while start.elapsed() < time {
        transfer(&bytes, writes)?;
        bursts += 1;
    }
    let sent = f64::from(bursts) * f64::from(writes * len);
    Ok(sent / start.elapsed().as_secs_f64())
}

/// What else the machine does makes most rounds slower; the best few have luck, such as segments that TCP joined.
fn upper_quartile(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() * 3 / 4]
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pair").field(&self.name).finish()
    }
}
