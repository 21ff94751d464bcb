//! The command `ohmqtt`: publish, subscribe, ask, look and measure over MQTT 5.0, and a broker to do it with.
//!
//! The command is a function, so that other programs can have it: the binary `ohmqtt` calls it with its arguments.
//!
//! ```
//! assert_eq!(ohmqtt_cli::run(["ohmqtt", "--version"]), 0);
//! ```
//!
//! It decides nothing of MQTT: it reads options, hands them to `ohmqtt-client` and `ohmqtt-broker`, and tells what comes of it. Each
//! command is a module of its name; `args` is what their options share, `failure` how they end.

mod args;
mod bench;
mod broker;
mod check;
mod clock;
mod config;
mod connect;
mod events;
mod failure;
mod generate;
mod json;
mod passwd;
mod print;
mod publish;
mod redact;
mod request;
mod signal;
mod store;
mod subscribe;

use std::ffi::OsString;

use crate::args::{Cli, Command};
use crate::failure::{FAILED, Failure};

/// Runs the command with these arguments, the name of the program first, and returns its exit code: 0 when it was done, 1 when it
/// failed, 2 for a wrong command line, 27 when the time was up, the reason code of a refusal (128 and above), 130 after Ctrl-C.
///
/// What it has to say goes to standard output and standard error. It blocks the thread, and must not be called inside a tokio runtime.
pub fn run<T: Into<OsString>>(args: impl IntoIterator<Item = T>) -> u8 {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    match args::parse(&args).and_then(execute) {
        Ok(()) => 0,
        Err(failure) => failure.tell(),
    }
}

fn execute(cli: Cli) -> Result<(), Failure> {
    let mut runtime = if cli.command.is_busy() {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = runtime
        .enable_all()
        .build()
        .map_err(|error| Failure::new(FAILED, format!("no runtime: {error}")))?;
    let quiet = cli.command.is_quiet();
    if cli.command.is_debugging() {
        log();
    }
    let ended = runtime.block_on(async {
        match cli.command {
            Command::Pub(args) => publish::run(*args).await,
            Command::Sub(args) => subscribe::run(*args).await,
            Command::Rr(args) => request::run(*args).await,
            Command::Broker(args) => broker::run(*args).await,
            Command::Check(args) => check::run(*args).await,
            Command::Bench(args) => bench::run(*args).await,
            Command::Passwd(args) => passwd::run(&args),
            Command::Config(args) => config::run(&args),
            Command::Completions(args) => generate::completions(&args),
            Command::Man(args) => generate::man(&args),
        }
    });
    // A thread may read standard input still, and nothing ends that.
    runtime.shutdown_background();
    ended.map_err(|failure| if quiet { failure.quiet() } else { failure })
}

/// Writes what the crates below log to standard error. Another subscriber of this process stays.
fn log() {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(std::io::stderr)
        .with_ansi(args::is_coloured(&std::io::stderr()))
        .finish();
    // It fails where there is one, which then has the logs.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
