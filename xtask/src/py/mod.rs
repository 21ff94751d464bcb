//! `cargo xtask py [--sdist]`: the Python package, built into a virtual environment under the target folder, tested and checked; then a wheel
//! for each other Python of this machine, tried by a small program.
//!
//! What it needs besides is pinned in `ohmqtt-py/requirements-dev.txt` and installed there, anew when that file changes. With `--sdist` it
//! also builds the source distribution, and a wheel from nothing else. Its reference is built by `cargo xtask docs`.

mod others;
mod sdist;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lexopt::{Arg, Parser};

use crate::debian::{self, MOSQUITTO};
use crate::error::{Error, Result, failed};
use crate::project::{self, program, root, succeeds, target};

const PROGRAMS: &str = if cfg!(windows) { "Scripts" } else { "bin" };

/// The task.
pub(crate) fn run(args: &mut Parser) -> Result {
    let mut from_sdist = false;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("sdist") => from_sdist = true,
            other => return Err(other.unexpected().into()),
        }
    }
    others::try_each(&check()?)?;
    if from_sdist { distributions() } else { Ok(()) }
}

/// Builds, tests and checks the package, in the environment that it gives.
pub(crate) fn check() -> Result<Venv> {
    let venv = developed()?;
    pytest(&venv)?;
    venv.run("python", "-m mypy")?;
    venv.run("python", "-m mypy.stubtest ohmqtt --concise")?;
    venv.run("ruff", "check --no-cache .")?;
    venv.run("ruff", "format --no-cache --check .")?;
    Ok(venv)
}

/// The environment with the package in it, and what its tests need.
pub(crate) fn developed() -> Result<Venv> {
    // The package's broker is tested with Mosquitto's clients.
    if cfg!(unix) {
        debian::provide(&MOSQUITTO)?;
    }
    let venv = Venv::provide()?;
    venv.develop()?;
    Ok(venv)
}

/// Runs the package's tests, in several processes.
pub(crate) fn pytest(venv: &Venv) -> Result {
    let at_once = project::tests_at_once();
    venv.run(
        "python",
        &format!("-m pytest --quiet --numprocesses {at_once}"),
    )
}

/// Builds the package's reference, where a warning is an error, and gives the folder that it is in.
pub(crate) fn reference() -> Result<(Venv, PathBuf)> {
    let venv = Venv::provide()?;
    venv.develop()?;
    let to = folder("docs");
    let mut sphinx = venv.program("python");
    sphinx.args(["-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-d"]);
    project::run(sphinx.arg(folder("doctrees")).arg("docs").arg(&to))?;
    Ok((venv, to))
}

/// Builds what the package is shipped as: the source distribution, and a wheel of it that is tried.
pub(crate) fn distributions() -> Result {
    sdist::build(&Venv::provide()?)
}

/// A virtual environment with the tools in it.
pub(crate) struct Venv(PathBuf);

impl Venv {
    fn provide() -> Result<Self> {
        Self::provide_in("py", &root().join("ohmqtt-py/requirements-dev.txt"))
    }

    /// The one of this name under the target folder, with what is required in it.
    pub(crate) fn provide_in(name: &str, requirements: &Path) -> Result<Self> {
        let venv = Self(target().join(name));
        let installed = venv.0.join(requirements.file_name().unwrap_or_default());
        let wanted = read(requirements)?;
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
        project::run(pip.arg("--requirement").arg(requirements))?;
        fs::write(&installed, wanted)
            .map_err(|error| Error::Failed(format!("{}: {error}", installed.display())))?;
        Ok(venv)
    }

    /// Where a program of the environment is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(PROGRAMS).join(name)
    }

    /// Builds the package as it is released, and installs it here.
    pub(crate) fn install_release(&self) -> Result {
        let tools = Self::provide()?;
        let wheels = folder("release");
        let mut build = tools.program("maturin");
        build.args(["build", "--release", "--locked", "--quiet"]);
        build.args(["--compatibility", "linux", "--interpreter"]);
        project::run(build.arg(self.path("python")).arg("--out").arg(&wheels))?;
        let mut pip = self.program("python");
        pip.args(["-m", "pip", "install", "--quiet", "--no-input"]);
        pip.args(["--disable-pip-version-check", "--no-index", "--no-deps"]);
        project::run(
            pip.arg("--force-reinstall")
                .arg(newest(&wheels, &[".whl"])?),
        )
    }

    /// A program of the environment, to run in the package's folder.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = program(self.path(name));
        command.current_dir(root().join("ohmqtt-py"));
        // maturin looks for the environment here, and stubtest for the package by what is installed.
        command.env("VIRTUAL_ENV", &self.0).env_remove("PYTHONPATH");
        command
    }

    /// Builds the package into the environment, on what the tests of the other crates are built on: nothing of it is built again.
    fn develop(&self) -> Result {
        self.run(
            "maturin",
            "develop --profile ci --features as-tests --locked --quiet",
        )
    }

    /// Runs a program with `args`, which are separated by spaces.
    fn run(&self, name: &str, args: &str) -> Result {
        project::run(self.program(name).args(args.split_ascii_whitespace()))
    }

    /// Installs `wheel` in a virtual environment of its own that `python` makes, and runs the small program there.
    fn try_wheel(&self, wheel: &Path, python: &Path) -> Result {
        let away = folder("smoke");
        let mut make = program(python);
        make.args(["-m", "venv", "--clear", "--without-pip"]);
        project::run(make.arg(&away))?;
        let mut pip = self.program("python");
        pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check"]);
        pip.arg("--python").arg(&away);
        pip.args(["install", "--no-index", "--no-deps", "--no-compile"]);
        project::run(pip.arg(wheel))?;
        let mut smoke = program(away.join(PROGRAMS).join("python"));
        // Away from the sources, so that what is installed is what is imported.
        smoke.current_dir(&away).env_remove("PYTHONPATH");
        smoke.args(["-I", "-W", "error"]);
        project::run(smoke.arg(root().join("ohmqtt-py/tests/smoke.py")))
    }
}

/// A folder for what this task makes beside its environment.
fn folder(name: &str) -> PathBuf {
    target().join("py-out").join(name)
}

/// The newest file in `folder` whose name has all of `parts`.
fn newest(folder: &Path, parts: &[&str]) -> Result<PathBuf> {
    let found = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            parts
                .iter()
                .all(|part| name.to_string_lossy().contains(part))
        })
        .max_by_key(|entry| entry.metadata().and_then(|data| data.modified()).ok());
    match found {
        Some(entry) => Ok(entry.path()),
        None => failed(format!("no {} in {}", parts.join("*"), folder.display())),
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
