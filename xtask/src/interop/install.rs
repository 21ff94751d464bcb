//! What the peers need, each of the kind of installer that has it: Debian's packages, npm, pip.
//!
//! npm and pip install what a lock file names into folders of this checkout, once: until the file changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian::{self, Need};
use crate::error::{Error, Result, failed};
use crate::project::{program, root, run, target};

const NODE: Need = Need {
    programs: &["node", NPM],
    packages: "nodejs npm",
};

const CHROMIUM: Need = Need {
    programs: &["chromium"],
    packages: "chromium",
};

/// Where a browser of its kind is called something else.
const BROWSERS: &[&str] = &[
    "chromium",
    "chromium-browser",
    "google-chrome",
    "chrome",
    "msedge",
];

/// Without the broker of that name. `stdbuf` is there with Debian.
pub(super) const MOSQUITTO_CLIENTS: Need = Need {
    programs: &["mosquitto_pub", "mosquitto_sub", "stdbuf"],
    packages: "mosquitto-clients coreutils",
};

const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };
const IN_VENV: &str = if cfg!(windows) {
    "Scripts/python.exe"
} else {
    "bin/python"
};

/// Node.js by its path, with the packages of `interop/mqttjs`.
pub(crate) struct Node(PathBuf);

impl Node {
    pub(crate) fn provide() -> Result<Self> {
        let node = find(&NODE)?;
        let folder = root().join("interop/mqttjs");
        let lock = folder.join("package-lock.json");
        once(&lock, &folder.join("node_modules"), || {
            let mut npm = program(NPM);
            npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
            run(npm.args(["--loglevel", "error"]).current_dir(&folder))
        })?;
        Ok(Self(node))
    }

    /// Where it is.
    pub(crate) fn program(&self) -> &Path {
        &self.0
    }

    /// A script of that folder.
    pub(super) fn script(&self, name: &str) -> Command {
        let mut node = program(&self.0);
        node.arg(format!("interop/mqttjs/{name}"));
        node
    }
}

/// A Chromium, by its path.
pub(super) struct Chromium(pub(super) PathBuf);

impl Chromium {
    pub(super) fn provide() -> Result<Self> {
        if let Some(path) = debian::first(BROWSERS) {
            return Ok(Self(path));
        }
        find(&CHROMIUM).map(Self)
    }
}

/// An interpreter of Python with the packages of `interop/python`, by its path.
pub(super) struct Python(pub(super) PathBuf);

impl Python {
    pub(super) fn provide() -> Result<Self> {
        debian::provide_python()?;
        let folder = target().join("interop/python");
        let python = folder.join(IN_VENV);
        let lock = root().join("interop/python/requirements.txt");
        once(&lock, &folder, || {
            run(program("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&folder))?;
            let mut pip = program(&python);
            pip.args(["-m", "pip", "install", "--quiet", "--no-input"]);
            pip.args([
                "--disable-pip-version-check",
                "--require-hashes",
                "--requirement",
            ]);
            run(pip.arg(&lock))
        })?;
        Ok(Self(python))
    }
}

/// The first program of `need`, by its path.
fn find(need: &Need) -> Result<PathBuf> {
    debian::provide(need)?;
    match debian::first(need.programs) {
        Some(path) => Ok(path),
        None => failed(format!("{} not found", need.programs.join(", "))),
    }
}

/// Runs `install`, which fills `folder` with what `lock` names, unless the last run that succeeded was for the same `lock`.
fn once(lock: &Path, folder: &Path, install: impl FnOnce() -> Result) -> Result {
    let broken = |error| Error::Failed(format!("{}: {error}", lock.display()));
    let wanted = fs::read(lock).map_err(broken)?;
    let stamp = folder.join("installed.lock");
    if fs::read(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    eprintln!("xtask: installing what {} names", lock.display());
    // What begins anew is not finished.
    let _ = fs::remove_file(&stamp);
    install()?;
    fs::write(&stamp, wanted).map_err(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_lock_file_names_is_installed_once_and_again_when_it_changes() {
        let folder = target().join("interop/test-of-once");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let lock = folder.join("lock");
        let installs = |result: Result| {
            let mut was_run = false;
            let end = once(&lock, &folder, || {
                was_run = true;
                result
            });
            (was_run, end.is_ok())
        };
        fs::write(&lock, "1").unwrap();
        assert_eq!(installs(failed("no network")), (true, false));
        assert_eq!(installs(Ok(())), (true, true));
        assert_eq!(installs(Ok(())), (false, true));
        fs::write(&lock, "2").unwrap();
        assert_eq!(installs(failed("no network")), (true, false));
        assert_eq!(installs(Ok(())), (true, true));
        fs::remove_dir_all(&folder).unwrap();
    }
}
