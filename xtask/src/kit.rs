//! `cargo xtask kit [--only SCENARIO] [--client NAME]`: clients, ours and others', and a server that misbehaves on purpose.
//!
//! The crate `kit` plays the scenarios. Here the adapters are built: ours in Rust and in Python, rumqttc's in a workspace of its own,
//! paho-mqtt's with the version that `kit/adapters/requirements.txt` names. With `--client` only what that client needs.

use lexopt::{Arg, Parser, ValueExt};

use crate::error::Result;
use crate::project::{self, cargo, root, target};
use crate::py::{self, Venv};

/// Builds what is asked for and plays it; the exit code is that of the kit.
pub(crate) fn run(args: &mut Parser) -> Result {
    let (mut only, mut client) = (None, None);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("only") => only = Some(args.value()?),
            Arg::Long("client") => client = Some(args.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let needs = |names: &[&str]| client.as_deref().is_none_or(|name| names.contains(&name));
    // The adapter, which it finds beside itself.
    project::tool("ohmqtt-kit-ours")?;
    let mut kit = project::tool("ohmqtt-kit")?;
    if needs(&["python", "aio"]) {
        kit.arg("--python").arg(py::developed()?.path("python"));
    }
    if needs(&["rumqttc"]) {
        let folder = target().join("kit-peers");
        let mut build = cargo("build --quiet --locked --manifest-path kit/peers/Cargo.toml");
        project::run(build.env("CARGO_TARGET_DIR", &folder))?;
        kit.arg("--rumqttc")
            .arg(folder.join("debug/ohmqtt-kit-peers"));
    }
    if needs(&["paho"]) {
        let venv = Venv::provide_in("kit-py", &root().join("kit/adapters/requirements.txt"))?;
        kit.arg("--peers").arg(venv.path("python"));
    }
    // The table is of all.
    if only.is_none() && client.is_none() {
        kit.arg("--card").arg(target().join("kit/scorecard.md"));
    }
    if let Some(only) = only {
        kit.arg("--only").arg(only);
    }
    if let Some(client) = client {
        kit.arg("--client").arg(client);
    }
    project::run(&mut kit)
}
