//! The handle that users hold, and the task behind it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ohmqtt_codec::{Disconnect, DisconnectProperties, MqttString, ReasonCode};
use ohmqtt_transport::Listen;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::connections::Who;
use crate::core::{Core, State};
use crate::faults::Seam;
use crate::listener::accept_all;
use crate::session::Sessions;
use crate::{Builder, FileError, Metrics};

/// How long a broker whose handle was dropped waits for its clients to go.
const DROP_DEADLINE: Duration = Duration::from_secs(5);

/// How soon a broker that stops looks again whether a client has what is under way.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A running broker.
///
/// It runs on the tokio runtime it was started in. When the handle is dropped it stops in the background, in the same order as
/// [`shutdown`](Self::shutdown), with a deadline of 5 seconds.
#[derive(Debug)]
#[must_use = "a broker stops when its handle is dropped"]
pub struct Broker {
    urls: Vec<String>,
    core: Arc<Core>,
    stop: oneshot::Sender<Duration>,
    task: JoinHandle<()>,
    #[cfg_attr(
        not(feature = "faults"),
        expect(dead_code, reason = "without the feature nothing comes in there")
    )]
    pub(crate) seam: Seam,
}

impl Broker {
    /// Settings for a broker, to begin with the defaults.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn run(core: Arc<Core>, listeners: Vec<Box<dyn Listen>>, seam: Seam) -> Self {
        let urls = listeners
            .iter()
            .map(|listener| listener.local().to_string());
        let urls = urls.collect();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(supervise(Arc::clone(&core), listeners, stopped));
        Self {
            urls,
            core,
            stop,
            task,
            seam,
        }
    }

    /// Where clients connect to: one URL for each listener, in the order they were given, with the ports that were chosen.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// The first of [`urls`](Self::urls).
    pub fn url(&self) -> &str {
        self.urls.first().map_or("", String::as_str)
    }

    /// What the broker holds and has done so far. Looks at each session for that.
    pub fn metrics(&self) -> Metrics {
        self.core.with(State::metrics)
    }

    /// Ends the connection of a client with Administrative action (0x98). Its session stays for as long as it asked, and its will is
    /// published as after any end that the client did not say. False when no such client is connected.
    pub fn disconnect(&self, client_id: &str) -> bool {
        self.core.with(|state, _| {
            let id = MqttString::try_from(client_id).ok();
            let key = id.and_then(|id| state.sessions.of_client(&id));
            let entry = key.and_then(|key| state.sessions.get(key));
            let Some(entry) = entry.filter(|entry| entry.connection.is_some()) else {
                return false;
            };
            entry.handle.with(|session, _| {
                session.disconnect(Disconnect::new(ReasonCode::AdministrativeAction));
            });
            true
        })
    }

    /// Sends clients to another server from now on: who asks to connect is refused with Use another server (0x9C) and told where that
    /// is, and so are all who are connected when the broker [shuts down](Self::shutdown). The form is what the clients understand,
    /// commonly `host:port` (section 4.11). An empty text takes it back.
    ///
    /// False when the text is none that a packet can hold; nothing changes then.
    pub fn redirect(&self, server: &str) -> bool {
        let Ok(server) = MqttString::try_from(server) else {
            return false;
        };
        self.core.lock().elsewhere = (!server.is_empty()).then_some(server);
        true
    }

    /// Reads the files of [`passwords`](Builder::passwords) and [`acl`](Builder::acl) again. Clients that are connected stay, with the
    /// rights that the files give from now on: subscriptions stay too, and what waits for a client and may not be got any more is dropped.
    /// What was sent to it and not acknowledged goes again.
    ///
    /// With an [`authorize`](Builder::authorize) of your own this is how to tell the broker that it allows less than before.
    ///
    /// # Errors
    /// A file that cannot be used, with the line that is wrong. Then all holds that held before, of the other file too.
    ///
    /// Cancel safety: when the future is dropped the files may be taken or not, both or neither.
    pub async fn reload_access(&self) -> Result<(), FileError> {
        let core = Arc::clone(&self.core);
        let reading = tokio::task::spawn_blocking(move || {
            core.access.reload()?;
            core.review_all();
            Ok(())
        });
        // It ends with the runtime, or with a panic that has been printed.
        reading.await.unwrap_or_else(|error| {
            let (path, error) = (PathBuf::new(), error.into());
            Err(FileError::Io { path, error })
        })
    }

    /// Stops: no new connection is taken, and each client is told Server shutting down (0x8B) once what is under way between it and the
    /// broker is acknowledged: the messages it has published, and those queued for it unless a store keeps them. After half of `deadline`
    /// the others are told as well; after `deadline` those who are still there are cut off. Returns when all connections have ended and
    /// all that was to be stored is stored, safe against a power cut, and the store is closed. What is in memory alone is gone with it;
    /// wills are not published, but a store keeps them for the next broker with it: those of the clients that did not say DISCONNECT, and
    /// those that wait for their delay.
    ///
    /// Cancel safety: when the future is dropped, stopping goes on in the background.
    pub async fn shutdown(self, deadline: Duration) {
        // The task may have ended with its runtime; then there is nothing to stop or to wait for.
        let _ = self.stop.send(deadline);
        let _ = self.task.await;
    }
}

