//! `ohmqtt passwd`: the users that a broker lets in.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use clap::Args;
use ohmqtt_broker::PasswordFile;

use crate::connect::first_line;
use crate::failure::{FAILED, Failure};

/// Add a user to a file of passwords, or change or remove one
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ohmqtt passwd users alice                          asks for the password
  ohmqtt passwd users alice < secret                 takes the first line
  ohmqtt passwd users alice --delete
  ohmqtt broker --passwords users --listen mqtt://0.0.0.0

The password is hashed with Argon2id. A broker that runs reads the file again on SIGHUP.")]
pub(crate) struct PasswdArgs {
    /// The file; it is made if it is not there
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The user
    #[arg(value_name = "NAME")]
    name: String,
    /// Remove the user
    #[arg(long)]
    delete: bool,
    /// A file whose first line is the password
    #[arg(long, value_name = "FILE", conflicts_with = "delete")]
    password_file: Option<PathBuf>,
}

/// Changes the file.
pub(crate) fn run(args: &PasswdArgs) -> Result<(), Failure> {
    let file = PasswordFile::new(&args.file);
    let failed = |error| Failure::new(FAILED, format!("passwd: {error}"));
    let (name, path) = (&args.name, args.file.display());
    if args.delete {
        if file.remove_user(name).map_err(failed)? {
            return Ok(());
        }
        let problem = format!("passwd: no user '{name}' in '{path}'");
        return Err(Failure::new(FAILED, problem));
    }
    let password = match &args.password_file {
        Some(file) => first_line(file)?,
        None => asked()?,
    };
    if password.is_empty() {
        return Err(Failure::usage(
            "passwd: an empty password lets anybody in; give one",
        ));
    }
    file.set_user(name, &password).map_err(failed)
}

/// The password from the terminal, twice, or the first line of standard input.
fn asked() -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| Failure::new(FAILED, format!("passwd: {error}"));
    if !std::io::stdin().is_terminal() {
        let mut line = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut line)
            .map_err(failed)?;
        return Ok(line.trim_end_matches(['\n', '\r']).as_bytes().to_vec());
    }
    let first = rpassword::prompt_password("Password: ").map_err(failed)?;
    let second = rpassword::prompt_password("The same again: ").map_err(failed)?;
    if first != second {
        return Err(Failure::usage(
            "passwd: the two are not the same; try again",
        ));
    }
    Ok(first.into_bytes())
}
