//! The servers under test, each at free ports: ours in this process, Mosquitto in processes of its own. What they have beside their
//! defaults stands here: one of each kind is told to take no QoS 2 and to retain nothing, and one of ours has a method of enhanced
//! authentication.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use bytes::Bytes;
use ohmqtt_broker::{
    AuthStep, BoxFuture, Broker, EnhancedAuthenticate, Exchange, Limits, Login, Qos, ReasonCode,
    User,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::check::Addresses;
use crate::wire::PATIENCE;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Another process may take a port between the look and the start.
const PORTS: usize = 20;

/// Ours, which ends with this value.
#[derive(Debug)]
pub(crate) struct Ours {
    runtime: Runtime,
    brokers: Vec<Broker>,
    pub(crate) addresses: Addresses,
}

impl Ours {
    /// Starts it.
    pub(crate) fn start() -> Result<Self> {
        let runtime = Runtime::new()?;
        let mut limits = Limits::default();
        // What makes it close a connection is what came on it, and not that nothing more comes.
        limits.connect_timeout = 10 * PATIENCE;
        let patient = limits.clone();
        let builder = || {
            let builder = Broker::builder().listen("mqtt://127.0.0.1:0");
            builder.limits(patient.clone())
        };
        limits.maximum_qos = Qos::AtLeastOnce;
        limits.retain_available = false;
        let broker = runtime.block_on(builder().listen("ws://127.0.0.1:0").start())?;
        let limited = runtime.block_on(builder().limits(limits).start())?;
        let asking = runtime.block_on(builder().enhanced(Watchword).start())?;
        let addresses = Addresses {
            tcp: address(&broker, "mqtt://")?,
            ws: address(&broker, "ws://")?,
            limited: address(&limited, "mqtt://")?,
            asking: address(&asking, "mqtt://")?,
        };
        Ok(Self {
            runtime,
            brokers: vec![broker, limited, asking],
            addresses,
        })
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        for broker in self.brokers.drain(..) {
            self.runtime
                .block_on(broker.shutdown(Duration::from_secs(1)));
        }
    }
}

/// Where a broker of ours listens with this scheme.
fn address(broker: &Broker, scheme: &str) -> Result<SocketAddr> {
    let urls = broker.urls();
    let mut places = urls.iter().filter_map(|url| {
        let place = url.strip_prefix(scheme)?;
        place.split('/').next()?.parse().ok()
    });
    places.next().ok_or_else(|| scheme.into())
}

/// The method of enhanced authentication that one of ours has: whatever the client says first, it is asked for [`ANSWER`].
pub(crate) const WATCHWORD: &str = "WATCHWORD";
/// What that server asks.
pub(crate) const CHALLENGE: &str = "flash";
/// What a client is to answer.
pub(crate) const ANSWER: &str = "thunder";

struct Watchword;

struct Asked(bool);

impl EnhancedAuthenticate for Watchword {
    fn method(&self) -> &str {
        WATCHWORD
    }

    fn begin(&self) -> Box<dyn Exchange> {
        Box::new(Asked(false))
    }
}

impl Exchange for Asked {
    fn step<'a>(&'a mut self, _: &'a Login, data: Option<Bytes>) -> BoxFuture<'a, AuthStep> {
        let was_asked = std::mem::replace(&mut self.0, true);
        let step = match data {
            _ if !was_asked => AuthStep::More {
                data: Some(CHALLENGE.into()),
            },
            Some(word) if word == ANSWER => AuthStep::Accept {
                user: User::named("friend"),
                data: None,
            },
            _ => AuthStep::Refuse {
                reason: ReasonCode::NotAuthorized,
                data: None,
            },
        };
        Box::pin(std::future::ready(step))
    }
}

/// Mosquitto, which is killed with this value.
#[derive(Debug)]
pub(crate) struct Mosquitto {
    _processes: [Daemon; 2],
    pub(crate) addresses: Addresses,
    /// As its log says: `mosquitto version 2.0.11 starting`.
    pub(crate) version: String,
}

impl Mosquitto {
    /// Starts it.
    pub(crate) fn start() -> Result<Self> {
        let (plain, tcp, ws, version) = Daemon::start("")?;
        let (limited, limited_at, _, _) = Daemon::start("max_qos 1\nretain_available false\n")?;
        Ok(Self {
            _processes: [plain, limited],
            addresses: Addresses {
                tcp,
                ws,
                limited: limited_at,
                // Without a plugin it has no method.
                asking: tcp,
            },
            version,
        })
    }
}

/// A process of Mosquitto.
#[derive(Debug)]
struct Daemon {
    process: Child,
    _folder: TempDir,
}

impl Daemon {
    /// Starts one with these lines about its TCP listener; where it listens, and its version.
    fn start(about: &str) -> Result<(Self, SocketAddr, SocketAddr, String)> {
        let folder = TempDir::new()?;
        for _ in 0..PORTS {
            let (at, web) = (free()?, free()?);
            let conf = folder.path().join("mosquitto.conf");
            let (tcp, ws) = (at.port(), web.port());
            // Started as root it would become another user.
            let said = format!(
                "per_listener_settings false\nuser root\nallow_anonymous true\npersistence false\n\
                 set_tcp_nodelay true\nlog_dest stderr\nlistener {tcp} 127.0.0.1\n{about}\
                 listener {ws} 127.0.0.1\nprotocol websockets\n"
            );
            fs::write(&conf, said)?;
            let mut command = Command::new(program()?);
            let command = command.arg("-c").arg(conf).stdin(Stdio::null());
            let mut process = command
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()?;
            let Some(log) = process.stderr.take() else {
                return Err("mosquitto has no standard error".into());
            };
            let mut lines = BufReader::new(log).lines().map_while(std::io::Result::ok);
            let mut version = String::new();
            let is_running = lines.any(|line| {
                if let Some((_, rest)) = line.split_once("mosquitto version ") {
                    rest.trim_end_matches(" starting").clone_into(&mut version);
                }
                line.contains(" running")
            });
            if is_running {
                // It is to find somebody who reads its log until it ends.
                std::thread::spawn(move || lines.for_each(drop));
                let daemon = Self {
                    process,
                    _folder: folder,
                };
                return Ok((daemon, at, web, version));
            }
            process.wait()?;
        }
        Err("mosquitto does not start".into())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Daemons stand in folders that are only in root's `PATH`.
fn program() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let daemons = ["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(daemons)
        .map(|folder| folder.join("mosquitto"))
        .find(|path| path.is_file())
        .ok_or_else(|| "mosquitto not found: install it (Debian: apt-get install mosquitto)".into())
}
