//! The client itself: connecting, closing, and what is asked of it between.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ohmqtt_client::{
    Client, ConfigError, ConnectError, ConnectErrorKind, ConnectFailed, ConnectionState,
    Disconnect, Event, Events, RequestError, StoreError,
};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyDict, PyTuple};

use super::events::{AioEvents, state};
use super::port::{AioPort, start};
use super::publication::AioPublication;
use super::publish::{Draft, Payload, taken};
use super::subscription::{AioUnclaimed, subscribe};
use crate::message::Message;
use crate::options::{self, Options, get};
use crate::packet::DisconnectPacket;
use crate::{errors, runtime};

/// What a client is to be. It makes one.
#[pyclass(frozen, module = "ohmqtt._native")]
pub(crate) struct AioOptions {
    options: Mutex<Option<Options>>,
    servers: usize,
}

#[pymethods]
impl AioOptions {
    #[new]
    fn new(urls: Vec<PyBackedStr>, options: &Bound<'_, PyDict>) -> PyResult<Self> {
        Ok(Self {
            options: Mutex::new(Some(Options::new(&urls, options)?)),
            servers: urls.len(),
        })
    }

    /// The client, or an operation that gives it: started, and with `wait` connected. It is used once.
    fn connect(&self, port: &Bound<'_, AioPort>, wait: bool) -> PyResult<Py<PyAny>> {
        let Some(options) = self.options().take() else {
            return Err(PyRuntimeError::new_err(
                "a client is entered once: make another one",
            ));
        };
        let future = connect(options, wait.then_some(self.servers));
        start(port.py(), port.get(), future, |py, client| {
            let client = client.map_err(|error| errors::connect_failed(py, &error))?;
            Ok(Py::new(py, AioClient(client))?.into_any())
        })
    }

    /// What will happen to the client, from its beginning on. RuntimeError once it is used.
    fn events(&self, port: &Bound<'_, AioPort>) -> PyResult<AioEvents> {
        let events = self.options().as_ref().map(|own| own.builder.events());
        let events = events.ok_or_else(|| {
            PyRuntimeError::new_err("ask for events before the client is entered, or when it is")
        })?;
        Ok(AioEvents::new(port.get(), events))
    }
}

impl AioOptions {
    fn options(&self) -> MutexGuard<'_, Option<Options>> {
        self.options.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the client, and waits until one of so many servers has accepted the connection, or none has.
async fn connect(options: Options, servers: Option<usize>) -> Result<Client, ConnectFailed> {
    let Options { builder, store } = options;
    let has_store = store.is_some();
    let start = move || {
        let builder = match store {
            Some(file) => file.open(builder).map_err(ConfigError::Store)?,
            None => builder,
        };
        let events = builder.events();
        Ok::<_, ConfigError>((builder.start()?, events))
    };
    let (client, mut events) = if has_store {
        // It is read back first, which takes its time.
        match tokio::task::spawn_blocking(start).await {
            Ok(started) => started?,
            Err(error) => {
                let message = error.to_string();
                return Err(ConfigError::Store(StoreError::Panicked { message }).into());
            }
        }
    } else {
        start()?
    };
    if let Some(servers) = servers
        && let Err(error) = first_round(&mut events, servers).await
    {
        // Not in the background: its store is free again when the error is told.
        client.close(Duration::ZERO).await;
        return Err(error.into());
    }
    Ok(client)
}

async fn first_round(events: &mut Events, servers: usize) -> Result<(), ConnectError> {
    let mut failed = 0;
    loop {
        match events.recv().await {
            Some(Event::Connected { .. }) => return Ok(()),
            Some(Event::ConnectFailed { error, retry_in }) => {
                failed += 1;
                // Other servers are tried at once.
                if retry_in != Some(Duration::ZERO) || failed >= servers {
                    return Err(error);
                }
            }
            Some(Event::Closed { error }) => return Err(error),
            Some(_) => {}
            None => {
                return Err(ConnectError {
                    kind: ConnectErrorKind::Closed,
                    address: String::new(),
                });
            }
        }
    }
}

/// The native half of `ohmqtt.aio.Client`: a client that runs.
#[pyclass(frozen, module = "ohmqtt._native")]
pub(crate) struct AioClient(Client);

#[pymethods]
impl AioClient {
    /// A publication, or an operation that waits until the message is taken into the outbox.
    #[pyo3(signature = (port, topic, payload, options = None))]
    fn publish(
        &self,
        port: &Bound<'_, AioPort>,
        topic: &Bound<'_, PyAny>,
        payload: Payload,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let topic = get::<PyBackedStr>("topic", topic)?;
        let (client, draft) = (self.0.clone(), Draft::new(options)?);
        let asked = self.0.clone();
        let future = async move { draft.apply(client.publish(&*topic, payload.0)).await };
        start(port.py(), port.get(), future, move |py, publication| {
            taken(py, publication).map_err(|error| why_closed(py, &asked, error))
        })
    }