/// Runs the listeners and the timers until told to stop, or until nobody can tell any more; then ends the connections.
async fn supervise(
    core: Arc<Core>,
    listeners: Vec<Box<dyn Listen>>,
    stop: oneshot::Receiver<Duration>,
) {
    let mut tasks = JoinSet::new();
    for listener in listeners {
        tasks.spawn(accept_all(Arc::clone(&core), listener));
    }
    let timers = Arc::clone(&core);
    tasks.spawn(async move { timers.run_timers().await });
    let deadline = stop.await.unwrap_or(DROP_DEADLINE);
    tasks.shutdown().await;
    let end = tokio::time::Instant::now() + deadline;
    {
        let mut state = core.lock();
        state.closing = true;
        state.connections.abort_others();
    }
    tell_to_go(&core, deadline / 2).await;
    let idle = async {
        while !core.lock().connections.is_empty() {
            core.idle.notified().await;
        }
    };
    if tokio::time::timeout_at(end, idle).await.is_err() {
        core.lock().connections.abort_all();
        while !core.lock().connections.is_empty() {
            core.idle.notified().await;
        }
    }
    close_store(&core).await;
}

/// Tells each client to go when nothing is under way with it any more, and after so long the others.
async fn tell_to_go(core: &Core, patience: Duration) {
    let tell = |who| {
        let state = core.lock();
        state.connections.disconnect(who, &last_word(&state))
    };
    let settled = async {
        while !tell(Who::Settled) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    if tokio::time::timeout(patience, settled).await.is_err() {
        tell(Who::All);
    }
}

/// What clients are told when the broker stops.
fn last_word(state: &State) -> Disconnect {
    let Some(server) = &state.elsewhere else {
        return Disconnect::new(ReasonCode::ServerShuttingDown);
    };
    let mut properties = DisconnectProperties::default();
    properties.set_server_reference(server);
    Disconnect {
        reason: ReasonCode::UseAnotherServer,
        properties,
    }
}

/// Ends the use of the store, when no connection is left that could use it.
async fn close_store(core: &Core) {
    let Some(links) = core.lock().store.clone() else {
        return;
    };
    let (flushed, answer) = oneshot::channel();
    links.writer().flush(move |result| {
        if let Err(error) = result {
            tracing::error!(%error, "what was stored last may not be safe");
        }
        // Whoever waited may be gone with the runtime.
        let _ = flushed.send(());
    });
    // The writer answers every question; behind this answer none is left.
    let _ = answer.await;
    let links = {
        let mut state = core.lock();
        state.sessions = Sessions::new();
        (state.store.take(), links)
    };
    // To close a store takes as long as the disk does. It is closed with the last that knows it, which is here.
    let _ = tokio::task::spawn_blocking(move || drop(links)).await;
}
