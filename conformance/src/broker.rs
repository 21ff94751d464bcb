//! The servers under test, each at free ports and with its defaults: ours in this process, Mosquitto in one of its own.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::check::Addresses;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Another process may take a port between the look and the start.
const PORTS: usize = 20;

/// Ours, which ends with this value.
#[derive(Debug)]
pub(crate) struct Ours {
    runtime: Runtime,
    broker: Option<ohmqtt_broker::Broker>,
    pub(crate) addresses: Addresses,
}

impl Ours {
    /// Starts it.
    pub(crate) fn start() -> Result<Self> {
        let runtime = Runtime::new()?;
        let builder = ohmqtt_broker::Broker::builder()
            .listen("mqtt://127.0.0.1:0")
            .listen("ws://127.0.0.1:0");
        let broker = runtime.block_on(builder.start())?;
        let address = |scheme: &str| -> Result<SocketAddr> {
            let urls = broker.urls();
            let mut places = urls.iter().filter_map(|url| {
                let place = url.strip_prefix(scheme)?;
                place.split('/').next()?.parse().ok()
            });
            places.next().ok_or_else(|| scheme.into())
        };
        let addresses = Addresses {
            tcp: address("mqtt://")?,
            ws: address("ws://")?,
        };
        Ok(Self {
            runtime,
            broker: Some(broker),
            addresses,
        })
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        if let Some(broker) = self.broker.take() {
            self.runtime
                .block_on(broker.shutdown(Duration::from_secs(1)));
        }
    }
}

/// Mosquitto, which is killed with this value.
#[derive(Debug)]
pub(crate) struct Mosquitto {
    process: Child,
    _folder: TempDir,
    pub(crate) addresses: Addresses,
    /// As its log says: `mosquitto version 2.0.11 starting`.
    pub(crate) version: String,
}

impl Mosquitto {
    /// Starts it.
    pub(crate) fn start() -> Result<Self> {
        let folder = TempDir::new()?;
        for _ in 0..PORTS {
            let addresses = Addresses {
                tcp: free()?,
                ws: free()?,
            };
            let conf = folder.path().join("mosquitto.conf");
            let (tcp, ws) = (addresses.tcp.port(), addresses.ws.port());
            // Started as root it would become another user.
            let said = format!(
                "per_listener_settings false\nuser root\nallow_anonymous true\npersistence false\n\
                 set_tcp_nodelay true\nlog_dest stderr\nlistener {tcp} 127.0.0.1\n\
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
                return Ok(Self {
                    process,
                    _folder: folder,
                    addresses,
                    version,
                });
            }
            process.wait()?;
        }
        Err("mosquitto does not start".into())
    }
}

impl Drop for Mosquitto {
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
