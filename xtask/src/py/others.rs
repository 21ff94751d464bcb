//! The other interpreters of this machine, `CPython` all: a wheel for each, installed in a throw-away environment and tried by a small program.
//!
//! They are found in `PATH`, as `python3` and `python3.N`, and among what pyenv has installed; one for each minor version. All wheels are
//! built into one target folder, where only what depends on the interpreter is compiled again; a wheel that is younger than all it is made
//! of is not built again at all.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Venv, folder, newest, read};
use crate::error::Result;
use crate::project::{self, output, program, root, target};

/// The oldest minor version that the package is for.
const OLDEST: u32 = 10;

/// What an interpreter says of itself: what it is, its minor version, and whether it has no GIL.
const WHO: &str = "import sys, sysconfig; print(sys.implementation.name, sys.version_info[0], \
                   sys.version_info[1], sysconfig.get_config_var('Py_GIL_DISABLED') or 0)";

/// Builds and tries a wheel for each interpreter but the environment's own.
pub(super) fn try_each(venv: &Venv) -> Result {
    let (own, _) = output(venv.program("python").args(["-c", WHO]))?;
    let own = minor(&own);
    let others: BTreeMap<u32, PathBuf> = find()
        .into_iter()
        .filter(|(minor, _)| Some(*minor) != own)
        .collect();
    let names: Vec<String> = others.keys().map(|minor| format!("3.{minor}")).collect();
    println!(
        "py: tested with CPython 3.{}; others found: {}",
        own.unwrap_or_default(),
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    );
    for (minor, python) in others {
        let wheel = wheel(venv, minor, &python)?;
        venv.try_wheel(&wheel, &python)?;
    }
    Ok(())
}

/// The wheel for an interpreter, built if it has to be.
fn wheel(venv: &Venv, minor: u32, python: &Path) -> Result<PathBuf> {
    let wheels = folder("wheels");
    let tag = format!("-cp3{minor}-cp3{minor}-");
    if let Ok(wheel) = newest(&wheels, &[&tag])
        && is_current(&wheel)?
    {
        return Ok(wheel);
    }
    let mut build = venv.program("maturin");
    build.args(["build", "--profile", "ci", "--locked", "--quiet"]);
    build.args(["--compatibility", "linux", "--interpreter"]);
    project::run(build.arg(python).arg("--out").arg(&wheels))?;
    newest(&wheels, &[&tag])
}

/// Whether `wheel` is younger than each file it is made of: what cargo has noted for the library, the manifests, and the Python sources.
fn is_current(wheel: &Path) -> Result<bool> {
    let Some(built) = modified(wheel) else {
        return Ok(false);
    };
    let package = root().join("ohmqtt-py");
    let noted = target().join("ci").join(if cfg!(windows) {
        "_native.d"
    } else {
        "lib_native.d"
    });
    let noted = read(&noted)?;
    let mut files = sources(&noted);
    files.extend([root().join("Cargo.lock"), root().join("Cargo.toml")]);
    files.extend(
        ["Cargo.toml", "README.md", "pyproject.toml"]
            .iter()
            .map(|name| package.join(name)),
    );
    below(&package.join("python"), &mut files);
    Ok(files
        .iter()
        .all(|file| modified(file).is_some_and(|time| time < built)))
}

/// The files that a line of a Makefile names after its colon and space; cargo escapes spaces in them.
fn sources(noted: &str) -> Vec<PathBuf> {
    let line = noted.lines().next().unwrap_or_default();
    let files = line
        .split_once(": ")
        .map_or("", |(_, files)| files)
        .replace("\\ ", "\0");
    files
        .split_ascii_whitespace()
        .map(|file| file.replace('\0', " ").into())
        .collect()
}

/// Adds the files below `folder` but what Python has compiled.
fn below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            if entry.file_name() != "__pycache__" {
                below(&path, files);
            }
        } else if !path
            .extension()
            .is_some_and(|kind| kind == "so" || kind == "pyd")
        {
            files.push(path);
        }
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

/// An interpreter for each minor version.
fn find() -> BTreeMap<u32, PathBuf> {
    let mut found = BTreeMap::new();
    for python in candidates() {
        let Ok((said, _)) = output(program(&python).args(["-I", "-c", WHO])) else {
            continue;
        };
        if let Some(minor) = minor(&said) {
            found.entry(minor).or_insert(python);
        }
    }
    found
}

/// Programs that may be interpreters: some only say that they stand for none.
fn candidates() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let home = env::home_dir().map(|home| home.join(".pyenv"));
    let pyenv = env::var_os("PYENV_ROOT").map(PathBuf::from).or(home);
    if let Some(pyenv) = pyenv {
        for entry in fs::read_dir(pyenv.join("versions"))
            .into_iter()
            .flatten()
            .flatten()
        {
            found.push(entry.path().join("bin/python3"));
        }
    }
    for folder in env::split_paths(&env::var_os("PATH").unwrap_or_default()) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if is_python(&entry.file_name().to_string_lossy()) {
                found.push(entry.path());
            }
        }
    }
    found.retain(|python| python.is_file());
    found.sort();
    found.dedup();
    found
}

/// Whether a program of this name is an interpreter: `python3`, `python3.N`, and on Windows `python.exe`.
fn is_python(name: &str) -> bool {
    if cfg!(windows) {
        return name == "python.exe";
    }
    let Some(rest) = name.strip_prefix("python3") else {
        return false;
    };
    rest.is_empty()
        || rest
            .strip_prefix('.')
            .is_some_and(|minor| minor.parse::<u32>().is_ok())
}

/// The minor version of an interpreter that the package is for, of what it said to [`WHO`]. One without a GIL is not.
fn minor(said: &str) -> Option<u32> {
    let minor = said
        .trim()
        .strip_prefix("cpython 3 ")?
        .strip_suffix(" 0")?
        .parse()
        .ok()?;
    (minor >= OLDEST).then_some(minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_interpreters_are_asked() {
        for name in ["python3", "python3.10", "python3.14"] {
            assert_eq!(is_python(name), cfg!(unix), "{name}");
        }
        for name in [
            "python",
            "python2.7",
            "python3-config",
            "python3.11-config",
            "python3.14t",
        ] {
            assert!(!is_python(name), "{name}");
        }
    }

    #[test]
    fn an_interpreter_that_is_too_old_or_another_is_left_out() {
        assert_eq!(minor("cpython 3 10 0\n"), Some(10));
        assert_eq!(minor("cpython 3 14 0\r\n"), Some(14));
        assert_eq!(minor("cpython 3 9 0\n"), None);
        assert_eq!(minor("cpython 3 14 1\n"), None);
        assert_eq!(minor("pypy 3 10 0\n"), None);
        assert_eq!(minor("pyenv: python3.12: command not found"), None);
    }

    #[test]
    fn the_sources_are_those_that_cargo_has_noted() {
        let noted = "/target/ci/lib_native.so: /a/src/lib.rs /a\\ b/mod.rs\n\n/a/src/lib.rs:\n";
        assert_eq!(
            sources(noted),
            [PathBuf::from("/a/src/lib.rs"), PathBuf::from("/a b/mod.rs")]
        );
        assert!(sources("").is_empty());
    }
}
