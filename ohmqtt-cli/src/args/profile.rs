//! Profiles: what options are by default, from a file in the user's configuration folder.
//!
//! ```toml
//! profile = "home"          # which one counts when none is named
//!
//! [profiles.home]
//! url = "mqtts://broker.example"
//! username = "alice"
//! password-file = "/run/secrets/mqtt"
//! ```
//!
//! The keys are the long names of options. They become the defaults of the options, so that they are read as strictly, and whatever
//! is said on the command line or in the environment goes before them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::builder::{OsStr, ValueParser};
use clap::{Arg, ArgAction, Command};
use etcetera::BaseStrategy;
use serde::Deserialize;

use crate::failure::{FAILED, Failure, USAGE};

/// The options that a profile may set: those that say which broker, and as whom.
const KEYS: &[&str] = &[
    "bind",
    "cafile",
    "capath",
    "cert",
    "ciphers",
    "connect-timeout",
    "disable-clean-session",
    "host",
    "id",
    "id-prefix",
    "insecure",
    "keepalive",
    "key",
    "password-file",
    "port",
    "proxy",
    "qos",
    "quiet",
    "server-name",
    "session-expiry-interval",
    "store",
    "tls-alpn",
    "tls-use-os-certs",
    "tls-version",
    "unix",
    "url",
    "username",
];

/// What one profile says, and where it stands.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    /// Empty where there is none.
    pub(crate) name: String,
    values: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    profile: Option<String>,
    #[serde(default)]
    profiles: BTreeMap<String, BTreeMap<String, toml::Value>>,
}

/// Where the file is looked for: `OHMQTT_CONFIG`, or `ohmqtt/config.toml` in the user's configuration folder.
pub(crate) fn path() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("OHMQTT_CONFIG") {
        return Some(path.into());
    }
    let folders = etcetera::choose_base_strategy().ok()?;
    Some(folders.config_dir().join("ohmqtt").join("config.toml"))
}

