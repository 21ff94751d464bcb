//! `cargo xtask interop [PEER...]`: clients that others have written talk to our broker, each over what it speaks.
//!
//! What a peer does is a script in the folder `interop`; it says a line for each check, which ends in ` ok` or says what
//! went wrong. Here stands which peers there are, what they need, and the count. What is missing is installed: programs
//! from Debian's packages as root (elsewhere the task says what to install), libraries by npm and pip in the versions of
//! their lock files, for this checkout alone.

mod broker;
mod install;
mod script;

use std::path::PathBuf;
use std::process::Command;

use lexopt::{Arg, Parser};

pub(crate) use self::install::Node;

use self::broker::Broker;
use self::install::{Chromium, MOSQUITTO_CLIENTS, Python};
use self::script::{Script, Tally};
use crate::debian;
use crate::error::{Error, Result, failed};
use crate::project::program;

/// Somebody else's client.
struct Peer {
    name: &'static str,
    /// How many lines its script says: one that ends early has failed.
    checks: usize,
    /// Installs what it needs and gives its script.
    script: fn(&Rig) -> Result<Command>,
}

const PEERS: &[Peer] = &[
    Peer {
        name: "mqtt.js",
        checks: 18,
        script: |rig| {
            let mut script = Node::provide()?.script("node.js");
            script.arg(rig.broker.file("ca.pem"));
            script.arg(Broker::examples());
            rig.broker
                .urls(&["mqtt", "mqtts", "ws", "wss"], &mut script)?;
            Ok(script)
        },
    },
    Peer {
        name: "chromium",
        checks: 8,
        script: |rig| {
            let chromium = Chromium::provide()?;
            let mut script = Node::provide()?.script("chromium.js");
            script.arg(chromium.0).arg(rig.broker.file("chain.pem"));
            script.arg(rig.broker.file("profile"));
            rig.broker.urls(&["ws", "wss"], &mut script)?;
            Ok(script)
        },
    },
    Peer {
        name: "aioquic",
        checks: 4,
        script: |rig| {
            let mut script = program(&rig.python);
            script
                .arg("interop/python/aioquic_peer.py")
                .arg(rig.broker.file("ca.pem"));
            rig.broker.urls(&["quic"], &mut script)?;
            Ok(script)
        },
    },
    Peer {
        name: "mosquitto",
        checks: 10,
        script: |rig| {
            debian::provide(&MOSQUITTO_CLIENTS)?;
            rig.exchange("mosquitto_peer.py")
        },
    },
    Peer {
        name: "paho",
        checks: 10,
        script: |rig| rig.exchange("paho_peer.py"),
    },
    Peer {
        name: "gmqtt",
        checks: 10,
        script: |rig| rig.exchange("gmqtt_peer.py"),
    },
];

/// What every peer finds.
struct Rig {
    broker: Broker,
    /// An interpreter that has the libraries of the peers, and what makes certificates.
    python: PathBuf,
}

impl Rig {
    /// A script that does what `interop/python/exchange.py` asks for.
    fn exchange(&self, script: &str) -> Result<Command> {
        let mut python = program(&self.python);
        python
            .arg(format!("interop/python/{script}"))
            .arg(self.broker.file("ca.pem"))
            .arg(Broker::examples());
        self.broker.urls(&["mqtt", "mqtts"], &mut python)?;
        Ok(python)
    }
}

/// Runs the peers that are named, or all, and says how many checks failed.
pub(crate) fn run(args: &mut Parser) -> Result {
    let peers = asked(args)?;
    let python = Python::provide()?.0;
    let rig = Rig {
        broker: Broker::start(&python)?,
        python,
    };
    let mut total = Tally::default();
    for peer in peers {
        let mut script = Script::start(peer.name, &mut (peer.script)(&rig)?)?;
        total += script.judge(peer.checks, |line| println!("interop: {line}"));
    }
    println!(
        "interop: {} checks, {} failures",
        total.checks, total.failures
    );
    if total.failures == 0 {
        Ok(())
    } else {
        failed(format!("{} failures", total.failures))
    }
}

fn asked(args: &mut Parser) -> Result<Vec<&'static Peer>> {
    let mut peers = Vec::new();
    while let Some(arg) = args.next()? {
        let Arg::Value(name) = arg else {
            return Err(arg.unexpected().into());
        };
        let known = || {
            PEERS
                .iter()
                .map(|peer| peer.name)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let peer = PEERS.iter().find(|peer| name == peer.name);
        peers.push(peer.ok_or_else(|| {
            Error::Usage(format!(
                "there is no peer {}; there are: {}",
                name.display(),
                known()
            ))
        })?);
    }
    Ok(if peers.is_empty() {
        PEERS.iter().collect()
    } else {
        peers
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_peers_are_asked_unless_some_are_named() {
        let names = |args: &[&str]| -> Vec<&str> {
            let peers = asked(&mut Parser::from_args(args)).unwrap();
            peers.iter().map(|peer| peer.name).collect()
        };
        assert_eq!(names(&[]).len(), PEERS.len());
        assert_eq!(names(&["aioquic"]), ["aioquic"]);
    }

    #[test]
    fn a_peer_that_is_not_there_is_a_usage_error() {
        let Err(Error::Usage(message)) = asked(&mut Parser::from_args(["pigeon"])).map(|_| ())
        else {
            panic!("it should be refused");
        };
        assert_eq!(
            message,
            "there is no peer pigeon; there are: mqtt.js, chromium, aioquic, mosquitto, paho, gmqtt"
        );
    }
}
