//! Python's word on who may do what, asked on threads that may wait for the GIL. The broker's own thread never takes it.
//!
//! What is asked here are the functions that `ohmqtt.broker` puts around the user's: they turn whatever those do into an answer, and log
//! what they raise.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ohmqtt_broker::{
    Action, Authenticate, Authorize, BoxFuture, Login, Principal, Qos, ReasonCode, User,
};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// How many clients an authenticator is asked about at once.
const AT_ONCE: usize = 16;

/// A callable that says who a client is.
pub(super) struct Authenticator {
    callable: Arc<Py<PyAny>>,
    free: Arc<Semaphore>,
}

impl Authenticator {
    pub(super) fn new(callable: Py<PyAny>) -> Self {
        Self {
            callable: Arc::new(callable),
            free: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// The broker bounds the time: a call that never returns keeps its thread, and a place among those at once.
    async fn ask(&self, login: Login) -> Result<User, ReasonCode> {
        let place = Arc::clone(&self.free).acquire_owned().await;
        let place = place.map_err(|_| ReasonCode::ServerUnavailable)?;
        let callable = Arc::clone(&self.callable);
        let asked = spawn_blocking(move || {
            let _place = place;
            Python::try_attach(|py| {
                let answer = who(callable.bind(py), &login);
                answer.unwrap_or_else(|error| {
                    error.write_unraisable(py, Some(callable.bind(py)));
                    Err(ReasonCode::ServerUnavailable)
                })
            })
        });
        // The interpreter may be at its end.
        let answer = asked.await.ok().flatten();
        answer.unwrap_or(Err(ReasonCode::ServerUnavailable))
    }
}

impl Authenticate for Authenticator {
    fn authenticate<'a>(&'a self, login: &'a Login) -> BoxFuture<'a, Result<User, ReasonCode>> {
        Box::pin(self.ask(login.clone()))
    }
}

/// The answer: a name, `None` for nobody in particular, or the number of the reason to refuse.
fn who(callable: &Bound<'_, PyAny>, login: &Login) -> PyResult<Result<User, ReasonCode>> {
    let py = callable.py();
    let password = login.password.as_ref();
    let answer = callable.call1((
        &login.client_id,
        &login.user_name,
        password.map(|password| PyBytes::new(py, password)),
        login.peer.address.to_string(),
        PyTuple::new(py, &login.peer.certificate_names)?,
        &login.peer.path,
        &*login.listener,
    ))?;
    if answer.is_none() {
        return Ok(Ok(User::anonymous()));
    }
    if let Ok(name) = answer.cast::<PyString>() {
        return Ok(Ok(User::named(name.to_cow()?)));
    }
    let reason = ReasonCode::try_from(answer.extract::<u8>()?);
    Ok(Err(reason.unwrap_or(ReasonCode::UnspecifiedError)))
}

thread_local! {
    static AUTHORIZES: Cell<bool> = const { Cell::new(false) };
}

/// A `RuntimeError` within an authorizer: what is asked of the broker there would wait for the answer that the broker waits for.
pub(super) fn forbid_in_authorizer() -> PyResult<()> {
    if AUTHORIZES.get() {
        let why = "an authorizer cannot ask anything of a broker: the broker waits for its answer";
        return Err(PyRuntimeError::new_err(why));
    }
    Ok(())
}

/// A callable that says what clients may do, on a thread of its own. The broker's thread waits for the answer, but not for ever.
pub(super) struct Authorizer {
    /// The broker asks one thing at a time.
    asks: Mutex<SyncSender<Ask>>,
    /// A call is under way. At the beginning of another one: it has not answered in time, and has not returned since.
    busy: Arc<AtomicBool>,
    limit: Duration,
}

struct Ask {
    client_id: String,
    user: Option<String>,
    action: &'static str,
    topic: Option<String>,
    qos: Option<u8>,
    retain: bool,
    answer: SyncSender<bool>,
}

impl Authorizer {
    pub(super) fn start(callable: Py<PyAny>, limit: Duration) -> io::Result<Self> {
        let (asks, asked) = sync_channel::<Ask>(1);
        let busy = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&busy);
        let thread = std::thread::Builder::new().name("ohmqtt-authorizer".to_owned());
        thread.spawn(move || {
            AUTHORIZES.set(true);
            for ask in asked {
                let allowed = Python::try_attach(|py| {
                    let callable = callable.bind(py);
                    may(callable, &ask).unwrap_or_else(|error| {
                        error.write_unraisable(py, Some(callable));
                        false
                    })
                });
                done.store(false, Ordering::SeqCst);
                // Nobody waits for an answer that comes too late.
                let _ = ask.answer.try_send(allowed.unwrap_or(false));
            }
        })?;
        Ok(Self {
            asks: Mutex::new(asks),
            busy,
            limit,
        })
    }
}

impl Authorize for Authorizer {
    fn allows(&self, who: &Principal<'_>, action: &Action<'_>) -> bool {
        let asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        if self.busy.swap(true, Ordering::SeqCst) {
            return false;
        }
        let (answer, answered) = sync_channel(1);
        if asks.send(Ask::new(who, action, answer)).is_err() {
            return false;
        }
        match answered.recv_timeout(self.limit) {
            Ok(allowed) => allowed,
            Err(RecvTimeoutError::Disconnected) => false,
            Err(RecvTimeoutError::Timeout) => {
                complain(format!(
                    "the authorizer has not answered within {:?}: refused, and so is all else until it does: {action:?} of client '{}'",
                    self.limit, who.client_id
                ));
                false
            }
        }
    }
}

impl Ask {
    fn new(who: &Principal<'_>, action: &Action<'_>, answer: SyncSender<bool>) -> Self {
        let message = |topic: &str, qos: Qos, retain| (Some(topic.to_owned()), Some(qos), retain);
        let (action, (topic, qos, retain)) = match *action {
            Action::Connect => ("connect", (None, None, false)),
            Action::Publish { topic, qos, retain } => ("publish", message(topic, qos, retain)),
            Action::Will { topic, qos, retain } => ("will", message(topic, qos, retain)),
            Action::Subscribe { filter, qos } => ("subscribe", message(filter, qos, false)),
            Action::Deliver { topic } => ("deliver", (Some(topic.to_owned()), None, false)),
            Action::Retained { topic } => ("retained", (Some(topic.to_owned()), None, true)),
            // One that this file does not know yet; the function around the user's refuses it.
            _ => ("", (None, None, false)),
        };
        Self {
            client_id: who.client_id.to_owned(),
            user: who.user.name().map(str::to_owned),
            action,
            topic,
            qos: qos.map(|qos| qos as u8),
            retain,
            answer,
        }
    }
}

fn may(callable: &Bound<'_, PyAny>, ask: &Ask) -> PyResult<bool> {
    let answer = callable.call1((
        &ask.client_id,
        &ask.user,
        ask.action,
        &ask.topic,
        ask.qos,
        ask.retain,
    ))?;
    answer.extract()
}

/// Logs an error in Python, from a thread that must not wait for it.
fn complain(message: String) {
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    runtime.spawn_blocking(move || {
        Python::try_attach(|py| {
            let logged = py.import("logging").and_then(|logging| {
                let logger = logging.call_method1("getLogger", ("ohmqtt.broker",))?;
                logger.call_method1("error", ("%s", message))
            });
            if let Err(error) = logged {
                error.write_unraisable(py, None);
            }
        })
    });
}
