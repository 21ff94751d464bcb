//! A disk of two megabytes, which an outbox fills: messages that find no room fail, what was accepted stays, and when there is room
//! again there is no error left.

use super::calls::run_leashed;
use super::outbox::{Books, MORE};
use crate::Result;
use crate::line::{Choice, StoreKind};

/// A disk that goes with the process, and on it an outbox that fills it. What is in it is delivered, with room for that: redb writes
/// anew what it changes, and with too little room waits for more.
const SCRIPT: &str = r#"
    mount -t tmpfs -o size=2m tmpfs "$2" || exit 9
    "$0" outbox --store "$1" --path "$2/store" --filler "$2/filler" --messages 20000 --size 1000 || exit 8
    mount -o remount,size=8m "$2" || exit 7
    "$0" deliver --store "$1" --path "$2/store"
"#;

/// Gives what is to be told.
///
/// # Errors
/// When something accepted is lost, or nothing is accepted when there is room again.
pub(super) async fn run(store: StoreKind) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let mut command = tokio::process::Command::new("unshare");
    command.args(["--mount", "--", "sh", "-c", SCRIPT]);
    command.arg(std::env::current_exe()?);
    command.arg(Choice(store).to_string()).arg(folder.path());
    let output = run_leashed(command).await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let status = output.status;
        return Err(
            format!("it ended with {status}: {told}(a disk is mounted by root on Linux)").into(),
        );
    }
    let books = Books::of(&said);
    if let Some(fault) = books.fault() {
        return Err(fault.into());
    }
    let (errors, accepted) = (books.errors.len(), books.accepted());
    let first = books.errors.first().cloned().unwrap_or_default();
    // Some fail on a full disk; of the last ones, which come when there is room, none.
    if errors as u64 != MORE || accepted <= MORE {
        return Err(format!("{errors} errors, {accepted} accepted: {first}").into());
    }
    Ok(format!(
        "{accepted} messages accepted, {errors} refused (\"{first}\"), 0 lost"
    ))
}
