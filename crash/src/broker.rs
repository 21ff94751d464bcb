//! The broker of a line, started again and again on what it has kept.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::Result;
use crate::line::{BrokerKind, Choice, StoreKind};
use crate::process::{Process, Voice};
use crate::role;
use crate::trace::Trace;

/// How long a broker may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often Mosquitto is given another port when somebody else was faster.
const PORTS: usize = 20;

/// How long it waits for its own port.
const AGAIN: Duration = Duration::from_millis(100);

/// A broker, running or not.
#[derive(Debug)]
pub(crate) struct Broker {
    kind: BrokerKind,
    store: StoreKind,
    folder: PathBuf,
    trace: Trace,
    process: Option<Process>,
    place: Place,
    /// Mosquitto keeps nothing when it ends.
    forgetful: bool,
}

/// Where Mosquitto listens when it is started.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// At any free port, each time.
    Anywhere,
    /// Where it listened the first time, once there was one.
    OnePort(Option<u16>),
}

impl Broker {
    pub(crate) fn new(kind: BrokerKind, store: StoreKind, folder: &Path, trace: &Trace) -> Self {
        Self {
            kind,
            store,
            folder: folder.to_owned(),
            trace: trace.clone(),
            process: None,
            place: Place::Anywhere,
            forgetful: false,
        }
    }

    /// From its second start on Mosquitto listens where it listened before.
    pub(crate) fn stay_at_one_port(&mut self) {
        self.place = Place::OnePort(None);
    }

    /// Mosquitto is to keep nothing when it ends.
    pub(crate) fn forget_all(&mut self) {
        self.forgetful = true;
    }

    /// Starts it, and returns where it listens once it does.
    pub(crate) async fn start(&mut self) -> Result<SocketAddr> {
        match self.kind {
            BrokerKind::Ohmqtt => self.start_ours().await,
            BrokerKind::Mosquitto => self.start_mosquitto().await,
        }
    }

    /// Ends it: ours as a crash does. Mosquitto acknowledges before it saves, so it is asked to end, and saves then.
    pub(crate) async fn stop(&mut self) -> Result {
        let Some(process) = self.process.take() else {
            return Ok(());
        };
        match self.kind {
            BrokerKind::Ohmqtt => process.kill().await?,
            BrokerKind::Mosquitto => {
                let status = timeout(PATIENCE, process.terminate()).await;
                let status = status.map_err(|_| "mosquitto does not end")??;
                if !status.success() {
                    return Err(format!("mosquitto ended with {status}").into());
                }
            }
        }
        Ok(())
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Why it does not run any more, if it has ended by itself.
    pub(crate) fn fault(&mut self) -> Result {
        match &mut self.process {
            Some(process) => match process.try_ended()? {
                Some(status) => Err(format!("the broker ended by itself: {status}").into()),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    async fn start_ours(&mut self) -> Result<SocketAddr> {
        let mut command = role::command("broker")?;
        command.arg("--store").arg(Choice(self.store).to_string());
        command.arg("--path").arg(self.folder.join("broker.store"));
        let (process, said) = self.run(command, Voice::Stdout, "mqtt://").await?;
        self.process = Some(process);
        let said = said.ok_or("the broker does not start")?;
        Ok(said.trim_start_matches("mqtt://").parse()?)
    }

    async fn start_mosquitto(&mut self) -> Result<SocketAddr> {
        for _ in 0..PORTS {
            let port = match self.place {
                Place::OnePort(Some(port)) => port,
                _ => 0,
            };
            // The port may still be somebody else's for a moment: one of ours that is about to connect.
            let Ok(free) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) else {
                sleep(AGAIN).await;
                continue;
            };
            let address = free.local_addr()?;
            drop(free);
            let conf = self.folder.join("mosquitto.conf");
            let said = configuration(address.port(), &self.folder, !self.forgetful);
            fs::write(&conf, said)?;
            let mut command = Command::new(mosquitto()?);
            command.arg("-c").arg(conf);
            let (process, said) = self.run(command, Voice::Stderr, " running").await?;
            self.process = Some(process);
            if said.is_some() {
                if let Place::OnePort(port) = &mut self.place {
                    *port = Some(address.port());
                }
                return Ok(address);
            }
        }
        Err("mosquitto does not start".into())
    }

    /// Starts it and waits for a line with these words; `None` if it has ended instead.
    async fn run(
        &self,
        command: Command,
        voice: Voice,
        words: &'static str,
    ) -> Result<(Process, Option<String>)> {
        let (ready, mut is_ready) = mpsc::unbounded_channel();
        let hear = move |line: &str| {
            if line.contains(words) {
                let _ = ready.send(line.to_owned());
            }
        };
        let who = "broker".to_owned();
        let process = Process::start(command, who, voice, &self.folder, &self.trace, hear)?;
        let said = timeout(PATIENCE, is_ready.recv()).await;
        Ok((process, said.map_err(|_| "the broker does not start")?))
    }
}

/// Of messages in flight beyond `max_inflight_messages` Mosquitto 2.0.11 forgets, as it is started again, whether they were released, and
/// without that bound (0, or 65,535) of all of them. So there is a bound, which nobody reaches: see `plan`.
fn configuration(port: u16, folder: &Path, persistence: bool) -> String {
    let folder = folder.display();
    // Started as root it would become a user who cannot read the folder.
    format!(
        "listener {port} 127.0.0.1\nuser root\nallow_anonymous true\nset_tcp_nodelay true\n\
         persistence {persistence}\npersistence_location {folder}/\nautosave_interval 0\n\
         max_inflight_messages 10000\nmax_queued_messages 0\nmax_queued_bytes 0\n\
         log_dest stderr\nlog_type error\nlog_type warning\nlog_type notice\nlog_type information\n"
    )
}

/// Daemons stand in folders that are only in root's `PATH`.
fn mosquitto() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let daemons = ["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(daemons)
        .map(|folder| folder.join("mosquitto"))
        .find(|path| path.is_file())
        .ok_or_else(|| "mosquitto not found: install it (Debian: apt-get install mosquitto)".into())
}
