//! What a process has used so far, as Linux tells it.

use std::fs;
use std::time::Duration;

/// What asking returns.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The memory of this process now, in KiB.
pub fn memory() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    Ok(number.ok_or("/proc/self/status has no VmRSS")?)
}

/// The time that all threads of this process have spent on processors.
pub fn cpu() -> Result<Duration> {
    cpu_of(std::process::id())
}

/// The same of another process.
pub fn cpu_of(process: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the program stands in parentheses and may hold anything.
    let fields = stat.rsplit_once(") ").ok_or("no /proc/PID/stat")?.1;
    let mut ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>);
    let (user, system) = (ticks.next(), ticks.next());
    let total = user.ok_or("utime")?? + system.ok_or("stime")??;
    // Linux tells it in hundredths of a second.
    Ok(Duration::from_millis(10 * total))
}