    /// A publication. MQTTError with QUOTA_EXCEEDED if the outbox has no room.
    #[pyo3(signature = (topic, payload, options = None))]
    fn publish_nowait(
        &self,
        py: Python<'_>,
        topic: &Bound<'_, PyAny>,
        payload: Payload,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<AioPublication> {
        let topic = get::<PyBackedStr>("topic", topic)?;
        let draft = Draft::new(options)?;
        let publication = draft.apply(self.0.publish(&*topic, payload.0)).send();
        publication
            .map(AioPublication)
            .map_err(|error| why_closed(py, &self.0, errors::publish(py, &error)))
    }

    /// The message that answers, or an operation that waits for it. The timeout is in seconds.
    #[pyo3(signature = (port, topic, payload, timeout, options = None))]
    fn request(
        &self,
        port: &Bound<'_, AioPort>,
        topic: &Bound<'_, PyAny>,
        payload: Payload,
        timeout: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let topic = get::<PyBackedStr>("topic", topic)?;
        let (client, draft) = (self.0.clone(), Draft::new(options)?);
        let timeout = options::seconds("timeout", timeout)?;
        let asked = self.0.clone();
        let future = async move {
            let request = client.request(&*topic, payload.0, timeout);
            let reply = request.with(|publish| draft.apply(publish)).await;
            if let Err(RequestError::Closed) = reply {
                closed(&client).await;
            }
            reply
        };
        start(
            port.py(),
            port.get(),
            future,
            move |py, reply: Result<_, RequestError>| {
                let reply =
                    reply.map_err(|error| why_closed(py, &asked, errors::request(py, &error)))?;
                Ok(Py::new(py, Message(reply))?.into_any())
            },
        )
    }

    /// A subscription that the server has granted, or an operation that waits for that.
    #[pyo3(signature = (port, filters, options = None))]
    fn subscribe(
        &self,
        port: &Bound<'_, AioPort>,
        filters: &Bound<'_, PyTuple>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        subscribe(port, self.0.clone(), filters, options)
    }

    /// The messages that no subscription claims.
    fn unclaimed(&self, port: &Bound<'_, AioPort>) -> AioUnclaimed {
        AioUnclaimed::new(port.get(), &self.0)
    }

    /// What happens to the client from now on.
    fn events(&self, port: &Bound<'_, AioPort>) -> AioEvents {
        AioEvents::new(port.get(), self.0.events())
    }

    /// None when the connection stands, or an operation that waits for that. Raises why it will not.
    fn connected(&self, port: &Bound<'_, AioPort>) -> PyResult<Py<PyAny>> {
        let client = self.0.clone();
        let future = async move {
            client
                .wait_for(|state| matches!(state, ConnectionState::Connected { .. }))
                .await
        };
        start(port.py(), port.get(), future, |py, state| match state {
            ConnectionState::Closed { error } => Err(errors::connect(py, &error)),
            _ => Ok(py.None()),
        })
    }

    /// None when the client was closed, or an operation that waits for that. Raises why it has closed by itself.
    fn ended(&self, port: &Bound<'_, AioPort>) -> PyResult<Py<PyAny>> {
        let client = self.0.clone();
        let future = async move { closed(&client).await };
        start(port.py(), port.get(), future, |py, state| match state {
            ConnectionState::Closed { error }
                if !matches!(error.kind, ConnectErrorKind::Closed) =>
            {
                Err(errors::connect(py, &error))
            }
            _ => Ok(py.None()),
        })
    }

    /// None, or an operation that waits for the end of a re-authentication.
    fn reauthenticate(&self, port: &Bound<'_, AioPort>) -> PyResult<Py<PyAny>> {
        let client = self.0.clone();
        let future = async move { client.reauthenticate().await };
        start(port.py(), port.get(), future, |py, done| {
            done.map_err(|error| errors::reauthenticate(py, &error))?;
            Ok(py.None())
        })
    }

    /// What is left undelivered, as (messages, bytes), or an operation that closes and gives that. The timeout is in seconds.
    fn close(
        &self,
        port: &Bound<'_, AioPort>,
        timeout: &Bound<'_, PyAny>,
        disconnect: Option<&Bound<'_, DisconnectPacket>>,
    ) -> PyResult<Py<PyAny>> {
        let (client, timeout) = (self.0.clone(), options::seconds("timeout", timeout)?);
        let last_word: Option<Disconnect> = disconnect.map(|packet| packet.get().0.clone());
        let future = async move {
            match last_word {
                Some(last_word) => client.close_with(timeout, last_word).await,
                None => client.close(timeout).await,
            }
        };
        start(port.py(), port.get(), future, |py, left| {
            let left = (left.unacknowledged, left.bytes).into_pyobject(py)?;
            Ok(left.into_any().unbind())
        })
    }

    /// The configured Client Identifier, or the one the server assigned.
    #[getter]
    fn client_id(&self) -> String {
        self.0.client_id()
    }

    /// How the connection stands: (name, attempt, session_present, error).
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        state(py, &self.0.state())
    }

