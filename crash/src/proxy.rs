//! A proxy between a client and the broker: it knows the broker's address, which changes as it is started again, and cuts
//! connections after any byte.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// In which direction bytes are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToBroker,
    ToClient,
}

/// The end of a connection: after so many more bytes that way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) way: Way,
    pub(crate) after: usize,
}

/// What a cut may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The connection that stands, or a later one.
    AnyConnection,
    /// The connection that stands.
    ThisConnection,
}

/// A proxy on a port of its own. Dropping it ends its connections.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Where connections lead to; nowhere: they are cut, and new ones ended at once.
    upstream: watch::Sender<Option<SocketAddr>>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    cut: Mutex<Option<Cut>>,
}

impl Proxy {
    pub(crate) async fn start(reach: Reach) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let (upstream, leads_to) = watch::channel(None);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, leads_to, Arc::clone(&shared), reach));
        Ok(Self {
            address,
            shared,
            upstream,
            _tasks: tasks,
        })
    }

    /// The URL for clients.
    pub(crate) fn url(&self) -> String {
        format!("mqtt://{}", self.address)
    }

    /// From now on connections lead there. Those that led elsewhere are cut.
    pub(crate) fn lead_to(&self, upstream: Option<SocketAddr>) {
        self.upstream
            .send_if_modified(|now| std::mem::replace(now, upstream) != upstream);
    }

    /// Ends a connection after so many bytes.
    pub(crate) fn cut(&self, cut: Cut) {
        *self.shared.cut() = Some(cut);
    }
}

impl Shared {
    fn cut(&self) -> MutexGuard<'_, Option<Cut>> {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many of the next bytes that way pass, if it is not all of them.
    fn passing(&self, way: Way, bytes: usize) -> Option<usize> {
        let mut slot = self.cut();
        match &mut *slot {
            Some(cut) if cut.way == way => {
                if cut.after > bytes {
                    cut.after -= bytes;
                    return None;
                }
                let passing = cut.after;
                *slot = None;
                Some(passing)
            }
            _ => None,
        }
    }
}

async fn accept(
    listener: TcpListener,
    leads_to: watch::Receiver<Option<SocketAddr>>,
    shared: Arc<Shared>,
    reach: Reach,
) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let mut leads_to = leads_to.clone();
        let Some(upstream) = *leads_to.borrow_and_update() else {
            continue;
        };
        if reach == Reach::ThisConnection {
            shared.cut().take();
        }
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            tokio::select! {
                // An error ends the connection, as anything else does here.
                _ = carry(client, upstream, &shared) => {}
                _ = leads_to.changed() => {}
            }
        });
    }
}

async fn carry(mut client: TcpStream, upstream: SocketAddr, shared: &Shared) -> io::Result<()> {
    let mut broker = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    broker.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_broker, to_broker) = broker.split();
    tokio::select! {
        end = pump(from_client, to_broker, Way::ToBroker, shared) => end,
        end = pump(from_broker, to_client, Way::ToClient, shared) => end,
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    way: Way,
    shared: &Shared,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let bytes = from.read(&mut buffer).await?;
        if bytes == 0 {
            return Ok(());
        }
        if let Some(passing) = shared.passing(way, bytes) {
            return to.write_all(&buffer[..passing]).await;
        }
        to.write_all(&buffer[..bytes]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pair(proxy: &Proxy, broker: &TcpListener) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(proxy.address).await.unwrap();
        (client, broker.accept().await.unwrap().0)
    }

    async fn rest(stream: &mut TcpStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Whether it ends in order or is reset is the system's business.
        let _ = stream.read_to_end(&mut bytes).await;
        bytes
    }

    #[tokio::test]
    async fn a_cut_lets_so_many_bytes_pass_that_way_and_no_more() {
        let broker = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(Reach::AnyConnection).await.unwrap();
        proxy.lead_to(broker.local_addr().ok());
        let (mut client, mut server) = pair(&proxy, &broker).await;
        proxy.cut(Cut {
            way: Way::ToBroker,
            after: 5,
        });
        server.write_all(b"the other way").await.unwrap();
        let mut heard = [0; 13];
        client.read_exact(&mut heard).await.unwrap();
        client.write_all(b"abc").await.unwrap();
        server.read_exact(&mut heard[..3]).await.unwrap();
        client.write_all(b"defg").await.unwrap();
        assert_eq!(rest(&mut server).await, b"de");
        assert_eq!(rest(&mut client).await, b"");
        // One connection was to be cut, and the next is whole.
        let (mut client, mut server) = pair(&proxy, &broker).await;
        client.write_all(b"0123456789").await.unwrap();
        drop(client);
        assert_eq!(rest(&mut server).await, b"0123456789");
    }

    #[tokio::test]
    async fn a_cut_may_be_for_one_connection_alone() {
        let broker = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(Reach::ThisConnection).await.unwrap();
        proxy.lead_to(broker.local_addr().ok());
        let first = pair(&proxy, &broker).await;
        let (way, after) = (Way::ToBroker, 5);
        proxy.cut(Cut { way, after });
        drop(first);
        let (mut client, mut server) = pair(&proxy, &broker).await;
        client.write_all(b"0123456789").await.unwrap();
        drop(client);
        assert_eq!(rest(&mut server).await, b"0123456789");
    }

    #[tokio::test]
    async fn what_leads_nowhere_is_cut_and_refused() {
        let broker = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(Reach::AnyConnection).await.unwrap();
        proxy.lead_to(broker.local_addr().ok());
        let (mut client, mut server) = pair(&proxy, &broker).await;
        proxy.lead_to(None);
        assert_eq!(rest(&mut client).await, b"");
        assert_eq!(rest(&mut server).await, b"");
        let mut client = TcpStream::connect(proxy.address).await.unwrap();
        assert_eq!(rest(&mut client).await, b"");
        proxy.lead_to(broker.local_addr().ok());
        pair(&proxy, &broker).await;
    }
}
