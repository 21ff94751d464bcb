//! A broker's options in a TOML file.

use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ohmqtt_broker::{Limits, Qos};
use serde::Deserialize;

use super::{BrokerArgs, Settings, Tls};
use crate::failure::Failure;

/// The file: what the command line can say, and limits. Names of files in it are from its own folder.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct BrokerFile {
    port: Option<u16>,
    #[serde(default)]
    listen: Vec<String>,
    tls: Option<FileTls>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    #[serde(default)]
    certificate_users: bool,
    passwords: Option<PathBuf>,
    acl: Option<PathBuf>,
    #[serde(default)]
    allow_anonymous: bool,
    store: Option<PathBuf>,
    #[serde(default)]
    fast: bool,
    limits: Option<FileLimits>,
    #[serde(skip)]
    folder: PathBuf,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FileTls {
    SelfSigned,
}

/// Times are in seconds, sizes in bytes; what they mean is told at `ohmqtt_broker::Limits`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileLimits {
    connections: Option<usize>,
    half_open: Option<usize>,
    connect_timeout: Option<f64>,
    packet_size: Option<NonZeroU32>,
    receive_maximum: Option<NonZeroU16>,
    topic_aliases: Option<u16>,
    topic_levels: Option<usize>,
    sessions: Option<usize>,
    session_expiry: Option<u64>,
    subscriptions: Option<usize>,
    keep_alive: Option<NonZeroU16>,
    session_queue: Option<usize>,
    session_queue_bytes: Option<usize>,
    queued_bytes: Option<usize>,
    retained: Option<usize>,
    retained_bytes: Option<usize>,
    maximum_qos: Option<u8>,
    retain_available: Option<bool>,
    wildcard_subscription_available: Option<bool>,
    shared_subscription_available: Option<bool>,
    sys_interval: Option<u64>,
}

impl BrokerFile {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| Failure::file("--config", path, &error))?;
        let mut file: Self = toml::from_str(&text)
            .map_err(|error| Failure::usage(format!("--config '{}': {error}", path.display())))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        folder.clone_into(&mut file.folder);
        Ok(file)
    }

    /// What the command line says, and where it says nothing, the file.
    pub(super) fn under(self, mut args: BrokerArgs) -> Result<Settings, Failure> {
        let folder = self.folder;
        let path = |named: Option<PathBuf>| named.map(|named| folder.join(named));
        if args.port.is_none() && args.listen.is_empty() {
            args.port = self.port;
            args.listen = self.listen;
        }
        if args.tls.is_none() && args.cert.is_none() {
            args.tls = self.tls.map(|FileTls::SelfSigned| Tls::SelfSigned);
            args.cert = path(self.cert);
            args.key = args.key.or(path(self.key));
        }
        args.client_ca = args.client_ca.or(path(self.client_ca));
        args.certificate_users |= self.certificate_users;
        args.passwords = args.passwords.or(path(self.passwords));
        args.acl = args.acl.or(path(self.acl));
        args.allow_anonymous |= self.allow_anonymous;
        args.store = args.store.or(path(self.store));
        args.fast |= self.fast;
        let limits = self.limits.map(FileLimits::limits).transpose()?;
        Ok(args.with_limits(limits))
    }
}

impl FileLimits {
    fn limits(self) -> Result<Limits, Failure> {
        let mut limits = Limits::default();
        macro_rules! take {
            ($($field:ident)*) => {$(
                if let Some(value) = self.$field {
                    limits.$field = value;
                }
            )*};
        }
        take! {
            connections half_open packet_size receive_maximum topic_aliases topic_levels sessions subscriptions session_queue
            session_queue_bytes queued_bytes retained retained_bytes retain_available wildcard_subscription_available
            shared_subscription_available
        }
        limits.keep_alive = self.keep_alive.or(limits.keep_alive);
        if let Some(seconds) = self.session_expiry {
            limits.session_expiry = Some(Duration::from_secs(seconds));
        }
        if let Some(seconds) = self.sys_interval {
            limits.sys_interval = (seconds > 0).then(|| Duration::from_secs(seconds));
        }
        if let Some(seconds) = self.connect_timeout {
            limits.connect_timeout = Duration::try_from_secs_f64(seconds)
                .map_err(|error| Failure::usage(format!("--config: connect-timeout: {error}")))?;
        }
        if let Some(qos) = self.maximum_qos {
            limits.maximum_qos = Qos::try_from(qos)
                .map_err(|_| Failure::usage("--config: maximum-qos: a QoS is 0, 1 or 2"))?;
        }
        Ok(limits)
    }
}