impl Profile {
    /// The profile of this name, or the one the file chooses, or an empty one.
    pub(crate) fn read(wanted: Option<&str>) -> Result<Self, Failure> {
        let text = match path() {
            None => return Self::none(wanted, "there is no configuration folder"),
            Some(path) => match std::fs::read_to_string(&path) {
                Ok(text) => (path, text),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Self::none(wanted, &format!("'{}' is not there", path.display()));
                }
                Err(error) => return Err(Failure::file("configuration", &path, &error)),
            },
        };
        let (path, text) = text;
        Self::parse(&text, wanted, &path)
    }

    fn none(wanted: Option<&str>, why: &str) -> Result<Self, Failure> {
        match wanted {
            None => Ok(Self::default()),
            Some(name) => Err(Failure::new(
                FAILED,
                format!("no profile '{name}': {why}; see `ohmqtt config path`"),
            )),
        }
    }

    fn parse(text: &str, wanted: Option<&str>, path: &Path) -> Result<Self, Failure> {
        let path = path.display();
        let wrong =
            |error: &dyn std::fmt::Display| Failure::new(USAGE, format!("'{path}': {error}"));
        // What is wrong is told without the line, which may hold a secret.
        let mut file: File = toml::from_str(text).map_err(|error| wrong(&error.message()))?;
        let Some(name) = wanted.map(str::to_owned).or(file.profile) else {
            return Ok(Self::default());
        };
        let Some(given) = file.profiles.remove(&name) else {
            let known: Vec<_> = file.profiles.into_keys().collect();
            let known = known.join(", ");
            return Err(wrong(&format!("no profile '{name}'; it has: {known}")));
        };
        let mut values = BTreeMap::new();
        for (key, value) in given {
            if key == "pw" || key == "password" {
                return Err(wrong(&format!(
                    "profile '{name}': a password is not kept here; give password-file"
                )));
            }
            if !KEYS.contains(&key.as_str()) {
                let known = KEYS.join(", ");
                return Err(wrong(&format!(
                    "profile '{name}': unknown key '{key}'; use one of {known}"
                )));
            }
            let texts = texts(&value).ok_or_else(|| {
                wrong(&format!(
                    "profile '{name}': {key}: a text, a number, true or false is wanted"
                ))
            })?;
            values.insert(key, texts);
        }
        Ok(Self { name, values })
    }

    /// Whether it says what this option is.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Makes what the profile says the defaults of each command that connects. The error is as of the same on a command line.
    pub(crate) fn apply(&self, command: Command) -> Result<Command, clap::Error> {
        self.check(&command)?;
        Ok(self.set(command))
    }

    /// Looks whether the values are some: a default is not looked at any more.
    fn check(&self, command: &Command) -> Result<(), clap::Error> {
        for arg in self.arguments(command) {
            let long = arg.get_long().unwrap_or_default().to_owned();
            let parser = match arg.get_action() {
                ArgAction::SetTrue => ValueParser::bool(),
                _ => arg.get_value_parser().clone(),
            };
            let trial = Arg::new("value").long(long.clone()).num_args(1);
            let trial = Command::new("ohmqtt")
                .no_binary_name(true)
                .arg(trial.action(ArgAction::Append).value_parser(parser));
            let values = self.values.get(&long).into_iter().flatten();
            trial.try_get_matches_from(values.map(|value| format!("--{long}={value}")))?;
        }
        command
            .get_subcommands()
            .try_for_each(|command| self.check(command))
    }

    fn set(&self, command: Command) -> Command {
        let ids: Vec<_> = self
            .arguments(&command)
            .map(|arg| arg.get_id().clone())
            .collect();
        let command = command.mut_args(|arg| {
            let key = arg.get_long().unwrap_or_default();
            match self.values.get(key).filter(|_| ids.contains(arg.get_id())) {
                None => arg,
                Some(values) => {
                    let values: Vec<OsStr> = values.iter().cloned().map(OsStr::from).collect();
                    arg.default_values(values)
                }
            }
        });
        command.mut_subcommands(|command| self.set(command))
    }

    /// The options of this command that the profile sets; none of one that does not connect.
    fn arguments<'a>(&'a self, command: &'a Command) -> impl Iterator<Item = &'a Arg> {
        let connects = command
            .get_arguments()
            .any(|arg| arg.get_long() == Some("connect-timeout"));
        command
            .get_arguments()
            .filter(move |arg| connects && arg.get_long().is_some_and(|long| self.has(long)))
    }
}

/// A value as it would be given on the command line; several of an array.
fn texts(value: &toml::Value) -> Option<Vec<String>> {
    Some(match value {
        toml::Value::String(text) => vec![text.clone()],
        toml::Value::Integer(number) => vec![number.to_string()],
        toml::Value::Float(number) => vec![number.to_string()],
        toml::Value::Boolean(flag) => vec![flag.to_string()],
        toml::Value::Array(values) => {
            let all: Option<Vec<_>> = values.iter().map(texts).collect();
            all?.into_iter().flatten().collect()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, wanted: Option<&str>) -> Result<Profile, Failure> {
        Profile::parse(text, wanted, Path::new("config.toml"))
    }

    #[test]
    fn a_profile_is_named_or_chosen_by_the_file() {
        let text = "profile = \"a\"\n[profiles.a]\nport = 1\nurl = [\"x\", \"y\"]\n[profiles.b]\ninsecure = true\n";
        let chosen = parse(text, None).unwrap();
        assert_eq!(chosen.name, "a");
        assert_eq!(chosen.values["url"], ["x", "y"]);
        assert_eq!(chosen.values["port"], ["1"]);
        assert_eq!(parse(text, Some("b")).unwrap().values["insecure"], ["true"]);
        assert!(parse("", None).unwrap().values.is_empty());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told() {
        for (text, wanted) in [
            ("", Some("a")),
            ("profiles = 1", None),
            ("colour = 1", None),
            ("profile = \"a\"\n[profiles.a]\ncolour = 1", None),
            ("profile = \"a\"\n[profiles.a]\npw = \"secret\"", None),
            ("profile = \"a\"\n[profiles.a]\nport = {}", None),
        ] {
            assert!(parse(text, wanted).is_err(), "{text}");
        }
    }
}
