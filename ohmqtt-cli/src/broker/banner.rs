//! What a broker prints when it is ready: where it is, and lines to try it with.

use std::fmt::Write as _;
use std::io::Write as _;

use ohmqtt_broker::Broker;

use super::{BrokerArgs, Shown};
use crate::failure::Failure;

pub(super) fn print(
    broker: &Broker,
    args: &BrokerArgs,
    shown: Option<&Shown>,
) -> Result<(), Failure> {
    let text = if args.quiet {
        let urls = broker.urls().iter().map(|url| format!("{url}\n"));
        urls.collect()
    } else {
        banner(broker, args, shown)
    };
    let mut out = std::io::stdout().lock();
    // Whoever started it may not want to hear.
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::output(&error))
        }
        _ => Ok(()),
    }
}

fn banner(broker: &Broker, args: &BrokerArgs, shown: Option<&Shown>) -> String {
    let mut text = format!("ohmqtt broker {}, MQTT 5.0\n", env!("CARGO_PKG_VERSION"));
    let mut line = |line: std::fmt::Arguments<'_>| {
        // Into a string: it cannot fail.
        let _ = writeln!(text, "{line}");
    };
    for url in broker.urls() {
        line(format_args!("  listens at  {url}"));
    }
    match &args.store {
        Some(file) => line(format_args!("  keeps all in {}", file.display())),
        None => line(format_args!("  keeps all in memory, while it runs")),
    }
    if args.passwords.is_none() && !args.certificate_users {
        line(format_args!("  lets anybody in who can reach it"));
    }
    let user = match args.passwords {
        Some(_) => " -u NAME --ask-password",
        None => "",
    };
    line(format_args!("\nIn other terminals:"));
    let url = broker.url();
    let trust = match shown {
        Some(shown) if is_tls(url) => format!(" --cafile {}", shown.trusted.display()),
        _ => String::new(),
    };
    line(format_args!(
        "  ohmqtt sub --url {url}{trust}{user} -v -t '#'"
    ));
    line(format_args!(
        "  ohmqtt pub --url {url}{trust}{user} -t hello -m world"
    ));
    line(format_args!("\nCtrl-C ends it."));
    text
}

fn is_tls(url: &str) -> bool {
    ["mqtts:", "wss:", "quic:"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
}
