//! The options that say which broker, and as whom.

use std::path::PathBuf;

use clap::Args;

use super::{HelpArgs, PropertyArgs, TlsArgs};

/// Which broker, and as whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Broker")]
pub(crate) struct ConnectionArgs {
    /// Where the broker is: mqtt, mqtts, ws, wss, quic or unix; may be given again for others to try. Behind the host of mqtt and
    /// mqtts a topic may stand
    #[arg(
        short = 'L',
        long,
        value_name = "URL",
        env = "OHMQTT_URL",
        hide_env_values = true
    )]
    pub(crate) url: Vec<String>,
    /// Its host [default: localhost]
    #[arg(short = 'h', long, value_name = "HOST", env = "OHMQTT_HOST")]
    pub(crate) host: Option<String>,
    /// Its port [default: 1883, with TLS 8883]
    #[arg(short = 'p', long, value_name = "PORT", env = "OHMQTT_PORT")]
    pub(crate) port: Option<u16>,
    /// Its Unix socket, instead of a host
    #[arg(long, value_name = "PATH", env = "OHMQTT_UNIX")]
    pub(crate) unix: Option<String>,
    /// Whether host, port or socket count, and not the URL.
    #[arg(skip)]
    pub(crate) by_host: bool,
    /// Connect from this address of this machine
    #[arg(short = 'A', long, value_name = "ADDRESS")]
    pub(crate) bind: Option<std::net::IpAddr>,
    /// The proxy on the way there: http://, socks5:// or socks5h://
    #[arg(long, value_name = "URL", env = "OHMQTT_PROXY", hide_env_values = true)]
    pub(crate) proxy: Option<String>,
    /// How long an attempt to connect may take
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds, env = "OHMQTT_CONNECT_TIMEOUT")]
    pub(crate) connect_timeout: std::time::Duration,
    /// The user to log in as
    #[arg(short = 'u', long, value_name = "NAME", env = "OHMQTT_USERNAME")]
    pub(crate) username: Option<String>,
    /// The user's password. Others on this machine can see it here: better a file, the environment or a prompt
    #[arg(
        short = 'P',
        long = "pw",
        value_name = "PASSWORD",
        env = "OHMQTT_PASSWORD",
        hide_env_values = true
    )]
    pub(crate) pw: Option<String>,
    /// A file whose first line is the password
    #[arg(long, value_name = "FILE", env = "OHMQTT_PASSWORD_FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Ask for the password
    #[arg(long)]
    pub(crate) ask_password: bool,
    /// The Client Identifier: the name of the session [default: of the broker's choosing]
    #[arg(short = 'i', long = "id", value_name = "NAME", env = "OHMQTT_ID")]
    pub(crate) id: Option<String>,
    /// A Client Identifier of this and the number of the process
    #[arg(short = 'I', long, value_name = "PREFIX", conflicts_with = "id")]
    pub(crate) id_prefix: Option<String>,
    /// Go on with the session that the broker has, and let it keep it
    #[arg(short = 'c', long = "disable-clean-session")]
    pub(crate) keep_session: bool,
    /// How long the broker keeps the session after the connection; 4294967295, -1 or ∞ is for ever [default: 0, with -c for ever]
    #[arg(short = 'x', long, value_name = "SECONDS", value_parser = expiry, allow_hyphen_values = true)]
    pub(crate) session_expiry_interval: Option<u32>,
    /// After how long a silence the connection is asked after; 0 for never
    #[arg(
        short = 'k',
        long,
        value_name = "SECONDS",
        default_value = "60",
        env = "OHMQTT_KEEPALIVE"
    )]
    pub(crate) keepalive: u16,
    /// The version of MQTT: 5 or mqttv5, there is no other here
    #[arg(short = 'V', long, value_name = "VERSION", default_value = "5", value_parser = version, hide_default_value = true)]
    pub(crate) protocol_version: Version,
    /// Where the will is published, when the connection ends other than in order
    #[arg(long, value_name = "TOPIC")]
    pub(crate) will_topic: Option<String>,
    /// What the will says [default: nothing]
    #[arg(
        long,
        value_name = "TEXT",
        allow_hyphen_values = true,
        requires = "will_topic"
    )]
    pub(crate) will_payload: Option<String>,
    /// The QoS of the will
    #[arg(long, value_name = "QOS", default_value = "0", value_parser = qos, requires = "will_topic")]
    pub(crate) will_qos: ohmqtt_client::Qos,
    /// Let the broker retain the will
    #[arg(long, requires = "will_topic")]
    pub(crate) will_retain: bool,
    /// Log what happens, on standard error
    #[arg(short = 'd', long)]
    pub(crate) debug: bool,
    /// Print no error messages, and nothing of the connection
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Nothing: packets that are ready leave at once here
    #[arg(long, hide = true)]
    pub(crate) nodelay: bool,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    #[command(flatten)]
    pub(crate) properties: PropertyArgs,
    #[command(flatten)]
    pub(crate) help: HelpArgs,
}

/// Seconds, with a fraction if need be.
pub(crate) fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let parsed = text.parse::<f64>().ok();
    parsed
        .and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "not a number of seconds".to_owned())
}

/// A QoS.
pub(crate) fn qos(text: &str) -> Result<ohmqtt_client::Qos, String> {
    let number = text.parse::<u8>().ok();
    number
        .and_then(|number| ohmqtt_client::Qos::try_from(number).ok())
        .ok_or_else(|| "a QoS is 0, 1 or 2".to_owned())
}

fn expiry(text: &str) -> Result<u32, String> {
    match text {
        "-1" | "∞" => Ok(u32::MAX),
        _ => text
            .parse()
            .map_err(|_| "not a number of whole seconds up to 4294967295, -1 or ∞".to_owned()),
    }
}

/// MQTT 5.0.
#[derive(Debug, Clone)]
pub(crate) struct Version;

fn version(text: &str) -> Result<Version, String> {
    match text {
        "5" | "mqttv5" => Ok(Version),
        _ => Err("MQTT 5.0 is the only version here: 5 or mqttv5".to_owned()),
    }
}
