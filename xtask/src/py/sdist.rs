//! The source distribution: built, and then a wheel from what is in it and nothing else.

use std::env;
use std::fs;

use super::{PROGRAMS, Venv, folder, newest};
use crate::error::{Error, Result};
use crate::project::{self, target};

/// Builds the source distribution, a wheel of it, and tries that.
pub(super) fn build(venv: &Venv) -> Result {
    let to = folder("sdist");
    if to.exists() {
        fs::remove_dir_all(&to)
            .map_err(|error| Error::Failed(format!("{}: {error}", to.display())))?;
    }
    let mut sdist = venv.program("maturin");
    project::run(sdist.args(["sdist", "--out"]).arg(&to))?;
    let archive = newest(&to, &[".tar.gz"])?;

    // As pip does it; only the profile is the one that is compiled already.
    let mut pip = venv.program("python");
    pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check"]);
    pip.args(["wheel", "--no-deps", "--no-index", "--no-build-isolation"]);
    pip.env("MATURIN_PEP517_ARGS", "--profile ci");
    pip.env("CARGO_TARGET_DIR", target());
    let mut path = vec![venv.0.join(PROGRAMS)];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    if let Ok(path) = env::join_paths(path) {
        pip.env("PATH", path);
    }
    // From a folder outside of the checkout's, where nothing but the archive can be found.
    pip.current_dir(&to).arg("--wheel-dir").arg(&to);
    project::run(pip.arg(&archive))?;
    let wheel = newest(&to, &[".whl"])?;
    venv.try_wheel(&wheel, &venv.0.join(PROGRAMS).join("python"))
}
