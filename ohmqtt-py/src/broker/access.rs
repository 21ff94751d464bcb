//! Python's word on who may do what. The broker's own thread never takes the GIL.
//!
//! A question goes through a channel to a thread of Python's, which calls the user's function and gives the answer. It is to be a thread
//! that Python made: where the interpreter ends while a function is called, Python ends the thread, and can do so with no other.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ohmqtt_broker::{
    Action, Authenticate, Authorize, BoxFuture, Login, Principal, Qos, ReasonCode, User,
};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// How many clients an authenticator is asked about at once.
const AT_ONCE: usize = 16;

/// What a broker asks of a function, for the thread that takes it there.
#[pyclass(frozen, module = "ohmqtt._native")]
pub(crate) struct Asks {
    asks: Mutex<Receiver<Question>>,
    /// What is to be logged, of an authorizer: the broker waits for each answer.
    complaints: Option<Mutex<Receiver<String>>>,
}

/// One question. It is refused when this is dropped without an answer.
#[pyclass(frozen, module = "ohmqtt._native")]
pub(crate) struct Ask(Mutex<Option<Question>>);

enum Question {
    Who {
        login: Login,
        answer: oneshot::Sender<Result<User, ReasonCode>>,
        _place: OwnedSemaphorePermit,
    },
    May {
        wish: Wish,
        answer: Answer,
    },
}

struct Wish {
    client_id: String,
    user: Option<String>,
    action: &'static str,
    topic: Option<String>,
    qos: Option<u8>,
    retain: bool,
}

/// The way back to a broker that waits.
struct Answer {
    busy: Arc<AtomicBool>,
    to: Option<SyncSender<bool>>,
}

#[pymethods]
impl Asks {
    /// The next question; None: there will be none.
    fn next(&self, py: Python<'_>) -> Option<Ask> {
        AUTHORIZES.set(self.complaints.is_some());
        let next = py.detach(|| {
            let asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
            asks.recv().ok()
        });
        next.map(|question| Ask(Mutex::new(Some(question))))
    }

    /// The next thing to log of answers that do not come; None: there will be none.
    fn complaint(&self, py: Python<'_>) -> Option<String> {
        let complaints = self.complaints.as_ref()?;
        py.detach(|| {
            let complaints = complaints.lock().unwrap_or_else(PoisonError::into_inner);
            complaints.recv().ok()
        })
    }
}

#[pymethods]
impl Ask {
    /// What the function in front of the user's takes.
    fn arguments<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let question = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*question {
            Some(Question::Who { login, .. }) => {
                let password = login.password.as_ref();
                let arguments = (
                    &login.client_id,
                    &login.user_name,
                    password.map(|password| PyBytes::new(py, password)),
                    login.peer.address.to_string(),
                    PyTuple::new(py, &login.peer.certificate_names)?,
                    &login.peer.path,
                    &*login.listener,
                );
                arguments.into_pyobject(py)
            }
            Some(Question::May { wish, .. }) => {
                let arguments = (
                    &wish.client_id,
                    &wish.user,
                    wish.action,
                    &wish.topic,
                    wish.qos,
                    wish.retain,
                );
                arguments.into_pyobject(py)
            }
            None => Err(PyRuntimeError::new_err("this was answered before")),
        }
    }

    /// Answers: who it is by a name, nobody by None, or the number of a reason to refuse; or whether it may.
    fn answer(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let question = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match question {
            Some(Question::Who { answer, .. }) => {
                // Nobody waits for an answer that comes too late.
                let _ = answer.send(user(value)?);
            }
            Some(Question::May { mut answer, .. }) => answer.give(value.extract()?),
            None => {}
        }
        Ok(())
    }
}

fn user(answer: &Bound<'_, PyAny>) -> PyResult<Result<User, ReasonCode>> {
    if answer.is_none() {
        return Ok(Ok(User::anonymous()));
    }
    if let Ok(name) = answer.cast::<PyString>() {
        return Ok(Ok(User::named(name.to_cow()?)));
    }
    let reason = ReasonCode::try_from(answer.extract::<u8>()?);
    Ok(Err(reason.unwrap_or(ReasonCode::UnspecifiedError)))
}

impl Answer {
    fn give(&mut self, allowed: bool) {
        if let Some(to) = self.to.take() {
            // Before the broker asks the next.
            self.busy.store(false, Ordering::SeqCst);
            let _ = to.try_send(allowed);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.give(false);
    }
}

/// A function that says who a client is.
pub(super) struct Authenticator {
    asks: Sender<Question>,
    free: Arc<Semaphore>,
}

impl Authenticator {
    /// `serve` is called with the [`Asks`], and has a thread answer them.
    pub(super) fn start(serve: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (asks, asked) = channel();
        serve.call1((Asks {
            asks: Mutex::new(asked),
            complaints: None,
        },))?;
        Ok(Self {
            asks,
            free: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// The broker bounds the time: a call that never returns keeps a place among those at once.
    async fn ask(&self, login: Login) -> Result<User, ReasonCode> {
        let unavailable = |_| ReasonCode::ServerUnavailable;
        let place = Arc::clone(&self.free).acquire_owned().await;
        let place = place.map_err(|_| ReasonCode::ServerUnavailable)?;
        let (answer, answered) = oneshot::channel();
        let question = Question::Who {
            login,
            answer,
            _place: place,
        };
        self.asks
            .send(question)
            .map_err(|_| ReasonCode::ServerUnavailable)?;
        answered.await.map_err(unavailable)?
    }
}

impl Authenticate for Authenticator {
    fn authenticate<'a>(&'a self, login: &'a Login) -> BoxFuture<'a, Result<User, ReasonCode>> {
        Box::pin(self.ask(login.clone()))
    }
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

/// A function that says what clients may do. The broker's thread waits for the answer, but not for ever.
pub(super) struct Authorizer {
    /// The broker asks one thing at a time.
    asks: Mutex<SyncSender<Question>>,
    complaints: SyncSender<String>,
    /// A call is under way. At the beginning of another one: it has not answered in time, and has not returned since.
    busy: Arc<AtomicBool>,
    limit: Duration,
}

impl Authorizer {
    /// As [`Authenticator::start`].
    pub(super) fn start(serve: &Bound<'_, PyAny>, limit: Duration) -> PyResult<Self> {
        let (asks, asked) = sync_channel(1);
        let (complaints, complained) = sync_channel(1);
        serve.call1((Asks {
            asks: Mutex::new(asked),
            complaints: Some(Mutex::new(complained)),
        },))?;
        Ok(Self {
            asks: Mutex::new(asks),
            complaints,
            busy: Arc::default(),
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
        let (to, answered) = sync_channel(1);
        let answer = Answer {
            busy: Arc::clone(&self.busy),
            to: Some(to),
        };
        let wish = Wish::new(who, action);
        if asks.try_send(Question::May { wish, answer }).is_err() {
            return false;
        }
        match answered.recv_timeout(self.limit) {
            Ok(allowed) => allowed,
            Err(RecvTimeoutError::Disconnected) => false,
            Err(RecvTimeoutError::Timeout) => {
                // What is not logged yet says the same.
                let _ = self.complaints.try_send(format!(
                    "the authorizer has not answered within {:?}: refused, and so is all else until it does: {action:?} of client '{}'",
                    self.limit, who.client_id
                ));
                false
            }
        }
    }
}

impl Wish {
    fn new(who: &Principal<'_>, action: &Action<'_>) -> Self {
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
        }
    }
}
