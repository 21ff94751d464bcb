//! A client under test: a process that takes commands on standard input and tells on standard output what its application would see.

use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::words::Words;

/// So many reports may wait.
const REPORTS: usize = 10_000;

/// So many bytes of what a client complains of are kept.
const COMPLAINTS: u64 = 16 * 1024;

/// A client of somebody's, and how its adapter is started.
#[derive(Clone, Debug)]
pub struct Client {
    /// What it is called.
    pub name: String,
    /// Whether it is one of ours, which pass all scenarios.
    pub is_ours: bool,
    /// The adapter's program.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// An adapter that runs. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Adapter {
    child: Child,
    stdin: Option<ChildStdin>,
    reports: mpsc::Receiver<Result<Words, String>>,
    complaints: JoinHandle<Vec<u8>>,
}

impl Adapter {
    pub(crate) fn start(client: &Client) -> Result<Self, String> {
        let mut child = Command::new(&client.program)
            .args(&client.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{}: {error}", client.program.display()))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let stdin = child.stdin.take();
        let (report, reports) = mpsc::channel(REPORTS);
        tokio::spawn(async move {
            let Some(stdout) = stdout else { return };
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let words = Words::from_json("is", &line);
                let words = words.map_err(|why| format!("the adapter said {line}: {why}"));
                if report.send(words).await.is_err() {
                    return;
                }
            }
        });
        let complaints = tokio::spawn(async move {
            let mut kept = Vec::new();
            if let Some(mut stderr) = stderr {
                // What does not fit is read all the same, so that the process is not held up by it.
                let _ = (&mut stderr).take(COMPLAINTS).read_to_end(&mut kept).await;
                let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
            }
            kept
        });
        Ok(Self {
            child,
            stdin,
            reports,
            complaints,
        })
    }

    pub(crate) async fn tell(&mut self, command: &Words) -> Result<(), String> {
        let line = format!("{}\n", command.to_json("do"));
        let Some(stdin) = &mut self.stdin else {
            return Err("the adapter takes no commands any more".to_owned());
        };
        let written = stdin.write_all(line.as_bytes()).await;
        written.map_err(|error| format!("the adapter takes no commands: {error}"))
    }

    /// No more commands will come.
    pub(crate) fn end(&mut self) {
        self.stdin = None;
    }

    /// The next report; `None` once the process has closed its output.
    ///
    /// Cancel safety: no report is lost when the future is dropped.
    pub(crate) async fn report(&mut self) -> Option<Result<Words, String>> {
        self.reports.recv().await
    }

    /// Waits for the end of the process.
    pub(crate) async fn exit(&mut self) -> Result<ExitStatus, String> {
        self.child.wait().await.map_err(|error| error.to_string())
    }

    /// Ends the process, and gives what it wrote to standard error.
    pub(crate) async fn complaints(mut self) -> String {
        // One that has ended already is as good.
        let _ = self.child.kill().await;
        let bytes = self.complaints.await.unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
