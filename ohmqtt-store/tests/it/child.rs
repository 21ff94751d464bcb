//! Other processes: this test binary again, in another role.

use std::env;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::files;

const ROLE: &str = "OHMQTT_STORE_ROLE";
const PATH: &str = "OHMQTT_STORE_PATH";

/// What a line begins with that is not one of the test harness.
const MARK: &str = "child: ";

/// Another process, until it is dropped.
pub(crate) struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    stdin: Option<ChildStdin>,
}

impl Process {
    /// Starts this binary in a role, on the store at a path.
    pub(crate) fn start(role: &str, path: &Path) -> Self {
        Self::run(Command::new(env::current_exe().unwrap()), role, path)
    }

    /// Starts this binary by way of a script, which gets it and its arguments as `"$0" "$@"`.
    #[cfg(unix)]
    pub(crate) fn start_by(script: &str, role: &str, path: &Path) -> Self {
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .arg(env::current_exe().unwrap());
        Self::run(command, role, path)
    }

    /// Starts this binary as somebody who may only do what files say: a copy of it stands in the folder given, for all to read.
    #[cfg(unix)]
    pub(crate) fn start_without_rights(role: &str, path: &Path, folder: &Path) -> Self {
        use std::os::unix::process::CommandExt;

        const NOBODY: u32 = 65_534;
        let mut command = Command::new(env::current_exe().unwrap());
        if rustix::process::geteuid().is_root() {
            let copy = folder.join("binary");
            std::fs::copy(env::current_exe().unwrap(), &copy).unwrap();
            command = Command::new(copy);
            command.uid(NOBODY).gid(NOBODY).current_dir("/");
        }
        Self::run(command, role, path)
    }

    fn run(mut command: Command, role: &str, path: &Path) -> Self {
        let mut child = command
            .args(["--exact", "child::plays_its_role", "--nocapture"])
            .env(ROLE, role)
            .env(PATH, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let stdin = child.stdin.take();
        Self {
            child,
            lines,
            stdin,
        }
    }

    #[cfg(all(unix, feature = "sqlite"))]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next that it says, or nothing once it has ended.
    pub(crate) fn line(&mut self) -> Option<String> {
        self.lines.by_ref().find_map(|line| {
            let line = line.ok()?;
            // The harness does not end the line before what a test says.
            line.split_once(MARK).map(|(_, said)| said.to_owned())
        })
    }

    /// Says something to it.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Lets it end, and waits until it has.
    pub(crate) fn finish(mut self) -> bool {
        self.stdin = None;
        while self.line().is_some() {}
        self.child.wait().unwrap().success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says something to the test that started this process.
pub(crate) fn say(what: impl std::fmt::Display) {
    println!("{MARK}{what}");
}

/// Waits for what the test says; nothing when it wants this process to end.
pub(crate) fn hear() -> Option<String> {
    let mut line = String::new();
    let len = std::io::stdin().read_line(&mut line).unwrap();
    (len > 0).then(|| line.trim().to_owned())
}

/// The body of the other processes. Among the tests it has no role, and there must be none.
#[test]
fn plays_its_role() {
    let Some(role) = env::var_os(ROLE) else {
        assert_eq!(env::var_os(PATH), None, "a path without a role");
        return;
    };
    let path = env::var_os(PATH).unwrap();
    files::play(role.to_str().unwrap(), Path::new(&path));
}
