//! A process of the rig: started, listened to, and ended by its own number, also when the rig fails.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinHandle;

use crate::trace::Trace;

/// Where a process says what is listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// What it writes to standard error goes to a file.
    Stdout,
    Stderr,
}

/// A running process. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    who: String,
    trace: Trace,
    listener: JoinHandle<()>,
    /// A process of ours ends by itself when this is closed, so that none outlives a rig that was killed.
    _leash: Option<ChildStdin>,
}

impl Process {
    /// Starts it. Each line it says is noted in the trace and given to `hear`.
    pub(crate) fn start(
        mut command: Command,
        who: String,
        voice: Voice,
        folder: &Path,
        trace: &Trace,
        mut hear: impl FnMut(&str) + Send + 'static,
    ) -> io::Result<Self> {
        command.stdin(Stdio::piped()).kill_on_drop(true);
        match voice {
            Voice::Stdout => {
                let errors = OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(folder.join("errors.log"))?;
                command.stdout(Stdio::piped()).stderr(errors);
            }
            Voice::Stderr => {
                command.stdout(Stdio::null()).stderr(Stdio::piped());
            }
        }
        let mut child = command.spawn()?;
        trace.note("rig", &format!("started {who}"));
        let said: Box<dyn AsyncRead + Send + Unpin> =
            match (child.stdout.take(), child.stderr.take()) {
                (Some(stdout), _) => Box::new(stdout),
                (None, Some(stderr)) => Box::new(stderr),
                (None, None) => return Err(io::Error::other("it has no voice")),
            };
        let leash = child.stdin.take();
        let (name, notes) = (who.clone(), trace.clone());
        let listener = tokio::spawn(async move {
            let mut lines = BufReader::new(said).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                notes.note(&name, &line);
                hear(&line);
            }
        });
        Ok(Self {
            child,
            who,
            trace: trace.clone(),
            listener,
            _leash: leash,
        })
    }

    /// Ends it as a crash does, and returns when all it has said before was heard.
    pub(crate) async fn kill(mut self) -> io::Result<()> {
        self.trace.note("rig", &format!("kills {}", self.who));
        self.child.kill().await?;
        self.heard().await;
        Ok(())
    }

    /// Asks it to end, and returns when it has.
    pub(crate) async fn terminate(self) -> io::Result<ExitStatus> {
        self.trace.note("rig", &format!("terminates {}", self.who));
        if let Some(id) = self.child.id() {
            // It is a child that was not waited for, so the number is still its own.
            let mut kill = Command::new("sh");
            kill.args(["-c", "kill -s TERM \"$0\"", &id.to_string()]);
            kill.status().await?;
        }
        self.ended().await
    }

    /// Waits until it has ended by itself and all it has said was heard.
    pub(crate) async fn ended(mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.heard().await;
        Ok(status)
    }

    /// What it ended with, if it has ended by itself.
    pub(crate) fn try_ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    pub(crate) fn who(&self) -> &str {
        &self.who
    }

    async fn heard(&mut self) {
        // What was said stays in the pipe when the process is gone.
        let _ = (&mut self.listener).await;
        self.trace.note("rig", &format!("ended {}", self.who));
    }
}
