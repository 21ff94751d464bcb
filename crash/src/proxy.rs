//! A proxy between a client and the broker: it knows the broker's address, which changes as it is started again, and cuts
//! connections after any byte. It may pass on bytes in small pieces and late, and may end connections by a reset.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

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

/// What a proxy does to the connections it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Treatment {
    pub(crate) reach: Reach,
    /// How bytes pass; otherwise as they come.
    pub(crate) pieces: Option<Pieces>,
    /// Connections end by a reset at both ends, not in order.
    pub(crate) resets: bool,
}

/// Small pieces, some of them late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pieces {
    /// A piece has at least one byte and at most so many.
    pub(crate) most: usize,
    /// One piece of `one_in` is late, by up to `late`.
    pub(crate) one_in: u32,
    pub(crate) late: Duration,
    pub(crate) seed: u64,
}

impl From<Reach> for Treatment {
    fn from(reach: Reach) -> Self {
        Self {
            reach,
            pieces: None,
            resets: false,
        }
    }
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
    pub(crate) async fn start(treatment: impl Into<Treatment>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let (upstream, leads_to) = watch::channel(None);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(
            listener,
            leads_to,
            Arc::clone(&shared),
            treatment.into(),
        ));
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

    /// Takes back what was to be cut, if it has not been.
    pub(crate) fn spare(&self) -> Option<Cut> {
        self.shared.cut().take()
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
    treatment: Treatment,
) {
    let mut connections = JoinSet::new();
    let mut seed = treatment.pieces.map_or(0, |pieces| pieces.seed);
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let mut leads_to = leads_to.clone();
        let Some(upstream) = *leads_to.borrow_and_update() else {
            continue;
        };
        if treatment.reach == Reach::ThisConnection {
            shared.cut().take();
        }
        let shared = Arc::clone(&shared);
        seed = seed.wrapping_add(1);
        connections.spawn(async move {
            tokio::select! {
                // An error ends the connection, as anything else does here.
                _ = carry(client, upstream, &shared, treatment, seed) => {}
                _ = leads_to.changed() => {}
            }
        });
    }
}

async fn carry(
    mut client: TcpStream,
    upstream: SocketAddr,
    shared: &Shared,
    treatment: Treatment,
    seed: u64,
) -> io::Result<()> {
    let mut broker = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    broker.set_nodelay(true)?;
    let pump = |way, rng| Pump {
        way,
        shared,
        pieces: treatment.pieces,
        rng,
    };
    let mut rng = Rng::with_seed(seed);
    let (to_broker, to_client) = (
        pump(Way::ToBroker, rng.fork()),
        pump(Way::ToClient, rng.fork()),
    );
    let end = {
        let (from_client, into_client) = client.split();
        let (from_broker, into_broker) = broker.split();
        tokio::select! {
            end = to_broker.run(from_client, into_broker) => end,
            end = to_client.run(from_broker, into_client) => end,
        }
    };
    if treatment.resets {
        client.set_zero_linger()?;
        broker.set_zero_linger()?;
    }
    end
}

/// One way through the proxy.
struct Pump<'a> {
    way: Way,
    shared: &'a Shared,
    pieces: Option<Pieces>,
    rng: Rng,
}

impl Pump<'_> {
    async fn run(
        mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let bytes = from.read(&mut buffer).await?;
            if bytes == 0 {
                return Ok(());
            }
            let passing = self.shared.passing(self.way, bytes);
            self.pass(&mut to, &buffer[..passing.unwrap_or(bytes)])
                .await?;
            if passing.is_some() {
                return Ok(());
            }
        }
    }

    async fn pass(&mut self, to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
        let Some(pieces) = self.pieces else {
            return to.write_all(bytes).await;
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(self.rng.usize(1..=pieces.most.min(rest.len())));
            if self.rng.u32(..pieces.one_in) == 0 {
                sleep(pieces.late.mul_f64(self.rng.f64())).await;
            }
            to.write_all(piece).await?;
            rest = behind;
        }
        Ok(())
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

    #[tokio::test]
    async fn pieces_are_small_and_make_the_same_whole() {
        let broker = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pieces = Pieces {
            most: 3,
            one_in: 8,
            late: Duration::from_millis(3),
            seed: 7,
        };
        let treatment = Treatment {
            pieces: Some(pieces),
            ..Treatment::from(Reach::AnyConnection)
        };
        let proxy = Proxy::start(treatment).await.unwrap();
        proxy.lead_to(broker.local_addr().ok());
        let (mut client, mut server) = pair(&proxy, &broker).await;
        let sent: Vec<u8> = (0..=255).collect();
        client.write_all(&sent).await.unwrap();
        drop(client);
        let (mut came, mut reads) = (Vec::new(), 0);
        while server.read_buf(&mut came).await.unwrap() > 0 {
            reads += 1;
        }
        assert_eq!(came, sent);
        assert!(reads > 1, "all came at once");
    }

    #[tokio::test]
    async fn a_reset_is_one_at_both_ends_and_what_was_to_be_cut_may_be_spared() {
        let broker = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let treatment = Treatment {
            resets: true,
            ..Treatment::from(Reach::AnyConnection)
        };
        let proxy = Proxy::start(treatment).await.unwrap();
        proxy.lead_to(broker.local_addr().ok());
        let (mut client, mut server) = pair(&proxy, &broker).await;
        let cut = Cut {
            way: Way::ToBroker,
            after: 2,
        };
        proxy.cut(cut);
        assert_eq!(proxy.spare(), Some(cut));
        proxy.cut(cut);
        client.write_all(b"abc").await.unwrap();
        let mut came = Vec::new();
        for stream in [&mut server, &mut client] {
            let error = stream.read_to_end(&mut came).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
        assert_eq!(came, b"ab");
        assert_eq!(proxy.spare(), None);
    }
}
