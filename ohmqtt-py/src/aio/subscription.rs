//! What comes by and by: the messages of a subscription, and those that nobody claims.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_core::Stream as _;
use ohmqtt_client::{
    Client, Qos, ReasonCode, RetainHandling, Subscribe, SubscribeError, Subscription,
    SubscriptionOptions, WhenFull,
};
use pyo3::exceptions::{PyStopAsyncIteration, PyTypeError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyDict, PyTuple};

use super::client::{closed, why_closed};
use super::port::{AioPort, Next, Stream, start, unfold};
use crate::codes::Code;
use crate::convert;
use crate::errors;
use crate::message::Message;
use crate::options::{choice, get, int, user_properties};
use crate::packet::PyTopicFilter;

type Held = Arc<Mutex<Option<Subscription>>>;

fn lock(held: &Held) -> MutexGuard<'_, Option<Subscription>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The native half of `ohmqtt.aio.Subscription`.
#[pyclass(frozen, module = "ohmqtt._native")]
pub(crate) struct AioSubscription {
    held: Held,
    stream: Stream<ohmqtt_client::Message>,
    granted: Vec<ReasonCode>,
}

#[pymethods]
impl AioSubscription {
    /// The next message, which is acknowledged by that, or None if there is none now. StopAsyncIteration if there will be none.
    fn take(&self, py: Python<'_>) -> PyResult<Option<Py<Message>>> {
        message(py, &self.stream)
    }

    /// The number that the port says when there may be a message. None: look again at once.
    fn listen(&self) -> Option<u64> {
        self.stream.listen()
    }

    /// Whoever got this number does not wait any more.
    fn leave(&self, number: u64) {
        self.stream.leave(number);
    }

    /// Unsubscribes, in the background.
    fn close(&self) {
        let subscription = lock(&self.held).take();
        drop(subscription);
    }

    /// How many messages were dropped because the reader was too slow.
    #[getter]
    fn dropped(&self) -> u64 {
        lock(&self.held).as_ref().map_or(0, Subscription::dropped)
    }

    /// What the server granted, filter by filter.
    #[getter]
    fn granted<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let codes = self.granted.iter();
        let codes = codes.map(|code| Code::SubAck.member(py, *code));
        PyTuple::new(py, codes.collect::<PyResult<Vec<_>>>()?)
    }
}

fn message(
    py: Python<'_>,
    stream: &Stream<ohmqtt_client::Message>,
) -> PyResult<Option<Py<Message>>> {
    match stream.take() {
        Next::Item(message) => Py::new(py, Message(message)).map(Some),
        Next::Nothing => Ok(None),
        Next::End => Err(PyStopAsyncIteration::new_err(())),
    }
}

/// The native half of the messages that no subscription claims.
#[pyclass(frozen, module = "ohmqtt._native")]
pub(crate) struct AioUnclaimed(Stream<ohmqtt_client::Message>);

impl AioUnclaimed {
    pub(crate) fn new(port: &AioPort, client: &Client) -> Self {
        let next = |mut unclaimed: ohmqtt_client::Unclaimed| async move {
            let message = unclaimed.recv().await;
            (unclaimed, message)
        };
        Self(Stream::new(port, unfold(client.unclaimed(), next)))
    }
}

#[pymethods]
impl AioUnclaimed {
    /// As of a subscription.
    fn take(&self, py: Python<'_>) -> PyResult<Option<Py<Message>>> {
        message(py, &self.0)
    }

    /// As of a subscription.
    fn listen(&self) -> Option<u64> {
        self.0.listen()
    }

    /// As of a subscription.
    fn leave(&self, number: u64) {
        self.0.leave(number);
    }
}

/// What a subscription is to be, from arguments by name. One that is `None` is as one that is not given.
#[derive(Default)]
struct Wanted {
    filters: Vec<(String, Option<SubscriptionOptions>)>,
    qos: Option<Qos>,
    no_local: bool,
    retain_as_published: bool,
    retain_handling: RetainHandling,
    capacity: Option<usize>,
    capacity_bytes: Option<usize>,
    when_full: WhenFull,
    manual_ack: bool,
    user_properties: Vec<(String, String)>,
}

