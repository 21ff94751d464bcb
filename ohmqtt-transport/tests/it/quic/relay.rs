//! A UDP path that can be bad: it loses packets by a seed, is cut, or moves its far end to another address.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use ohmqtt_transport::Endpoint;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

pub(super) struct Relay {
    near: Arc<UdpSocket>,
    server: SocketAddr,
    path: Arc<Path>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

struct Path {
    /// Who the client is, once it has spoken.
    client: Mutex<Option<SocketAddr>>,
    /// The socket that the server sees.
    far: Mutex<Arc<UdpSocket>>,
    cut: AtomicBool,
    /// One packet in so many is lost; 0: none.
    loss: u32,
    random: AtomicU32,
    lost: AtomicU32,
}

impl Relay {
    pub(super) async fn start(server: u16, loss: u32) -> Self {
        let near = Arc::new(bind().await);
        let path = Arc::new(Path {
            client: Mutex::new(None),
            far: Mutex::new(Arc::new(bind().await)),
            cut: AtomicBool::new(false),
            loss,
            random: AtomicU32::new(0x2545_f491),
            lost: AtomicU32::new(0),
        });
        let relay = Self {
            near,
            server: ([127, 0, 0, 1], server).into(),
            path,
            tasks: Mutex::default(),
        };
        relay.carry_out();
        relay.carry_back();
        relay
    }

    /// Where clients connect to.
    pub(super) fn url(&self) -> Endpoint {
        let port = self.near.local_addr().unwrap().port();
        format!("quic://127.0.0.1:{port}").parse().unwrap()
    }

    /// From now on nothing passes.
    pub(super) fn cut(&self) {
        self.path.cut.store(true, Ordering::Relaxed);
    }

    /// From now on the client's packets come from another address, and what is sent to the old one is lost.
    pub(super) async fn move_away(&self) {
        *self.path.far.lock().unwrap() = Arc::new(bind().await);
        self.tasks.lock().unwrap().pop().unwrap().abort();
        self.carry_back();
    }

    /// How many packets were lost so far.
    pub(super) fn lost(&self) -> u32 {
        self.path.lost.load(Ordering::Relaxed)
    }

    fn carry_out(&self) {
        let (near, path, server) = (self.near.clone(), self.path.clone(), self.server);
        self.spawn(async move {
            let mut packet = vec![0; 65_536];
            while let Ok((len, from)) = near.recv_from(&mut packet).await {
                *path.client.lock().unwrap() = Some(from);
                let far = path.far.lock().unwrap().clone();
                if path.passes() {
                    let _ = far.send_to(&packet[..len], server).await;
                }
            }
        });
    }

    fn carry_back(&self) {
        let (near, path) = (self.near.clone(), self.path.clone());
        let far = path.far.lock().unwrap().clone();
        self.spawn(async move {
            let mut packet = vec![0; 65_536];
            while let Ok((len, _)) = far.recv_from(&mut packet).await {
                let client = *path.client.lock().unwrap();
                if let (true, Some(client)) = (path.passes(), client) {
                    let _ = near.send_to(&packet[..len], client).await;
                }
            }
        });
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().unwrap().push(tokio::spawn(task));
    }
}

impl Path {
    /// Whether the next packet comes through.
    fn passes(&self) -> bool {
        if self.cut.load(Ordering::Relaxed) {
            return false;
        }
        let step = |state: u32| state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let next = |state| Some(step(state));
        let random = self
            .random
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let lost = self.loss > 0 && (step(random.unwrap()) >> 16) % self.loss == 0;
        self.lost.fetch_add(u32::from(lost), Ordering::Relaxed);
        !lost
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        for task in self.tasks.lock().unwrap().drain(..) {
            task.abort();
        }
    }
}

async fn bind() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}
