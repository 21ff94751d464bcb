//! `cargo xtask docs`: the documentation of every crate with every feature, the Python reference, and the guide as a site that has both; a
//! warning is an error.
//!
//! rustdoc runs in the profile `ci`, so that the metadata of the dependencies that clippy left behind serves again. mkdocs makes the site from
//! the Markdown in `docs/`, checks each link, and fetches nothing. What the guide says of shell commands and of errors is looked up in the
//! sources (`claims`); its programs are tests of the crates and of the Python package.

mod claims;
mod links;

use std::env;

use lexopt::Parser;

use crate::error::{Result, no_more};
use crate::project::{self, cargo, root, target};
use crate::py;

/// Builds the documentation.
pub(crate) fn run(args: &mut Parser) -> Result {
    no_more(args)?;
    claims::check()?;
    rustdoc()?;
    let (venv, python) = py::reference()?;
    let site = target().join("site");
    let mut mkdocs = venv.program("mkdocs");
    mkdocs.args(["build", "--strict", "--quiet", "--site-dir"]);
    mkdocs.arg(&site).current_dir(root());
    mkdocs.env("OHMQTT_PYTHON_REFERENCE", python);
    mkdocs.env("OHMQTT_RUST_REFERENCE", target().join("doc"));
    // Its hook stands among the pages, and leaves no cache there.
    mkdocs.env("PYTHONDONTWRITEBYTECODE", "1");
    // The theme's word on the future of mkdocs.
    project::run(mkdocs.env("NO_MKDOCS_2_WARNING", "1"))?;
    println!("docs: {}", site.join("index.html").display());
    Ok(())
}

fn rustdoc() -> Result {
    let flags = format!(
        "{} -D warnings",
        env::var("RUSTDOCFLAGS").unwrap_or_default()
    );
    let mut doc = cargo("doc --workspace --no-deps --all-features --profile ci");
    project::run(doc.env("RUSTDOCFLAGS", flags.trim()))
}