impl Wanted {
    fn new(filters: &Bound<'_, PyTuple>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut wanted = Self::default();
        for filter in filters {
            if let Ok(filter) = filter.cast::<PyTopicFilter>() {
                let (filter, options) = &filter.get().0;
                let filter = filter.as_str().to_owned();
                wanted.filters.push((filter, Some(*options)));
            } else {
                let pattern = get::<PyBackedStr>("filters", &filter)?;
                let pattern = convert::filter("filters", pattern)?;
                wanted.filters.push((pattern.as_str().to_owned(), None));
            }
        }
        if wanted.filters.is_empty() {
            return Err(PyTypeError::new_err("give a topic filter to subscribe to"));
        }
        for (name, value) in options.into_iter().flatten() {
            if !value.is_none() {
                wanted.set(&name.extract::<PyBackedStr>()?, &value)?;
            }
        }
        Ok(wanted)
    }

    fn set(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        match name {
            "qos" => self.qos = Some(convert::qos(name, int(name, value)?)?),
            "no_local" => self.no_local = get(name, value)?,
            "retain_as_published" => self.retain_as_published = get(name, value)?,
            "retain_handling" => {
                self.retain_handling = convert::retain_handling(name, int(name, value)?)?;
            }
            "capacity" => self.capacity = Some(get(name, value)?),
            "capacity_bytes" => self.capacity_bytes = Some(get(name, value)?),
            "when_full" => {
                let words = [
                    ("hold", WhenFull::Hold),
                    ("drop_oldest", WhenFull::DropOldest),
                    ("drop_oldest_of_any", WhenFull::DropOldestOfAny),
                ];
                self.when_full = choice(name, value, &words)?;
            }
            "manual_ack" => self.manual_ack = get(name, value)?,
            "user_properties" => {
                for (key, value) in user_properties(name, value)? {
                    let pair = (key.as_str().to_owned(), value.as_str().to_owned());
                    self.user_properties.push(pair);
                }
            }
            _ => return Err(PyTypeError::new_err(format!("there is no option '{name}'"))),
        }
        Ok(())
    }

    fn apply(self, client: &Client) -> Option<Subscribe<'_>> {
        let mut filters = self.filters.into_iter();
        let options = SubscriptionOptions {
            qos: self.qos.unwrap_or(Qos::ExactlyOnce),
            no_local: self.no_local,
            retain_as_published: self.retain_as_published,
            retain_handling: self.retain_handling,
        };
        let (first, own) = filters.next()?;
        let first_options = own.unwrap_or(options);
        let mut subscribe = client
            .subscribe(first)
            .qos(first_options.qos)
            .no_local(first_options.no_local)
            .retain_as_published(first_options.retain_as_published)
            .retain_handling(first_options.retain_handling)
            .when_full(self.when_full);
        for (filter, own) in filters {
            subscribe = subscribe.and_with(filter, own.unwrap_or(options));
        }
        for (name, value) in self.user_properties {
            subscribe = subscribe.user_property(&name, &value);
        }
        if let Some(messages) = self.capacity {
            subscribe = subscribe.capacity(messages);
        }
        if let Some(bytes) = self.capacity_bytes {
            subscribe = subscribe.capacity_bytes(bytes);
        }
        Some(if self.manual_ack {
            subscribe.manual_ack()
        } else {
            subscribe
        })
    }
}

async fn make(
    client: &Client,
    wanted: Wanted,
) -> Result<(Subscription, Vec<ReasonCode>), SubscribeError> {
    let subscribe = wanted.apply(client).ok_or(SubscribeError::Closed)?;
    let subscription = subscribe.send()?;
    let granted = subscription.granted().await?;
    Ok((subscription, granted))
}

/// A subscription that the server has granted, or an operation that waits for that.
pub(crate) fn subscribe(
    port: &Bound<'_, AioPort>,
    client: Client,
    filters: &Bound<'_, PyTuple>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    let wanted = Wanted::new(filters, options)?;
    let asked = client.clone();
    let future = async move {
        let made = make(&client, wanted).await;
        if let Err(SubscribeError::Closed) = made {
            closed(&client).await;
        }
        made
    };
    let native = port.get().share();
    start(
        port.py(),
        port.get(),
        future,
        move |py, made: Result<_, SubscribeError>| {
            let (subscription, granted) =
                made.map_err(|error| why_closed(py, &asked, errors::subscribe(py, &error)))?;
            let held: Held = Arc::new(Mutex::new(Some(subscription)));
            let polled = Arc::clone(&held);
            let source =
                Box::new(
                    move |cx: &mut std::task::Context<'_>| match &mut *lock(&polled) {
                        Some(subscription) => Pin::new(subscription).poll_next(cx),
                        None => std::task::Poll::Ready(None),
                    },
                );
            let made = AioSubscription {
                held,
                stream: Stream::new(&native, source),
                granted,
            };
            Ok(Py::new(py, made)?.into_any())
        },
    )
}
