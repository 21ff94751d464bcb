//! Mosquitto, on the loopback, for what is measured against it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use super::figures::Folder;
use crate::debian::{self, MOSQUITTO};
use crate::error::{Error, Result, failed};
use crate::project::program;

/// It is asked so often, with as long a pause, whether it takes connections.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// A broker that keeps nothing back, for as long as this is there.
pub(super) struct Mosquitto {
    process: Child,
    pub(super) port: u16,
    _folder: Folder,
}

impl Mosquitto {
    /// Starts it; its settings are in a folder of this name.
    pub(super) fn start(name: &str) -> Result<Self> {
        debian::provide(&MOSQUITTO)?;
        let failure = |error: std::io::Error| Error::Failed(format!("mosquitto: {error}"));
        // Free now, and hardly taken in the meantime: it would be heard of at once.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|free| free.local_addr())
            .map_err(failure)?
            .port();
        let folder = Folder::new(name)?;
        let settings = folder.0.join("mosquitto.conf");
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 0\n\
             max_inflight_messages 1000\nset_tcp_nodelay true\nlog_type error\n"
        );
        fs::write(&settings, text).map_err(failure)?;
        let mut mosquitto: Command = program("mosquitto");
        mosquitto.env("PATH", debian::search_path());
        let process = mosquitto.arg("-c").arg(settings).spawn().map_err(failure)?;
        let mut broker = Self {
            process,
            port,
            _folder: folder,
        };
        for _ in 0..TRIES {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(broker);
            }
            if let Ok(Some(status)) = broker.process.try_wait() {
                return failed(format!("mosquitto: {status}"));
            }
            sleep(PAUSE);
        }
        failed("mosquitto takes no connections")
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