    /// Counters by name.
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let metrics = self.0.metrics();
        let counters = PyDict::new(py);
        counters.set_item("queued_messages", metrics.queued_messages)?;
        counters.set_item("queued_bytes", metrics.queued_bytes)?;
        counters.set_item("in_flight", metrics.in_flight)?;
        counters.set_item("unacknowledged", metrics.unacknowledged)?;
        counters.set_item("connections", metrics.connections)?;
        counters.set_item("received", metrics.received)?;
        counters.set_item("dropped", metrics.dropped)?;
        counters.set_item("late_replies", metrics.late_replies)?;
        counters.set_item("lost", metrics.lost)?;
        counters.set_item("abandoned", metrics.abandoned)?;
        counters.set_item("accepted", metrics.outbox.accepted)?;
        counters.set_item("refused", metrics.outbox.refused)?;
        counters.set_item("delivered", metrics.outbox.delivered)?;
        Ok(counters)
    }

    /// What stands in the way of messages, each in words; nothing when all flows.
    fn health(&self) -> PyResult<Vec<String>> {
        // Times are asked of the runtime's clock.
        let _inside = runtime::handle()?.enter();
        let health = self.0.health();
        Ok(health.obstacles.iter().map(ToString::to_string).collect())
    }
}

/// Waits until the client is closed. What it does is over a moment before that.
pub(crate) async fn closed(client: &Client) -> ConnectionState {
    client
        .wait_for(|state| matches!(state, ConnectionState::Closed { .. }))
        .await
}

/// A client that was closed says no more than that; one that has closed by itself says why.
pub(crate) fn why_closed(py: Python<'_>, client: &Client, error: PyErr) -> PyErr {
    if !error.is_instance_of::<PyRuntimeError>(py) {
        return error;
    }
    match client.state() {
        ConnectionState::Closed { error: why } if !matches!(why.kind, ConnectErrorKind::Closed) => {
            errors::connect(py, &why)
        }
        _ => error,
    }
}
