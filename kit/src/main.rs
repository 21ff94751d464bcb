//! `ohmqtt-kit`: plays the scenarios with the clients that are there, and writes the scorecard.
//!
//! `[--only NAME] [--client NAME] [--card FILE]`, and where the adapters of clients are that cargo does not build here:
//! `[--python PYTHON]` with our package, `[--peers PYTHON]` with paho-mqtt, `[--rumqttc PROGRAM]`. It ends with 1 when a client of
//! ours did not pass.

use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use lexopt::{Arg, Parser, ValueExt};
use ohmqtt_kit::{Client, Outcome, Scenario, play_all, scenarios, scorecard};

const USAGE: &str = "usage: ohmqtt-kit [--only NAME] [--client NAME] [--card FILE] \
                     [--python PYTHON] [--peers PYTHON] [--rumqttc PROGRAM]";

/// How many scenarios are played at once: most of them wait.
const AT_ONCE: usize = 8;

/// What the command line asks for.
#[derive(Debug, Default)]
struct Asked {
    /// A part of the names of the scenarios to play.
    only: String,
    client: Option<String>,
    card: Option<PathBuf>,
    python: Option<OsString>,
    peers: Option<OsString>,
    rumqttc: Option<OsString>,
}

fn main() -> ExitCode {
    let asked = match asked(&mut Parser::from_env()) {
        Ok(asked) => asked,
        Err(error) => {
            eprintln!("kit: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&asked) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("kit: {error}");
            ExitCode::from(1)
        }
    }
}

fn asked(args: &mut Parser) -> Result<Asked, lexopt::Error> {
    let mut asked = Asked::default();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("only") => asked.only = args.value()?.string()?,
            Arg::Long("client") => asked.client = Some(args.value()?.string()?),
            Arg::Long("card") => asked.card = Some(args.value()?.into()),
            Arg::Long("python") => asked.python = Some(args.value()?),
            Arg::Long("peers") => asked.peers = Some(args.value()?),
            Arg::Long("rumqttc") => asked.rumqttc = Some(args.value()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(asked)
}

/// Plays what is asked for; whether ours all passed.
fn run(asked: &Asked) -> Result<bool, Box<dyn Error>> {
    let mut plays = Scenario::all(&scenarios())?;
    plays.retain(|scenario| scenario.name.contains(&asked.only));
    if plays.is_empty() {
        return Err(format!("no scenario has {:?} in its name", asked.only).into());
    }
    let mut clients = clients(asked)?;
    if let Some(name) = &asked.client {
        let all: Vec<_> = clients.iter().map(|client| client.name.clone()).collect();
        clients.retain(|client| client.name == *name);
        if clients.is_empty() {
            return Err(format!("there is no client {name}: {}", all.join(", ")).into());
        }
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let outcomes = runtime.block_on(play_all(&plays, &clients, AT_ONCE));
    for client in &clients {
        let own: Vec<_> = outcomes
            .iter()
            .filter(|it| it.client == client.name)
            .collect();
        // What others do is told line by line only to who asks for it.
        let shows_log = client.is_ours || asked.client.is_some();
        for outcome in &own {
            tell(outcome, shows_log);
        }
        let passed = own.iter().filter(|outcome| outcome.has_passed()).count();
        let version = own.first().map_or("", |outcome| &outcome.version);
        let unable = own
            .iter()
            .filter(|outcome| outcome.unable.is_some())
            .count();
        let asked = own.len() - unable;
        println!(
            "kit: {} ({version}): {passed} of {asked} passed, {unable} could not be asked for",
            client.name
        );
    }
    if let Some(path) = &asked.card {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, scorecard(&plays, &clients, &outcomes))?;
        println!("kit: the scorecard is {}", path.display());
    }
    let is_ours = |outcome: &&Outcome| {
        let own = clients.iter().find(|client| client.name == outcome.client);
        own.is_some_and(|client| client.is_ours)
    };
    let failed = outcomes
        .iter()
        .filter(is_ours)
        .filter(|outcome| !outcome.is_spotless())
        .count();
    let verdict = match failed {
        0 if clients.iter().any(|client| client.is_ours) => "ours all passed".to_owned(),
        0 => "none of ours played".to_owned(),
        failed => format!("{failed} failures of ours"),
    };
    println!(
        "kit: {} scenarios, {} clients, {verdict}",
        plays.len(),
        clients.len()
    );
    Ok(failed == 0)
}

/// The clients whose adapters are there.
fn clients(asked: &Asked) -> Result<Vec<Client>, Box<dyn Error>> {
    let own =
        env::current_exe()?.with_file_name(format!("ohmqtt-kit-ours{}", env::consts::EXE_SUFFIX));
    let client = |name: &str, program: &OsString, args: &[&str]| Client {
        name: name.to_owned(),
        is_ours: !["rumqttc", "paho"].contains(&name),
        program: program.clone(),
        args: args.iter().map(OsString::from).collect(),
    };
    let script = |name: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters");
        folder.join(name).display().to_string()
    };
    let own = own.into_os_string();
    let mut clients = vec![
        client("async", &own, &["async"]),
        client("blocking", &own, &["blocking"]),
    ];
    if let Some(python) = &asked.python {
        clients.push(client("python", python, &[&script("ours.py")]));
        clients.push(client("aio", python, &[&script("aio.py")]));
    }
    if let Some(program) = &asked.rumqttc {
        clients.push(client("rumqttc", program, &[]));
    }
    if let Some(python) = &asked.peers {
        clients.push(client("paho", python, &[&script("paho_mqtt.py")]));
    }
    Ok(clients)
}

/// What a client did otherwise, and what came before.
fn tell(outcome: &Outcome, shows_log: bool) {
    let Outcome {
        client, scenario, ..
    } = outcome;
    for note in &outcome.notes {
        println!("kit: {client}: {scenario}: should: {note}");
    }
    let Some(fault) = &outcome.fault else {
        return;
    };
    println!("kit: {client}: {scenario}: {fault}");
    if shows_log {
        for line in &outcome.log {
            println!("    {line}");
        }
    }
}
