//! What the scenarios have in common: a broker of ours in this process, and two clients of ours in another one, on the other host.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use ohmqtt_broker::{Broker, Limits};
use ohmqtt_client::Client;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::held::Held;
use super::hosts::{BROKER, Hosts};
use super::sum::Sum;
use super::traffic::Traffic;
use crate::process::{Process, Voice};
use crate::trace::Trace;
use crate::{Result, role};

/// How long what has to happen may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// Where a scenario runs, and how.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    pub(super) folder: &'a Path,
    pub(super) trace: Trace,
    pub(super) seed: u64,
    /// QoS 1, where a message may come twice: this has to be found.
    pub(super) planted: bool,
    /// Where there are two.
    pub(super) hosts: Option<Hosts>,
}

impl Stage<'_> {
    pub(super) fn hosts(&mut self) -> Result<&mut Hosts> {
        Ok(self.hosts.as_mut().ok_or("there is only one host")?)
    }

    /// Who is told what happens in this process.
    pub(super) fn say(&self) -> impl Fn(&str) + Clone + Send + 'static + use<> {
        let trace = self.trace.clone();
        move |line| trace.note("clients", line)
    }
}

/// A broker that runs.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) broker: Broker,
    /// What was held before it was started, and when it had been.
    nothing: Held,
    idle: Held,
}

impl Site {
    /// Starts it where the clients can reach it.
    pub(super) async fn start(stage: &Stage<'_>, limit: impl FnOnce(&mut Limits)) -> Result<Self> {
        let nothing = Held::now()?;
        let host = if stage.hosts.is_some() {
            BROKER.to_owned()
        } else {
            Ipv4Addr::LOCALHOST.to_string()
        };
        let mut limits = Limits::default();
        limit(&mut limits);
        let builder = Broker::builder()
            .listen(format!("mqtt://{host}:0"))
            .limits(limits);
        let broker = builder.insecure_allow_anonymous().start().await?;
        // Once it has had a client, all that it does without one is under way.
        let first = Client::connect(broker.url()).await?;
        first.close(PATIENCE).await;
        drop(first);
        let mut site = Self {
            broker,
            nothing,
            idle: nothing,
        };
        site.until_connected(0).await?;
        site.idle = Held::settled().await?;
        Ok(site)
    }

    /// Where it listens, for a proxy.
    pub(super) fn address(&self) -> Result<SocketAddr> {
        Ok(self.broker.url().trim_start_matches("mqtt://").parse()?)
    }

    pub(super) fn connected(&self) -> usize {
        self.broker.metrics().connected
    }

    /// Waits until so many clients are connected.
    pub(super) async fn until_connected(&self, clients: usize) -> Result {
        let is_so = async {
            while self.connected() != clients {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, is_so).await.map_err(|_| {
            let connected = self.connected();
            format!("the broker has {connected} clients, and not {clients}").into()
        })
    }

    /// How much more is held by a broker that has no clients than before it had some.
    pub(super) async fn leaked(&self) -> Result<u64> {
        self.until_connected(0).await?;
        Ok(self.idle.leaked().await? as u64)
    }

    /// Ends it, and enters what it holds all the same.
    pub(super) async fn end(self, sum: &mut Sum) -> Result {
        sum.leaks += self.leaked().await?;
        self.broker.shutdown(Duration::from_secs(5)).await;
        sum.leaks += self.nothing.leaked().await? as u64;
        Ok(())
    }
}

/// What both clients have said so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    pub(super) ready: bool,
    pub(super) published: u64,
    pub(super) connected: u64,
    /// Connections that ended because nothing was heard any more, and all others.
    pub(super) silent: u64,
    pub(super) ended: u64,
    /// Attempts that failed.
    pub(super) failed: u64,
    pub(super) drained: bool,
    sum: Option<Sum>,
}

impl Heard {
    fn hear(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "ready" => self.ready = true,
            "published" => self.published = rest.parse().unwrap_or(self.published),
            "connected" => self.connected += 1,
            "silent" => self.silent += 1,
            "ended" => self.ended += 1,
            "failed" => self.failed += 1,
            "drained" => self.drained = true,
            "sum" => self.sum = rest.parse().ok(),
            _ => {}
        }
    }
}

/// The process of both clients.
pub(super) struct Clients {
    process: Process,
    heard: watch::Receiver<Heard>,
}

impl Clients {
    /// Starts it on the second host.
    pub(super) fn start(stage: &Stage<'_>, traffic: &Traffic) -> Result<Self> {
        let hosts = stage.hosts.as_ref().ok_or("there is only one host")?;
        let mut command = hosts.command(std::env::current_exe()?)?;
        command.arg(role::CLIENTS).args(traffic.args());
        let (send, heard) = watch::channel(Heard::default());
        let hear = move |line: &str| send.send_modify(|heard| heard.hear(line));
        let process = Process::start(
            command,
            role::CLIENTS.to_owned(),
            Voice::Stdout,
            stage.folder,
            &stage.trace,
            hear,
        )?;
        Ok(Self { process, heard })
    }

    pub(super) fn heard(&self) -> Heard {
        self.heard.borrow().clone()
    }

    /// Waits until it is so.
    ///
    /// # Errors
    /// When it does not happen, or they have ended.
    pub(super) async fn until(
        &mut self,
        what: &str,
        is_so: impl FnMut(&Heard) -> bool,
    ) -> Result<Heard> {
        match timeout(PATIENCE, self.heard.wait_for(is_so)).await {
            Ok(Ok(heard)) => Ok(heard.clone()),
            Ok(Err(_)) => Err(format!("the clients ended before {what}").into()),
            Err(_) => Err(format!("{what} is waited for in vain").into()),
        }
    }

    pub(super) async fn kill(self) -> Result {
        Ok(self.process.kill().await?)
    }

    /// Waits for their sum, and until they have ended.
    pub(super) async fn sum(mut self) -> Result<Sum> {
        let heard = self.until("their sum", |heard| heard.sum.is_some()).await?;
        let status = self.process.ended().await?;
        if !status.success() {
            return Err(format!("the clients ended with {status}").into());
        }
        Ok(heard.sum.unwrap_or_default())
    }
}
