//! The checkout: where it stands, where cargo builds, and how a program is run in it.
//!
//! Programs run with nothing on standard input, so that none can wait for an answer, and with their output passed on
//! as it comes.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use crate::error::{Result, failed};

/// The root of the checkout. Cargo says where this crate stands when it runs it; the place of the build is only the
/// second choice, as two checkouts may share a target folder.
pub(crate) fn root() -> PathBuf {
    let here =
        env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = PathBuf::from(here);
    here.parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// The folder that cargo builds into.
pub(crate) fn target() -> PathBuf {
    let root = root();
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target))
}

/// A program to run in the root of the checkout.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root()).stdin(Stdio::null());
    // `cargo run` describes this crate in the environment; a build that looks at these would start anew for us.
    for (key, _) in env::vars_os() {
        let name = key.to_string_lossy();
        if name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_")
            || name.starts_with("CARGO_BIN_")
        {
            command.env_remove(&key);
        }
    }
    command
}

/// The cargo that runs us, with `args`, which are separated by spaces.
pub(crate) fn cargo(args: &str) -> Command {
    let mut command = program(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args.split_ascii_whitespace());
    command
}

/// A program of the workspace, built as its tests are: with every feature, so that what they have built is not built once more.
///
/// # Errors
/// When it does not build.
pub(crate) fn tool(name: &str) -> Result<Command> {
    let mut build = cargo("build --quiet --workspace --all-features --profile ci --bin");
    run(build.arg(name))?;
    Ok(program(
        target()
            .join("ci")
            .join(format!("{name}{}", env::consts::EXE_SUFFIX)),
    ))
}

/// Runs `command` to its end.
///
/// # Errors
/// When it cannot be started, or ends with anything but 0; the message shows the command.
pub(crate) fn run(command: &mut Command) -> Result {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => failed(format!("{}: {status}", line(command))),
        Err(error) => failed(format!("{}: {error}", line(command))),
    }
}

/// Runs `command` to its end and gives what it wrote to standard output and standard error.
///
/// # Errors
/// As [`run`]; what it wrote to standard error is in the message.
pub(crate) fn output(command: &mut Command) -> Result<(String, String)> {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return failed(format!("{}: {error}", line(command))),
    };
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        Ok((stdout, stderr))
    } else {
        failed(format!(
            "{}: {}\n{}",
            line(command),
            output.status,
            stderr.trim_end()
        ))
    }
}

/// How many tests run at once: two for each processor, for most of their time they wait.
pub(crate) fn tests_at_once() -> usize {
    2 * thread::available_parallelism().map_or(1, usize::from)
}

/// Whether `command` starts and succeeds; what it writes is thrown away.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    if let Some(name) = Path::new(command.get_program()).file_name() {
        text = name.to_string_lossy().into_owned();
    }
    for arg in command.get_args() {
        text.push(' ');
        text.push_str(&arg.to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn root_holds_the_workspace() {
        assert!(root().join("xtask/Cargo.toml").is_file());
        assert!(target().is_absolute());
    }

    #[test]
    fn a_program_that_fails_is_named_with_its_arguments() {
        let Err(Error::Failed(message)) = run(&mut cargo("no-such-subcommand --quiet")) else {
            panic!("it should fail");
        };
        assert!(
            message.starts_with("cargo no-such-subcommand --quiet: exit status: "),
            "{message}"
        );
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let Err(Error::Failed(message)) = run(&mut program("no-such-program")) else {
            panic!("it should fail")
        };
        assert!(message.starts_with("no-such-program: "), "{message}");
        assert!(!succeeds(&mut program("no-such-program")));
    }
}
