//! `ohmqtt config`: what options come to, and where from.

use std::fmt::Write as _;
use std::io::Write as _;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Subcommand};

use crate::args::{ConnectionArgs, Profile, profile_path};
use crate::failure::{FAILED, Failure};
use crate::redact::redact;

/// Show what options come to, and where from
#[derive(Debug, Args)]
#[command(
    after_help = "A profile is a table of the file that `ohmqtt config path` names:
  profile = \"home\"              # the one that counts without --profile

  [profiles.home]
  url = \"mqtts://broker.example\"
  username = \"alice\"
  password-file = \"/run/secrets/mqtt\"

Its keys are the long names of options. The command line goes before the environment, that before the profile, and that before the
defaults."
)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) what: What,
}

/// What to show.
#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// Show the options of a connection: what they come to, and where from
    #[command(disable_help_flag = true)]
    Show(Box<ShowArgs>),
    /// Show where the configuration file is looked for
    Path,
}

/// `ohmqtt config show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// What was found out when the options were read.
    #[arg(skip)]
    pub(crate) rows: Vec<Row>,
}

/// An option, what it came to, and where from.
#[derive(Debug)]
pub(crate) struct Row {
    name: String,
    value: String,
    source: String,
}

/// The rows for the options of a command.
pub(crate) fn rows(command: &clap::Command, matches: &ArgMatches, profile: &Profile) -> Vec<Row> {
    let mut rows = Vec::new();
    for arg in command.get_arguments() {
        let (id, Some(long)) = (arg.get_id().as_str(), arg.get_long()) else {
            continue;
        };
        let Some(values) = matches.try_get_raw(id).ok().flatten() else {
            continue;
        };
        if arg.is_hide_set() || long == "help" || long == "profile" {
            continue;
        }
        let values: Vec<_> = values
            .map(|value| value.to_string_lossy().into_owned())
            .collect();
        let value = match id {
            "pw" => "(not shown)".to_owned(),
            _ => redact(&values.join(" ")),
        };
        let source = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => "command line".to_owned(),
            Some(ValueSource::EnvVariable) => {
                let name = arg
                    .get_env()
                    .map(|name| name.to_string_lossy().into_owned());
                format!("environment, {}", name.unwrap_or_default())
            }
            _ if profile.has(long) => format!("profile '{}'", profile.name),
            _ => "default".to_owned(),
        };
        if source == "default" && value == "false" {
            continue;
        }
        rows.push(Row {
            name: long.to_owned(),
            value,
            source,
        });
    }
    rows
}

/// Prints it.
pub(crate) fn run(args: &ConfigArgs) -> Result<(), Failure> {
    let mut text = String::new();
    match &args.what {
        What::Show(show) => {
            for Row {
                name,
                value,
                source,
            } in &show.rows
            {
                // Into a string: it cannot fail.
                let _ = writeln!(text, "{name:<26}{value:<34} {source}");
            }
        }
        What::Path => {
            let path = profile_path().ok_or_else(|| {
                Failure::new(
                    FAILED,
                    "there is no configuration folder; set HOME, or OHMQTT_CONFIG to a file",
                )
            })?;
            text = format!("{}\n", path.display());
        }
    }
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure::output(&error))
}
