//! `ohmqtt broker`: a broker in the foreground, ready without a word of configuration.

mod banner;
mod faults;
mod file;
mod identity;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use ohmqtt_broker::{Broker, Certificates, ListenOptions, StartError};

use self::faults::Fault;
use self::file::BrokerFile;
use self::identity::Shown;
use crate::failure::{FAILED, Failure, say};
use crate::{signal, store};

/// How long clients may take to end in order.
const GOODBYE: Duration = Duration::from_secs(5);

/// Run a broker
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ohmqtt broker                                            for this machine, at port 1883, in memory
  ohmqtt broker --port 0                                   at any free port, which it prints
  ohmqtt broker --tls self-signed --listen wss://localhost:0/mqtt --listen quic://localhost:0
  ohmqtt broker --listen mqtt://0.0.0.0 --passwords users --acl rights --store broker.redb
  ohmqtt broker --fault withhold=PUBACK --fault delay=0.2  to test a program against

With a file (--config broker.toml) the same is said by the names of the options:
  listen = [\"mqtt://0.0.0.0\", \"mqtts://0.0.0.0\"]
  cert = \"broker.pem\"
  key = \"broker.key\"
  passwords = \"users\"
  [limits]
  connections = 1000

SIGHUP has it read the files of passwords and rights again.")]
pub(crate) struct BrokerArgs {
    /// Listen on this machine alone, at this port; 0 for any that is free [default: 1883, with TLS 8883]
    #[arg(short = 'p', long, value_name = "PORT", conflicts_with = "listen")]
    port: Option<u16>,
    /// Listen at this URL: mqtt, mqtts, ws, wss, quic or unix; may be given again. Port 0 for any that is free
    #[arg(short = 'L', long, value_name = "URL")]
    listen: Vec<String>,
    /// A TOML file with these options; those of the command line count more
    #[arg(long, value_name = "FILE", env = "OHMQTT_BROKER_CONFIG")]
    config: Option<PathBuf>,
    /// Show a certificate that is made for the occasion, to be trusted by the file that is printed
    #[arg(
        long,
        value_enum,
        value_name = "HOW",
        conflicts_with = "cert",
        help_heading = "TLS"
    )]
    tls: Option<Tls>,
    /// The certificate to show, as PEM
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    cert: Option<PathBuf>,
    /// The private key of the certificate, as PEM
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    key: Option<PathBuf>,
    /// Let in over TLS who has a certificate of these authorities, and nobody else
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    client_ca: Option<PathBuf>,
    /// Take the name in a client's certificate for its user's
    #[arg(long, requires = "client_ca", help_heading = "TLS")]
    certificate_users: bool,
    /// Let in the users of this file, which `ohmqtt passwd` or mosquitto's own command writes
    #[arg(long, value_name = "FILE", help_heading = "Access")]
    passwords: Option<PathBuf>,
    /// Allow what this file allows, in the syntax of mosquitto's own
    #[arg(long, value_name = "FILE", help_heading = "Access")]
    acl: Option<PathBuf>,
    /// Let in anybody, from other machines too
    #[arg(long, help_heading = "Access")]
    allow_anonymous: bool,
    /// Keep sessions, queued and retained messages in this file (.redb or .sqlite)
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// A power cut may take the last moments of the store, which is faster for it
    #[arg(long)]
    fast: bool,
    /// Break something for all clients, for tests: delay=SECONDS, cut-after=PACKETS, withhold=PACKET, refuse=CODE, redirect=SERVER or
    /// silence; may be given again
    #[arg(long, value_name = "FAULT", value_parser = Fault::parse, help_heading = "Tests")]
    fault: Vec<Fault>,
    /// Log what happens, on standard error
    #[arg(short = 'd', long)]
    pub(crate) debug: bool,
    /// Print the URLs alone, one a line
    #[arg(long)]
    quiet: bool,
}

/// Where a certificate comes from.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Tls {
    /// It is made at the start, and gone at the end
    SelfSigned,
}

/// Runs a broker until Ctrl-C.
pub(crate) async fn run(args: BrokerArgs) -> Result<(), Failure> {
    let args = match &args.config {
        Some(path) => BrokerFile::read(path)?.under(args)?,
        None => args.with_limits(None),
    };
    let Settings { args, limits } = args;
    let shown = identity::of(&args)?;
    let mut options = ListenOptions::new();
    if let Some(shown) = &shown {
        options = options.identity(shown.identity.clone());
    }
    if let Some(file) = &args.client_ca {
        let authorities = Certificates::from_file(file).map_err(Failure::usage)?;
        options = options.require_client_certificates(authorities);
    }
    let mut builder = Broker::builder();
    for url in args.urls(shown.is_some()) {
        builder = builder.listen_with(url, options.clone());
    }
    if let Some(limits) = limits {
        builder = builder.limits(limits);
    }
    if let Some(file) = &args.passwords {
        builder = builder.passwords(file);
    }
    if let Some(file) = &args.acl {
        builder = builder.acl(file);
    }
    if args.certificate_users {
        builder = builder.certificate_users();
    }
    if args.allow_anonymous {
        builder = builder.insecure_allow_anonymous();
    }
    if let Some(file) = &args.store {
        builder = store::for_broker(builder, file, args.fast)?;
    }
    let broker = builder.start().await.map_err(not_started)?;
    faults::set(&broker, &args.fault)?;
    // Whoever reads an address may ask for the end at once.
    let stop = signal::asked_to_stop();
    banner::print(&broker, &args, shown.as_ref())?;
    wait(&broker, stop).await;
    let metrics = broker.metrics();
    broker.shutdown(GOODBYE).await;
    if !args.quiet {
        say(format_args!(
            "stopped: {} messages published, {} delivered, {} dropped; up to {} clients at once",
            metrics.published, metrics.delivered, metrics.dropped, metrics.most_connected
        ));
    }
    Ok(())
}

/// Waits for the end, and reads the files of access again when that is asked for.
async fn wait(broker: &Broker, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    let mut asked = signal::Reload::new();
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = asked.asked() => match broker.reload_access().await {
                Ok(()) => say(format_args!("the files of passwords and rights were read again")),
                Err(error) => say(format_args!("{error}; all holds that held before")),
            },
        }
    }
}

fn not_started(error: StartError) -> Failure {
    match error {
        StartError::AnonymousBeyondLoopback { url } => Failure::usage(format!(
            "listen {url}: it can be reached from other machines, and clients are not asked who they are; listen at 127.0.0.1, ask \
             them (--passwords FILE), or say --allow-anonymous"
        )),
        StartError::Url(_) | StartError::NoAddress => Failure::usage(error),
        other => Failure::new(FAILED, other),
    }
}

/// What there is to start with.
struct Settings {
    args: BrokerArgs,
    limits: Option<ohmqtt_broker::Limits>,
}

impl BrokerArgs {
    fn with_limits(self, limits: Option<ohmqtt_broker::Limits>) -> Settings {
        Settings { args: self, limits }
    }

    fn urls(&self, is_tls: bool) -> Vec<String> {
        if !self.listen.is_empty() {
            return self.listen.clone();
        }
        let (scheme, usual) = if is_tls {
            ("mqtts", 8883)
        } else {
            ("mqtt", 1883)
        };
        let port = self.port.unwrap_or(usual);
        vec![format!("{scheme}://localhost:{port}")]
    }
}
