//! Profiles, the environment, completions and man pages.

use std::fs;
use std::path::Path;

use crate::support::broker::TestBroker;
use crate::support::{Ran, done, ohmqtt};

fn with_config(config: &Path, environment: &[(&str, &str)], args: &[&str]) -> Ran {
    let mut command = ohmqtt(args);
    command.env("OHMQTT_CONFIG", config);
    command.envs(environment.iter().copied());
    command.output().unwrap().into()
}

/// The line about this option.
fn line(ran: &Ran, name: &str) -> Vec<String> {
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let found = ran
        .out
        .lines()
        .find(|line| line.split(' ').next() == Some(name));
    let words = found.unwrap_or_default().split("  ").map(str::trim);
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_command_line_goes_before_the_environment_and_that_before_the_profile() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let text = "profile = \"home\"\n[profiles.home]\nhost = \"one\"\nusername = \"me\"\nkeepalive = 7\ninsecure = true\n\
        [profiles.work]\nhost = \"two\"\n";
    fs::write(&config, text).unwrap();
    let show = |environment: &[(&str, &str)], more: &[&str]| {
        with_config(
            &config,
            environment,
            &[&["config", "show"][..], more].concat(),
        )
    };
    let ran = show(&[], &[]);
    assert_eq!(line(&ran, "host"), ["host", "one", "profile 'home'"]);
    assert_eq!(
        line(&ran, "keepalive"),
        ["keepalive", "7", "profile 'home'"]
    );
    assert_eq!(
        line(&ran, "insecure"),
        ["insecure", "true", "profile 'home'"]
    );
    assert_eq!(
        line(&ran, "connect-timeout"),
        ["connect-timeout", "10", "default"]
    );
    let environment = [("OHMQTT_HOST", "three"), ("OHMQTT_PASSWORD", "s3cret")];
    let ran = show(&environment, &[]);
    assert_eq!(
        line(&ran, "host"),
        ["host", "three", "environment, OHMQTT_HOST"]
    );
    assert_eq!(
        line(&ran, "pw"),
        ["pw", "(not shown)", "environment, OHMQTT_PASSWORD"]
    );
    assert!(!ran.out.contains("s3cret"));
    let ran = show(&environment, &["-h", "four", "--profile", "work"]);
    assert_eq!(line(&ran, "host"), ["host", "four", "command line"]);
    assert!(line(&ran, "username").is_empty());
    let ran = show(&[("OHMQTT_PROFILE", "work")], &[]);
    assert_eq!(line(&ran, "host"), ["host", "two", "profile 'work'"]);
    let ran = show(&[], &["--profile", "none"]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.err.contains("no profile 'none'; it has: home, work"),
        "{}",
        ran.err
    );
}

#[test]
fn a_command_uses_the_profile() {
    let broker = TestBroker::start();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let text = format!("[profiles.test]\nurl = \"{}\"\nqos = 1\n", broker.url());
    fs::write(&config, text).unwrap();
    let args = ["--profile", "test", "pub", "-t", "a", "-m", "x", "-r"];
    let ran = with_config(&config, &[], &args);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    // What is said nearer goes before a URL of the profile.
    let ran = with_config(&config, &[], &[&args[..], &["-p", "1"]].concat());
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("mqtt://localhost:1:"), "{}", ran.err);
    let environment = [("OHMQTT_PROFILE", "test"), ("OHMQTT_TOPIC", "a")];
    let ran = with_config(
        &config,
        &environment,
        &["sub", "-C", "1", "-W", "60", "-F", "%p"],
    );
    assert_eq!(ran.out, "x\n", "{}", ran.err);
}

#[test]
fn a_configuration_that_is_wrong_is_told_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    for (text, want) in [
        (
            "[profiles.a]\npw = \"s3cret\"\n",
            "a password is not kept here",
        ),
        (
            "[profiles.a]\ncolour = \"s3cret\"\n",
            "unknown key 'colour'",
        ),
        ("[profiles.a]\nusername = \"s3cret\n", "config.toml"),
        (
            "[profiles.a]\nport = \"many\"\n",
            "invalid value 'many' for '--port",
        ),
    ] {
        fs::write(&config, text).unwrap();
        let ran = with_config(&config, &[], &["--profile", "a", "sub", "-t", "a"]);
        assert_eq!(ran.code, Some(2), "{text}: {}", ran.err);
        assert!(ran.err.contains(want), "{text}: {}", ran.err);
        assert!(!ran.err.contains("s3cret"), "{text}: {}", ran.err);
    }
}

#[test]
fn the_file_is_where_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = ohmqtt(&["config", "path"]);
    command
        .env_remove("OHMQTT_CONFIG")
        .env("HOME", folder.path());
    command.env("XDG_CONFIG_HOME", folder.path().join("settings"));
    let ran: Ran = command.output().unwrap().into();
    let path = Path::new(ran.out.trim_end());
    assert!(
        path.starts_with(folder.path()) && path.ends_with("ohmqtt/config.toml"),
        "{}",
        ran.out
    );
}

#[test]
fn completions_and_man_pages_are_made_of_the_options() {
    for shell in ["bash", "zsh", "fish"] {
        let text = done(&["completions", shell]);
        assert!(
            text.contains("retained-only") && text.contains("bench"),
            "{shell}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    done(&["man", folder.path().to_str().unwrap()]);
    for (page, text) in [("ohmqtt.1", "bench"), ("ohmqtt-sub.1", "retained")] {
        let page = fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(page.contains(text));
    }
}
