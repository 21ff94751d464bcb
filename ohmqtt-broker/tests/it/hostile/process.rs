//! What a process takes: a test that measures it runs by itself in one of its own.

use std::future::Future;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

const ALONE: &str = "OHMQTT_TEST_ALONE";

/// Runs this test of this module again, in a process where nothing else runs, and passes as it does.
pub(super) fn alone(module: &str, test: &str, run: impl Future<Output = ()>) {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        return runtime.unwrap().block_on(run);
    }
    let output = again(module, test).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    assert!(said.contains("1 passed"), "{said}{errors}");
    print!("{said}");
}

/// Runs this test of this module in another process, alone there.
pub(super) fn again(module: &str, test: &str) -> Command {
    let (_, module) = module.split_once("::").unwrap();
    let name = format!("{module}::{test}");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &name, "--nocapture", "--test-threads=1"]);
    command.env(ALONE, "1");
    command
}

/// Memory in use by this process, in bytes: what is touched of it.
pub(super) fn resident() -> usize {
    status("RssAnon:")
}

/// Memory this process has reserved for data, in bytes, touched or not.
pub(super) fn reserved() -> usize {
    status("VmData:")
}

fn status(key: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<usize>().unwrap() * 1024
}

/// Time that this process has computed for, whatever else the machine does.
pub(super) fn computed() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap();
    Duration::new(u64::try_from(time.tv_sec).unwrap(), nanos)
}

/// Asks for so many open files, and tells how many of them there may be.
pub(super) fn open_files(wanted: usize) -> usize {
    let asked = u64::try_from(wanted).unwrap();
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < asked) {
        let maximum = limit.maximum.unwrap_or(asked);
        let raised = |maximum: u64| Rlimit {
            current: Some(maximum.min(asked)),
            maximum: Some(maximum),
        };
        // More than the system's own maximum is for the privileged.
        let _ = setrlimit(Resource::Nofile, raised(maximum.max(asked)))
            .or_else(|_| setrlimit(Resource::Nofile, raised(maximum)));
    }
    let current = getrlimit(Resource::Nofile).current.unwrap_or(asked);
    usize::try_from(current.min(asked)).unwrap()
}
