//! Programs that cargo does not bring: found on the machine, or installed from Debian's packages as root.
//!
//! Anywhere else, and where the installation fails, the task ends with one line that says what to install. Nothing
//! that needs such a program is left out silently.

use std::env::{self, consts::EXE_SUFFIX};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::{Result, failed};
use crate::project::{output, program, run, succeeds};

/// What a task needs: the programs, and the packages of Debian that hold them.
pub(crate) struct Need {
    pub(crate) programs: &'static [&'static str],
    pub(crate) packages: &'static str,
}

/// The broker that the interoperability tests talk to, and its two commands.
pub(crate) const MOSQUITTO: Need = Need {
    programs: &["mosquitto", "mosquitto_pub", "mosquitto_sub"],
    packages: "mosquitto mosquitto-clients",
};

/// What counts instructions.
pub(crate) const VALGRIND: Need = Need {
    programs: &["valgrind"],
    packages: "valgrind",
};

/// What builds libFuzzer, which is C++.
pub(crate) const CXX: Need = Need {
    programs: &["c++"],
    packages: "g++",
};

/// What counts system calls, and lets some fail.
pub(crate) const STRACE: Need = Need {
    programs: &["strace"],
    packages: "strace",
};

/// What makes hosts of network namespaces, and drops packets between them.
pub(crate) const NETWORKS: Need = Need {
    programs: &["ip", "nft", "unshare", "nsenter"],
    packages: "iproute2 nftables util-linux",
};

/// Where programs are looked for: `PATH`, and the folders of daemons, which are in root's `PATH` only.
pub(crate) fn search_path() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    for folder in ["/usr/local/sbin", "/usr/sbin", "/sbin"] {
        if !folders.iter().any(|known| known == Path::new(folder)) {
            folders.push(folder.into());
        }
    }
    env::join_paths(folders).unwrap_or(path)
}

/// Sees to it that every program of `need` is there.
///
/// # Errors
/// One line that names what is missing and how to install it.
pub(crate) fn provide(need: &Need) -> Result {
    provide_packages(need.packages, || missing(need))
}

/// Sees to it that there is a Python that makes virtual environments.
///
/// # Errors
/// As [`provide`].
pub(crate) fn provide_python() -> Result {
    provide_packages("python3 python3-venv", || {
        let mut python = program("python3");
        if succeeds(python.args(["-c", "import ensurepip, venv"])) {
            Vec::new()
        } else {
            vec!["python3 with venv"]
        }
    })
}

/// Sees to it that `still_missing` names nothing, by installing `packages` if it does.
///
/// # Errors
/// As [`provide`].
pub(crate) fn provide_packages(
    packages: &str,
    still_missing: impl Fn() -> Vec<&'static str>,
) -> Result {
    let missing = still_missing();
    if missing.is_empty() {
        return Ok(());
    }
    let advice = format!(
        "{} not found: install it (Debian: apt-get install {packages})",
        missing.join(", ")
    );
    if !is_root() || !succeeds(program("apt-get").arg("--version")) {
        return failed(advice);
    }
    eprintln!("xtask: installing {packages}");
    if let Err(error) = install(packages) {
        eprintln!("xtask: {error}");
        return failed(advice);
    }
    if still_missing().is_empty() {
        Ok(())
    } else {
        failed(advice)
    }
}

fn install(packages: &str) -> Result {
    // Another apt may hold the lock for a while; a question would have nobody to answer it.
    let apt = |args: &str| {
        let mut command = program("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args([
            "-qq",
            "-o",
            "DPkg::Lock::Timeout=300",
        ]);
        run(command.args(args.split_ascii_whitespace()))
    };
    apt("update")?;
    apt(&format!("install -y --no-install-recommends {packages}"))
}

fn missing(need: &Need) -> Vec<&'static str> {
    need.programs
        .iter()
        .copied()
        .filter(|name| first(&[name]).is_none())
        .collect()
}

/// Where the first of these programs that is on this machine stands.
pub(crate) fn first(names: &[&str]) -> Option<PathBuf> {
    let path = search_path();
    names.iter().find_map(|name| {
        env::split_paths(&path)
            .flat_map(|folder| {
                [
                    folder.join(name),
                    folder.join(format!("{name}{EXE_SUFFIX}")),
                ]
            })
            .find(|file| file.is_file())
    })
}

fn is_root() -> bool {
    output(program("id").arg("-u")).is_ok_and(|(id, _)| id.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_there_is_not_missing() {
        assert_eq!(
            missing(&Need {
                programs: &["sh", "no-such-program"],
                packages: ""
            }),
            ["no-such-program"]
        );
        let found = first(&["no-such-program", "sh"]);
        assert!(found.is_some_and(|path| path.is_file()));
    }

    #[test]
    fn the_search_path_has_the_folders_of_daemons() {
        assert!(env::split_paths(&search_path()).any(|folder| folder == Path::new("/usr/sbin")));
    }
}
