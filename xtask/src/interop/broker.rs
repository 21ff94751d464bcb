//! The broker under test: the example `broker` with every feature, at a free port of each transport; and the examples of
//! our client that some peers meet there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::script::Script;
use crate::error::{Error, Result, failed};
use crate::project::{self, cargo, program, target};

const SCHEMES: &[&str] = &["mqtt", "mqtts", "ws", "wss", "quic"];

/// A running broker, which ends with this value, and a folder of its own.
pub(super) struct Broker {
    folder: PathBuf,
    urls: Vec<String>,
    _process: Script,
}

impl Broker {
    /// Builds it, has `python` make its certificates, and waits until it listens.
    pub(super) fn start(python: &Path) -> Result<Self> {
        // As the tests build it, so that after them nothing is left to do.
        project::run(&mut cargo(
            "build --quiet --workspace --all-features --profile ci --example broker --example publish --example subscribe",
        ))?;
        let folder = target().join("interop/broker");
        let made = fs::remove_dir_all(&folder)
            .or_else(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })
            .and_then(|()| fs::create_dir_all(&folder));
        made.map_err(|error| Error::Failed(format!("{}: {error}", folder.display())))?;
        let mut identity = program(python);
        project::run(identity.arg("interop/python/identity.py").arg(&folder))?;

        let example = format!("broker{}", std::env::consts::EXE_SUFFIX);
        let mut command = program(Self::examples().join(example));
        command.arg("--identity");
        command.args([folder.join("chain.pem"), folder.join("key.pem")]);
        command.args(
            SCHEMES
                .iter()
                .map(|scheme| format!("{scheme}://127.0.0.1:0")),
        );
        let mut process = Script::start("the broker", &mut command)?;
        let mut urls = Vec::new();
        while urls.len() < SCHEMES.len() {
            match process.line()? {
                Some(url) => urls.push(url),
                None => return failed("the broker did not start"),
            }
        }
        Ok(Self {
            folder,
            urls,
            _process: process,
        })
    }

    /// A file of its folder: `ca.pem`, `chain.pem`, or one that a peer makes.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where `publish` and `subscribe` stand.
    pub(super) fn examples() -> PathBuf {
        target().join("ci/examples")
    }

    /// Adds where it listens by each of `schemes` to the arguments of a script.
    pub(super) fn urls(&self, schemes: &[&str], script: &mut Command) -> Result {
        for scheme in schemes {
            let is_it = |url: &&String| url.split(':').next() == Some(scheme);
            match self.urls.iter().find(is_it) {
                Some(url) => script.arg(url),
                None => return failed(format!("the broker does not listen at {scheme}")),
            };
        }
        Ok(())
    }
}
