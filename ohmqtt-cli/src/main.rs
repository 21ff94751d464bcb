//! The command `ohmqtt`. All of it is in the library, so that the Python package can run it too.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(ohmqtt_cli::run(std::env::args_os()))
}
