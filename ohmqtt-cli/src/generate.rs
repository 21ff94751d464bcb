//! Completions and man pages, from the definitions of the options.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use crate::args::command;
use crate::failure::Failure;

/// Print the completions of a shell
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ohmqtt completions bash > ~/.local/share/bash-completion/completions/ohmqtt
  ohmqtt completions zsh > \"${fpath[1]}/_ohmqtt\"
  ohmqtt completions fish > ~/.config/fish/completions/ohmqtt.fish")]
pub(crate) struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Write man pages
#[derive(Debug, Args)]
#[command(after_help = "Example:
  ohmqtt man ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// The folder to write them into, a page for each command; it is to be there
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "ohmqtt", &mut text);
    std::io::stdout()
        .write_all(&text)
        .map_err(|error| Failure::output(&error))
}

pub(crate) fn man(args: &ManArgs) -> Result<(), Failure> {
    clap_mangen::generate_to(command(), &args.folder)
        .map_err(|error| Failure::file("man", &args.folder, &error))
}
