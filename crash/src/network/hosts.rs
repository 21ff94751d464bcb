//! Two hosts on one machine: network namespaces, joined by a pair of virtual interfaces, and the rules of nftables on both.
//!
//! The first namespace is that of this process, which was started in it; the second one is held by a process that ends with this one.
//! Nobody else knows of either, so both are gone, with their interfaces and rules, when their processes are, however those end.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::Result;

/// The broker's address, and the first one of the clients.
pub(super) const BROKER: &str = "10.77.0.1";
const CLIENTS: u8 = 2;

/// On which host packets are dropped as they come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Broker,
    Clients,
}

pub(super) const BOTH: [At; 2] = [At::Broker, At::Clients];

#[derive(Debug)]
pub(super) struct Hosts {
    keeper: Child,
    /// The last byte of the clients' address.
    address: u8,
    _leash: Option<ChildStdin>,
}

/// Runs this program with these arguments once more, in a network namespace of its own, and gives what it ended with.
///
/// # Errors
/// When there is no such namespace to be had.
pub(super) fn run_inside(args: &[String]) -> Result<std::process::ExitStatus> {
    let unshare = || std::process::Command::new("unshare");
    let may = unshare()
        .args(["--net", "true"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !may.is_ok_and(|status| status.success()) {
        return Err(
            "network namespaces are made by root on Linux, with unshare of util-linux".into(),
        );
    }
    let mut inside = unshare();
    inside.args(["--net", "--"]).arg(std::env::current_exe()?);
    // Its standard input ends with this process, and it with that.
    let mut inside = inside.args(args).stdin(Stdio::piped()).spawn()?;
    let _leash = inside.stdin.take();
    Ok(inside.wait()?)
}

impl Hosts {
    /// Makes the second host and what joins the two.
    pub(super) async fn new() -> Result<Self> {
        let mut keeper = Command::new("unshare");
        keeper.args(["--net", "--", "sh", "-c", "echo up; read -r _"]);
        keeper.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = keeper.kill_on_drop(true).spawn()?;
        let leash = keeper.stdin.take();
        if let Some(stdout) = keeper.stdout.take() {
            // From then on it is there.
            BufReader::new(stdout).lines().next_line().await?;
        }
        let hosts = Self {
            keeper,
            address: CLIENTS,
            _leash: leash,
        };
        let keeper = hosts.keeper()?;
        for line in [
            "ip link set lo up".to_owned(),
            "ip link add broker type veth peer name clients".to_owned(),
            format!("ip link set clients netns {keeper}"),
            format!("ip address add {BROKER}/24 dev broker"),
            "ip link set broker up".to_owned(),
        ] {
            hosts.run(At::Broker, &line).await?;
        }
        for line in [
            "ip link set lo up".to_owned(),
            format!("ip address add {} dev clients", hosts.address()),
            "ip link set clients up".to_owned(),
        ] {
            hosts.run(At::Clients, &line).await?;
        }
        Ok(hosts)
    }

    /// A program on the second host.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Result<Command> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.keeper()?));
        command.arg("--").arg(program);
        Ok(command)
    }

    /// From now on packets that come in there and for which this is true are dropped; all of them without anything.
    pub(super) async fn drop_packets(&self, at: &[At], which: &str) -> Result {
        for at in at {
            for line in [
                "nft add table inet weather".to_owned(),
                "nft add chain inet weather incoming { type filter hook input priority 0 ; }"
                    .to_owned(),
                format!("nft add rule inet weather incoming {which} counter drop"),
            ] {
                self.run(*at, &line).await?;
            }
        }
        Ok(())
    }

    /// Lets all packets pass again, and tells how many were dropped.
    pub(super) async fn pass_packets(&self, at: &[At]) -> Result<u64> {
        let mut dropped = 0;
        for at in at {
            let rules = self.run(*at, "nft list table inet weather").await?;
            match counted(&rules) {
                Some(0) => return Err(format!("no packet was dropped: {rules}").into()),
                Some(count) => dropped += count,
                None => return Err("nft does not tell how many packets were dropped".into()),
            }
            self.run(*at, "nft delete table inet weather").await?;
        }
        Ok(dropped)
    }

    /// Gives the clients' host another address in the place of the one it has.
    pub(super) async fn change_address(&mut self) -> Result {
        let old = format!("ip address del {} dev clients", self.address());
        self.run(At::Clients, &old).await?;
        self.address += 1;
        let new = format!("ip address add {} dev clients", self.address());
        self.run(At::Clients, &new).await.map(drop)
    }

    fn address(&self) -> String {
        format!("10.77.0.{}/24", self.address)
    }

    fn keeper(&self) -> Result<u32> {
        Ok(self.keeper.id().ok_or("the clients' host is gone")?)
    }

    /// Runs a command line on one of the hosts, and gives what it says.
    async fn run(&self, at: At, line: &str) -> Result<String> {
        let mut words = line.split(' ');
        let program = words.next().unwrap_or_default();
        let mut command = match at {
            At::Broker => Command::new(program),
            At::Clients => self.command(program)?,
        };
        let output = command.args(words).stdin(Stdio::null()).output().await;
        let output = output.map_err(|error| format!("{line}: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let why = String::from_utf8_lossy(&output.stderr);
        Err(format!("{line}: {}", why.trim()).into())
    }
}

/// How many packets the rule has dropped, as nft lists it.
fn counted(rules: &str) -> Option<u64> {
    let (_, behind) = rules.split_once("counter packets ")?;
    behind.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_dropped_packets_is_read_from_the_rule() {
        let rules = "chain incoming {\n type filter hook input priority filter; policy accept;\n \
            numgen random mod 100 < 10 counter packets 31 bytes 2912 drop\n}";
        assert_eq!(counted(rules), Some(31));
        assert_eq!(counted("table inet weather {}"), None);
    }
}
