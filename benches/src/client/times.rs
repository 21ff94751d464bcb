//! What publishing to a broker takes, told in a line: CPU time and rate of many messages, or the times of round trips.

use std::time::{Duration, Instant};

use super::Result;
use crate::process::cpu;

/// What is measured from its beginning on.
#[derive(Debug)]
pub struct Many {
    began: Instant,
    cpu: Duration,
}

impl Many {
    /// Begins now.
    pub fn begin() -> Result<Self> {
        Ok(Self {
            began: Instant::now(),
            cpu: cpu()?,
        })
    }

    /// Prints microseconds of CPU time a message, and messages a second, of so many messages since the beginning.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub fn print(&self, n: u64) -> Result<()> {
        let (took, cpu) = (self.began.elapsed(), cpu()?.saturating_sub(self.cpu));
        let each = cpu.as_secs_f64() * 1e6 / n as f64;
        println!("us={each:.4} rate={:.0}", n as f64 / took.as_secs_f64());
        Ok(())
    }
}

/// Times of round trips.
#[derive(Debug, Default)]
pub struct Trips(Vec<Duration>);

impl Trips {
    /// One that began then ends now.
    pub fn end(&mut self, began: Instant) {
        self.0.push(began.elapsed());
    }

    /// The median and the 99th percentile, in microseconds, each as `name=number` behind this word.
    pub fn figures(&mut self, of: &str) -> Result<String> {
        self.0.sort_unstable();
        let at = |hundredth: usize| {
            let time = self.0.get(self.0.len() * hundredth / 100);
            time.map(|time| time.as_secs_f64() * 1e6)
        };
        let (p50, p99) = at(50).zip(at(99)).ok_or("no round trips")?;
        Ok(format!("{of}p50={p50:.3} {of}p99={p99:.3}"))
    }
}
