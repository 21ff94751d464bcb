//! `cargo xtask differ [--packets N] [--seed S]`: what our codec encodes, decoded by codecs of others, field by field.
//!
//! The program is `differ/`, a workspace of its own as its dependencies are no business of the product's; here is what it needs.
//! `differ/explained.tsv` has what may differ.

use lexopt::{Arg, Parser, ValueExt as _};

use crate::debian::{self, Need};
use crate::error::Result;
use crate::interop::Node;
use crate::project::{self, cargo, program, target};

/// Wireshark's dissectors.
const TSHARK: Need = Need {
    programs: &["tshark"],
    packages: "tshark",
};

/// Builds the program and runs it; its exit code is the task's.
pub(crate) fn run(args: &mut Parser) -> Result {
    let (mut packets, mut seed) = (15_000_u32, 1_u64);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("packets") => packets = args.value()?.parse()?,
            Arg::Long("seed") => seed = args.value()?.parse()?,
            _ => return Err(arg.unexpected().into()),
        }
    }
    debian::provide(&TSHARK)?;
    let node = Node::provide()?;
    let folder = target().join("differ");
    let mut build = cargo("build --release --locked --quiet --manifest-path differ/Cargo.toml");
    project::run(build.env("CARGO_TARGET_DIR", &folder))?;
    let mut differ = program(folder.join("release").join("ohmqtt-differ"));
    differ.args([packets.to_string(), seed.to_string()]);
    differ
        .arg(node.program())
        .arg("tshark")
        .arg(folder.join("files"));
    project::run(differ.env("PATH", debian::search_path()))
}
