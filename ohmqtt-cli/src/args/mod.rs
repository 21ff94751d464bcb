//! The command line as it is written: what there is to be said, and what it means when nothing is.

mod connection;
mod message;
mod profile;
mod properties;
mod tls;

use std::ffi::OsString;
use std::io::Write;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub(crate) use self::connection::ConnectionArgs;
pub(crate) use self::connection::{qos, seconds};
pub(crate) use self::message::{MessageArgs, unhex};
pub(crate) use self::profile::{Profile, path as profile_path};
pub(crate) use self::properties::{Place, PropertyArgs, option_name, write as write_property};
pub(crate) use self::tls::TlsArgs;
use crate::failure::{Failure, USAGE};
use crate::redact::redact;

/// Publish, subscribe, ask, look and measure over MQTT 5.0, and a broker to do it with.
///
/// Options that mosquitto's commands have, have the same letters and meanings here. What is not said on the command line comes from
/// the environment, then from a profile (see `ohmqtt config`),
/// then from the defaults.
#[derive(Debug, Parser)]
#[command(
    name = "ohmqtt",
    version,
    disable_help_subcommand = true,
    max_term_width = 120
)]
#[command(after_help = "Examples:
  ohmqtt broker                                      a broker on this machine
  ohmqtt sub -v -t 'sensors/#'                       look at what is published
  ohmqtt pub -t sensors/1 -m 21.5 -q 1               publish a message
  ohmqtt check mqtts://broker.example                what a broker can do
  ohmqtt bench pingpong                              how fast it is

Exit codes: 0 done, 1 failed, 2 wrong command line, 27 time-out, 128 and above the reason code of a refusal, 130 after Ctrl-C.")]
pub(crate) struct Cli {
    /// The profile that says what options are by default (see `ohmqtt config`)
    #[arg(long, global = true, value_name = "NAME", env = "OHMQTT_PROFILE")]
    pub(crate) profile: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Pub(Box<crate::publish::PubArgs>),
    Sub(Box<crate::subscribe::SubArgs>),
    Rr(Box<crate::request::RrArgs>),
    Broker(Box<crate::broker::BrokerArgs>),
    Check(Box<crate::check::CheckArgs>),
    Bench(Box<crate::bench::BenchArgs>),
    Passwd(crate::passwd::PasswdArgs),
    Config(crate::config::ConfigArgs),
    Completions(crate::generate::CompletionsArgs),
    Man(crate::generate::ManArgs),
}

/// `--help` and `--version` for commands where `-h` and `-V` mean something else.
#[derive(Debug, Args)]
pub(crate) struct HelpArgs {
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

/// The command with what its options have from the configuration file.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

/// Reads the command line; `Err` with what is to be told, which may be help.
pub(crate) fn parse(args: &[OsString]) -> Result<Cli, Failure> {
    let read = |command: clap::Command| {
        let matches = command.try_get_matches_from(args);
        matches.map_err(|error| tell(&error))
    };
    let matches = read(command())?;
    let profile = Profile::read(matches.get_one::<String>("profile").map(String::as_str))?;
    let with_profile = profile.apply(command()).map_err(|error| tell(&error))?;
    let matches = read(with_profile.clone())?;
    let mut cli = Cli::from_arg_matches(&matches).map_err(|error| tell(&error))?;
    if let (Some(connection), Some((_, of_command))) =
        (cli.command.connection_mut(), matches.subcommand())
    {
        connection.by_host = says_host(of_command);
    }
    if let (Command::Config(config), Some(("config", of_config))) =
        (&mut cli.command, matches.subcommand())
        && let (crate::config::What::Show(show), Some(("show", of_show))) =
            (&mut config.what, of_config.subcommand())
    {
        let show_command = with_profile
            .find_subcommand("config")
            .and_then(|config| config.find_subcommand("show"));
        if let Some(show_command) = show_command {
            show.rows = crate::config::rows(show_command, of_show, &profile);
        }
    }
    Ok(cli)
}

/// Prints help, a version, or what is wrong, without secrets.
fn tell(error: &clap::Error) -> Failure {
    if error.use_stderr() {
        let styled = error.render();
        let text = if is_coloured(&std::io::stderr()) {
            styled.ansi().to_string()
        } else {
            styled.to_string()
        };
        // Who closed it does not want to hear.
        let _ = std::io::stderr().lock().write_all(redact(&text).as_bytes());
        return Failure::silent(USAGE);
    }
    match error.print() {
        Ok(()) => Failure::silent(0),
        Err(error) => Failure::output(&error),
    }
}

/// Whether colours are to be written there.
pub(crate) fn is_coloured(to: &impl std::io::IsTerminal) -> bool {
    to.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether host, port or socket were said nearer than a URL: of flag, environment, profile and default the nearest counts.
fn says_host(matches: &ArgMatches) -> bool {
    let rank = |id: &str| match matches.value_source(id) {
        Some(ValueSource::CommandLine) => 3,
        Some(ValueSource::EnvVariable) => 2,
        Some(_) => 1,
        None => 0,
    };
    let host = ["host", "port", "unix"].map(rank);
    host.into_iter().max() > Some(rank("url"))
}

impl Command {
    /// Whether errors are not to be told.
    pub(crate) fn is_quiet(&self) -> bool {
        self.connection().is_some_and(|connection| connection.quiet)
    }

    /// Whether it has work for more than one processor.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self, Self::Broker(_) | Self::Bench(_))
    }

    /// Whether what happens is to be logged.
    pub(crate) fn is_debugging(&self) -> bool {
        match self {
            Self::Broker(args) => args.debug,
            _ => self.connection().is_some_and(|connection| connection.debug),
        }
    }

    fn connection(&self) -> Option<&ConnectionArgs> {
        match self {
            Self::Pub(args) => Some(&args.connection),
            Self::Sub(args) => Some(&args.connection),
            Self::Rr(args) => Some(&args.connection),
            Self::Check(args) => Some(&args.connection),
            Self::Bench(args) => Some(&args.connection),
            _ => None,
        }
    }

    fn connection_mut(&mut self) -> Option<&mut ConnectionArgs> {
        match self {
            Self::Pub(args) => Some(&mut args.connection),
            Self::Sub(args) => Some(&mut args.connection),
            Self::Rr(args) => Some(&mut args.connection),
            Self::Check(args) => Some(&mut args.connection),
            Self::Bench(args) => Some(&mut args.connection),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_hold_together() {
        command().debug_assert();
    }
}
