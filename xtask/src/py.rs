//! `cargo xtask py`: the Python package, built into a virtual environment under the target folder, tested and checked.
//!
//! What it needs besides is pinned in `ohmqtt-py/requirements-dev.txt` and installed there, anew when that file changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lexopt::Parser;

use crate::debian::{self, MOSQUITTO};
use crate::error::{Error, Result, no_more};
use crate::project::{self, program, root, succeeds, target};

const PROGRAMS: &str = if cfg!(windows) { "Scripts" } else { "bin" };

/// Builds, tests and checks the package.
pub(crate) fn run(args: &mut Parser) -> Result {
    no_more(args)?;
    // The package's broker is tested with Mosquitto's clients.
    if cfg!(unix) {
        debian::provide(&MOSQUITTO)?;
    }
    let venv = Venv::provide()?;
    // As cargo's own steps: what one of them has built is not built again.
    venv.run("maturin", "develop --profile ci --locked --quiet")?;
    venv.run("python", "-m pytest --quiet")?;
    venv.run("python", "-m mypy")?;
    venv.run("python", "-m mypy.stubtest ohmqtt --concise")?;
    venv.run("ruff", "check --no-cache .")?;
    venv.run("ruff", "format --no-cache --check .")
}

/// A virtual environment with the tools in it.
struct Venv(PathBuf);

impl Venv {
    fn provide() -> Result<Self> {
        let venv = Self(target().join("py"));
        let requirements = root().join("ohmqtt-py/requirements-dev.txt");
        let installed = venv.0.join("requirements-dev.txt");
        let wanted = read(&requirements)?;
        let is_whole = fs::read_to_string(&installed).is_ok_and(|text| text == wanted);
        if is_whole && succeeds(venv.program("python").arg("--version")) {
            return Ok(venv);
        }
        if cfg!(unix) {
            debian::provide_python()?;
        }
        project::run(
            program(python())
                .args(["-m", "venv", "--clear"])
                .arg(&venv.0),
        )?;
        let mut pip = venv.program("python");
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
        ]);
        project::run(pip.arg("--requirement").arg(&requirements))?;
        fs::write(&installed, wanted)
            .map_err(|error| Error::Failed(format!("{}: {error}", installed.display())))?;
        Ok(venv)
    }

    /// A program of the environment, to run in the package's folder.
    fn program(&self, name: &str) -> Command {
        let programs = self.0.join(PROGRAMS);
        let mut command = program(programs.join(name));
        command.current_dir(root().join("ohmqtt-py"));
        // maturin looks for the environment here, and stubtest for the package by what is installed.
        command.env("VIRTUAL_ENV", &self.0).env_remove("PYTHONPATH");
        command
    }

    /// Runs a program with `args`, which are separated by spaces.
    fn run(&self, name: &str, args: &str) -> Result {
        project::run(self.program(name).args(args.split_ascii_whitespace()))
    }
}

/// The interpreter to make the environment with.
fn python() -> &'static str {
    if succeeds(program("python3").arg("--version")) {
        "python3"
    } else {
        "python"
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| Error::Failed(format!("{}: {error}", path.display())))
}
