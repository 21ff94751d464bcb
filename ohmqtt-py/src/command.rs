//! The command `ohmqtt`, which is that of the crate `ohmqtt-cli`, for the console script and `python -m ohmqtt`.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Run the command with these arguments, the name of the program first, and return its exit code.
///
/// It writes to the process's standard output and standard error, past `sys.stdout` and `sys.stderr`, with the GIL free.
#[pyfunction]
pub(crate) fn run_command(py: Python<'_>, args: Vec<OsString>) -> u8 {
    py.detach(|| ohmqtt_cli::run(args))
}
