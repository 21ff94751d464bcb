//! How messages are printed: bare, with their topics, by a format, as hexadecimal or as JSON.

mod directive;
mod format;
mod mosquitto;

use std::io::{self, BufWriter, Stdout, Write};

use clap::Args;
use ohmqtt_client::Message;

use self::format::Format;
use crate::clock::Moment;
use crate::failure::{Failure, say};
use crate::json;

/// How messages are printed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct PrintArgs {
    /// Print the topic before each payload
    #[arg(short = 'v', long)]
    pub(crate) verbose: bool,
    /// Print each message by this format: %t topic, %p payload, %x and %X payload in hexadecimal, %l its length, %q QoS, %r retained, %m
    /// packet identifier (0 here), %A topic alias, %C content type, %D correlation data, %E expiry, %F payload format, %P user
    /// properties, %R response topic, %S subscription identifier, %j and %J JSON, %I and %U time, @X strftime, \n \t \0 \e ...
    #[arg(short = 'F', value_name = "FORMAT", allow_hyphen_values = true, value_parser = Format::parse)]
    format: Option<Format>,
    /// Print no line end behind a message
    #[arg(short = 'N')]
    no_line_end: bool,
    /// Print each message as a JSON object on a line: all properties, the payload as text, or in base64 where it is none
    #[arg(long, conflicts_with_all = ["format", "verbose", "hex"])]
    json: bool,
    /// Payloads are hexadecimal: two digits a byte
    #[arg(long, conflicts_with = "format")]
    pub(crate) hex: bool,
    /// Print JSON over several lines
    #[arg(long)]
    pretty: bool,
}

/// Prints messages on standard output.
pub(crate) struct Printer<'a> {
    args: &'a PrintArgs,
    out: BufWriter<Stdout>,
    line: Vec<u8>,
}

impl<'a> Printer<'a> {
    pub(crate) fn new(args: &'a PrintArgs) -> Self {
        Self {
            args,
            out: BufWriter::with_capacity(64 * 1024, io::stdout()),
            line: Vec::new(),
        }
    }

    /// Prints a message; [`flush`](Self::flush) shows it.
    pub(crate) fn print(&mut self, message: &Message) -> Result<(), Failure> {
        let Self { args, line, .. } = self;
        line.clear();
        if args.json {
            json::write(message, &Moment::now(), args.pretty, line);
        } else if let Some(format) = &args.format {
            match format.write(message, args.pretty, line) {
                Ok(()) => {}
                Err(error) => say(format_args!("{error}")),
            }
        } else if !plain(message, args, line) {
            return Ok(());
        }
        if !args.no_line_end {
            line.push(b'\n');
        }
        self.out
            .write_all(line)
            .map_err(|error| Failure::output(&error))
    }

    /// Shows what was printed.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|error| Failure::output(&error))
    }
}

/// The payload, with its topic if that is asked for. Of an empty payload there is nothing to print, but that it is empty.
fn plain(message: &Message, args: &PrintArgs, line: &mut Vec<u8>) -> bool {
    if args.verbose {
        line.extend_from_slice(message.topic.as_bytes());
        line.push(b' ');
    }
    if message.payload.is_empty() {
        line.extend_from_slice(b"(null)");
        return args.verbose && !args.no_line_end;
    }
    if args.hex {
        let digits = data_encoding::HEXLOWER.encode(&message.payload);
        line.extend_from_slice(digits.as_bytes());
    } else {
        line.extend_from_slice(&message.payload);
    }
    true
}
