//! Each of the first calls that write to the files of a store, or sync them, fails once. strace sees to it, so the store is the real one,
//! and SQLite too. It counts in each thread: a call that opens the store fails together with the one of its name and number that the
//! store's own thread makes, a dozen of five hundred; of the others only that one.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

use tokio::process::Command;
use tokio::task::JoinSet;

use super::outbox::Books;
use crate::line::{Choice, StoreKind};
use crate::{Result, role};

/// What changes a file or makes it safe.
const CALLS: &str = "write,pwrite64,pwritev,fsync,fdatasync,ftruncate,fallocate";

/// The length of a file that cannot be changed now is changed another time, as redb does it: nobody need hear of that.
const MAY_FAIL_UNTOLD: &str = "ftruncate";

/// So many messages, of so many bytes, are to make more calls than are tried.
const MESSAGES: u64 = 150;
const SIZE: usize = 200;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    failed: usize,
    /// The calls whose failure was told to nobody. Nothing may be lost by them either.
    untold: Vec<Call>,
    accepted: u64,
}

impl Tally {
    pub(super) fn shown(&self) -> String {
        let Self {
            failed,
            untold,
            accepted,
        } = self;
        let told = failed - untold.len();
        let mut shown = format!(
            "{failed} calls failed once, {told} told of, {accepted} messages accepted, 0 lost"
        );
        for Call { name, number } in untold {
            let _ = write!(shown, ", {name} {number} untold");
        }
        shown
    }
}

/// A call: the name, and which of its name in its thread.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    name: String,
    number: usize,
}

/// # Errors
/// When something accepted is lost, something comes that was not, or nothing is accepted after the failure.
pub(super) async fn run(store: StoreKind, calls: usize) -> Result<Tally> {
    let folder = tempfile::tempdir()?;
    let output = outbox(store, folder.path(), None).await?;
    let trace = traced(folder.path(), &output)?;
    let all = listed(&trace);
    if all.len() < calls {
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("only {} calls were made\n{told}", all.len()).into());
    }
    let mut left = all.into_iter().take(calls);
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut running = JoinSet::new();
    let mut tally = Tally::default();
    loop {
        while running.len() < jobs
            && let Some(call) = left.next()
        {
            running.spawn(async move { (call.clone(), fail(store, &call).await) });
        }
        let Some(joined) = running.join_next().await else {
            return Ok(tally);
        };
        let (call, one) = joined?;
        let one = one.map_err(|error| format!("{} {}: {error}", call.name, call.number))?;
        tally.failed += one.failed;
        tally.untold.extend(one.untold);
        tally.accepted += one.accepted;
    }
}

/// Lets that call fail, and looks what becomes of the messages.
async fn fail(store: StoreKind, call: &Call) -> Result<Tally> {
    let folder = tempfile::tempdir()?;
    let output = outbox(store, folder.path(), Some(call)).await?;
    let trace = traced(folder.path(), &output)?;
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("the outbox ended with {}: {said}{told}", output.status).into());
    }
    let mut deliver = role::command(role::DELIVER)?;
    options(&mut deliver, store, folder.path());
    let output = run_leashed(deliver).await?;
    said += &String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("the outbox is not delivered: {told}").into());
    }
    let books = Books::of(&said);
    if let Some(fault) = books.fault() {
        return Err(fault.into());
    }
    let failed = trace.matches("(INJECTED)").count();
    if !matches!(failed, 1 | 2) {
        return Err(format!("{failed} calls failed").into());
    }
    // The fault is at most one commit's, and one opening's.
    if books.accepted() + 2 < MESSAGES {
        return Err(format!("{} messages were accepted", books.accepted()).into());
    }
    let is_told = !books.errors.is_empty();
    if !is_told && call.name != MAY_FAIL_UNTOLD {
        return Err("its failure was told to nobody".into());
    }
    Ok(Tally {
        failed: 1,
        untold: if is_told {
            Vec::new()
        } else {
            vec![call.clone()]
        },
        accepted: books.accepted(),
    })
}

/// What strace has written down.
fn traced(folder: &Path, output: &Output) -> Result<String> {
    let trace = std::fs::read_to_string(folder.join("trace"));
    Ok(trace.map_err(|error| {
        let told = String::from_utf8_lossy(&output.stderr);
        format!("strace has written nothing ({error}): {told}")
    })?)
}

/// Runs an outbox on a store in this folder, with a call that fails if there is one, and traces its calls.
async fn outbox(store: StoreKind, folder: &Path, call: Option<&Call>) -> Result<Output> {
    let path = folder.join("store");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(folder.join("trace"));
    // A file gets its name when it has been made.
    for made in ["", ".new"] {
        for end in ["", "-wal", "-shm", "-journal"] {
            let mut path = path.clone().into_os_string();
            path.push(made);
            path.push(end);
            command.arg("-P").arg(path);
        }
    }
    command.arg("-e").arg(format!("trace={CALLS}"));
    if let Some(Call { name, number }) = call {
        let inject = format!("inject={name}:error=EIO:when={number}");
        command.arg("-e").arg(inject);
    }
    command.arg(std::env::current_exe()?).arg(role::OUTBOX);
    options(&mut command, store, folder);
    command.arg(format!("--messages={MESSAGES}"));
    command.arg(format!("--size={SIZE}"));
    run_leashed(command).await
}

fn options(command: &mut Command, store: StoreKind, folder: &Path) {
    command.arg(format!("--store={}", Choice(store)));
    command.arg("--path").arg(folder.join("store"));
}

/// Runs a part of this program, which ends with this process, and gives what it said.
pub(super) async fn run_leashed(mut command: Command) -> Result<Output> {
    command.stdin(Stdio::piped()).kill_on_drop(true);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let program = child.as_std().get_program().display().to_string();
    let mut child = child
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    let _leash = child.stdin.take();
    Ok(child.wait_with_output().await?)
}

/// The calls in a trace, in their order.
fn listed(trace: &str) -> Vec<Call> {
    let mut numbers = HashMap::new();
    let calls = trace.lines().filter_map(|line| {
        let (thread, rest) = line.split_once(' ')?;
        let (name, _) = rest.trim_start().split_once('(')?;
        // The second half of a call that another one came between.
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let number = numbers
            .entry((thread.to_owned(), name.to_owned()))
            .or_insert(0);
        *number += 1;
        Some(Call {
            name: name.to_owned(),
            number: *number,
        })
    });
    calls.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_numbered_by_name_and_thread() {
        let trace = "71  pwrite64(9, \"redb\"..., 4096, 0) = 4096\n\
            71  fdatasync(9 <unfinished ...>\n\
            72  pwrite64(9, \"x\", 1, 4096) = 1\n\
            71  <... fdatasync resumed>) = 0\n\
            72  pwrite64(9, \"y\", 1, 8192) = -1 EIO (Input/output error) (INJECTED)\n";
        let listed: Vec<_> = listed(trace)
            .into_iter()
            .map(|call| (call.name, call.number))
            .collect();
        let pwrite = |number| ("pwrite64".to_owned(), number);
        assert_eq!(
            listed,
            [pwrite(1), ("fdatasync".to_owned(), 1), pwrite(1), pwrite(2)]
        );
    }
}
