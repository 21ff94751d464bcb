//! `unix:/path` and `unix:@name`: Unix sockets, both ends.

use std::fs::{self, File, Metadata, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio::time::sleep;

use crate::backend::Backend;
use crate::patience::accept_patiently;
use crate::{
    Accepted, BoxFuture, Connector, Endpoint, Listen, ListenOptions, Peer, PeerAddress, Phase,
    Transport, TransportError, TransportErrorKind,
};

/// How many connections may wait to be accepted; the system's own limit may be lower.
const BACKLOG: u32 = 1024;

/// How long to wait for what others hold for a moment only, and how often to look.
const PAUSE: Duration = Duration::from_millis(10);
const LOOKS: u32 = 100;

/// The row of Unix sockets in the table of backends.
pub(crate) struct Unix;

impl Backend for Unix {
    fn connect<'a>(
        &self,
        _connector: &'a Connector,
        to: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Transport>, TransportError>> {
        Box::pin(async move { Ok(Box::new(connect(to).await?) as Box<dyn Transport>) })
    }

    fn listen<'a>(
        &self,
        at: &'a Endpoint,
        options: &'a ListenOptions,
    ) -> BoxFuture<'a, Result<Box<dyn Listen>, TransportError>> {
        Box::pin(async move {
            let listen = UnixListen::bind(at, options.socket_mode).await;
            match listen {
                Ok(listen) => Ok(Box::new(listen) as Box<dyn Listen>),
                Err(error) => Err(TransportError::from_io(Phase::Listen, at, error)),
            }
        })
    }
}

/// Where the socket is, in the form the system's calls take: an abstract name begins with a zero byte, which no path in a
/// URL can hold.
fn address(endpoint: &Endpoint) -> PathBuf {
    let path = endpoint.path().unwrap_or_default();
    match path.strip_prefix('@') {
        Some(name) => format!("\0{name}").into(),
        None => path.into(),
    }
}

async fn connect(to: &Endpoint) -> Result<UnixStream, TransportError> {
    let address = address(to);
    loop {
        match UnixStream::connect(&address).await {
            Ok(stream) => return Ok(stream),
            // The listener's queue is full; unlike TCP, the system does not wait for room.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(PAUSE).await,
            // No file is what is left of a broker that is not running.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let kind = TransportErrorKind::Refused;
                return Err(TransportError::new(kind, Phase::Connect, to, error));
            }
            Err(error) => return Err(TransportError::from_io(Phase::Connect, to, error)),
        }
    }
}

struct UnixListen {
    listener: UnixListener,
    local: Endpoint,
    name: String,
    /// The socket file, which goes with the listener; `None` for an abstract name.
    _file: Option<SocketFile>,
}

impl UnixListen {
    async fn bind(at: &Endpoint, mode: Option<u32>) -> io::Result<Self> {
        let address = address(at);
        let (listener, file) = if address.as_os_str().as_encoded_bytes().starts_with(b"\0") {
            let socket = UnixSocket::new_stream()?;
            socket.bind(&address)?;
            (socket.listen(BACKLOG)?, None)
        } else {
            let (listener, file) = bind_file(address, mode).await?;
            (listener, Some(file))
        };
        let local = at.listening_at(0);
        Ok(Self {
            listener,
            name: local.to_string(),
            local,
            _file: file,
        })
    }
}

impl Listen for UnixListen {
    fn local(&self) -> Endpoint {
        self.local.clone()
    }

    fn accept(&mut self) -> BoxFuture<'_, Result<Accepted, TransportError>> {
        Box::pin(async move {
            let (stream, _) = accept_patiently(&self.name, || self.listener.accept())
                .await
                .map_err(|error| TransportError::from_io(Phase::Accept, &self.local, error))?;
            let peer = Peer::new(PeerAddress::Local);
            let handshake = async move { Ok((Box::new(stream) as Box<dyn Transport>, peer)) };
            Ok(Accepted::new(PeerAddress::Local, Box::pin(handshake)))
        })
    }
}

async fn bind_file(path: PathBuf, mode: Option<u32>) -> io::Result<(UnixListener, SocketFile)> {
    // Between bind and listen a socket looks stale to another process, so only one at a time does what follows.
    let _lock = lock_directory_of(&path).await;
    remove_if_stale(&path).await?;
    let socket = UnixSocket::new_stream()?;
    socket.bind(&path)?;
    let file = SocketFile::new(path)?;
    // Before `listen` nobody can connect, so nobody does under other permissions than these.
    if let Some(mode) = mode {
        fs::set_permissions(&file.path, Permissions::from_mode(mode))?;
    }
    Ok((socket.listen(BACKLOG)?, file))
}

/// Locks the directory against others that start to listen in it, until the file is dropped. `None` where it cannot be
/// opened, its file system has no locks, or someone else holds on to it: better without than not at all.
async fn lock_directory_of(path: &Path) -> Option<File> {
    let directory = File::open(path.parent()?).ok()?;
    for _ in 0..LOOKS {
        match directory.try_lock() {
            Ok(()) => return Some(directory),
            Err(TryLockError::WouldBlock) => sleep(PAUSE).await,
            Err(TryLockError::Error(_)) => return None,
        }
    }
    tracing::debug!(path = %path.display(), "the directory of the socket is locked; going on");
    None
}

/// Makes way for a listener at `path`: a socket nobody listens at is removed, anything else is left and an error.
async fn remove_if_stale(path: &Path) -> io::Result<()> {
    let absent_is_fine = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    };
    match fs::symlink_metadata(path) {
        Err(error) => return absent_is_fine(error),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(io::Error::other(
                "a file that is not a socket stands there; remove it or choose another path",
            ));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tracing::info!(path = %path.display(), "removing a socket that nobody listens at");
            fs::remove_file(path).or_else(absent_is_fine)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Someone listens, is too busy to answer, or is not ours to ask.
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// A socket file that is removed when its listener is dropped, unless another has taken its place.
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn new(path: PathBuf) -> io::Result<Self> {
        let identity = identity_of(&fs::symlink_metadata(&path)?);
        Ok(Self { path, identity })
    }
}

fn identity_of(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| identity_of(&metadata) == self.identity);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "socket file not removed");
        }
    }
}
