//! What became of a request: a message, a SUBSCRIBE or an UNSUBSCRIBE.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use ohmqtt_client::{
    Acknowledgement, LostMessage, Publication, Qos, ReasonCode, SubAck, SubscribeError,
    Subscription,
};
use ohmqtt_codec::{Ack, PacketType};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::link::{Phase, State};
use crate::toolkit::objects;
use crate::{errors, runtime};

/// What a handle of Python's waits on.
#[pyclass(frozen, module = "ohmqtt._native")]
pub(crate) struct Ticket(Source);

enum Source {
    Message(Publication, Qos),
    Request(watch::Receiver<Option<Outcome>>),
}

/// How a request ended.
#[derive(Clone)]
enum Outcome {
    Answered(PacketType, SubAck),
    /// The server knows nothing of what was to be taken back.
    NotAsked,
    /// It was taken back before the server had answered.
    TakenBack,
    Failed(Arc<SubscribeError>),
    /// An exception: what nobody waits for any more.
    GivenUp(Arc<Py<PyAny>>),
}

impl Ticket {
    pub(super) fn of_message(publication: Publication, qos: Qos) -> Self {
        Self(Source::Message(publication, qos))
    }
}

#[pymethods]
impl Ticket {
    /// The answer if there is one: the packet, or an exception.
    fn answer<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        runtime::refuse_fork()?;
        match &self.0 {
            Source::Message(publication, qos) => {
                let mut context = Context::from_waker(Waker::noop());
                match pin!(publication.acked()).poll(&mut context) {
                    Poll::Ready(end) => of_end(py, end, *qos).map(Some),
                    Poll::Pending => Ok(None),
                }
            }
            Source::Request(outcome) => {
                let outcome = outcome.borrow().clone();
                outcome.map(|outcome| of_request(py, outcome)).transpose()
            }
        }
    }

    /// Waits for it, at most `timeout` seconds: the answer if it has come.
    fn wait<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        runtime::admit(py)?;
        let timeout = runtime::seconds("timeout", timeout)?;
        // Of a window's oldest message it is there as a rule.
        if let Some(answer) = self.answer(py)? {
            return Ok(Some(answer));
        }
        match &self.0 {
            Source::Message(publication, qos) => {
                let end = runtime::wait(py, timeout, publication.acked())?;
                end.map(|end| of_end(py, end, *qos)).transpose()
            }
            Source::Request(outcome) => {
                let mut outcome = outcome.clone();
                // Whoever would have set it is gone with the client only, and sets it before.
                runtime::wait(py, timeout, async {
                    drop(outcome.wait_for(Option::is_some).await);
                })?;
                self.answer(py)
            }
        }
    }
}

impl Drop for Ticket {
    /// In a forked child even a copy would wait for the table of messages, which may be locked there for ever.
    fn drop(&mut self) {
        if runtime::is_forked() {
            let nothing = Source::Request(watch::channel(None).1);
            std::mem::forget(std::mem::replace(&mut self.0, nothing));
        }
    }
}

/// A subscription of the engine's.
#[pyclass(frozen, module = "ohmqtt._native")]
pub(crate) struct Subscribed {
    subscription: Mutex<Option<Subscription>>,
    number: u64,
    answer: watch::Sender<Option<Outcome>>,
    runtime: Handle,
    state: watch::Receiver<State>,
}

impl Subscribed {
    pub(super) fn new(
        subscription: Subscription,
        runtime: Handle,
        state: watch::Receiver<State>,
    ) -> Self {
        let answer = watch::Sender::new(None);
        let (waiting, suback) = (answer.clone(), subscription.suback());
        runtime.spawn(async move {
            let mut settled = waiting.subscribe();
            let outcome = tokio::select! {
                biased;
                // Of what has ended before, no answer is heard.
                _ = settled.wait_for(Option::is_some) => return,
                suback = suback => match suback {
                    Ok(suback) => Outcome::Answered(PacketType::SubAck, suback),
                    // Whoever ends it says so.
                    Err(SubscribeError::Ended) => return,
                    Err(error) => Outcome::Failed(Arc::new(error)),
                },
            };
            settle(&waiting, outcome);
        });
        Self {
            number: subscription.number(),
            subscription: Mutex::new(Some(subscription)),
            answer,
            runtime,
            state,
        }
    }

    pub(super) fn take(&self) -> Option<Subscription> {
        let subscription = self.subscription.lock();
        subscription.unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[pymethods]
impl Subscribed {
    /// What its messages begin with.
    #[getter]
    fn number(&self) -> u64 {
        self.number
    }

    /// For the server's answer.
    fn ticket(&self) -> Ticket {
        Ticket(Source::Request(self.answer.subscribe()))
    }

    /// Whoever still waits for the answer gets this exception.
    fn give_up(&self, error: Py<PyAny>) {
        settle(&self.answer, Outcome::GivenUp(Arc::new(error)));
    }

    /// Ends it, for the server's answer to that.
    fn unsubscribe(&self) -> PyResult<Ticket> {
        runtime::refuse_fork()?;
        let answer = watch::Sender::new(None);
        let ticket = Ticket(Source::Request(answer.subscribe()));
        let Some(subscription) = self.take() else {
            settle(&answer, Outcome::NotAsked);
            return Ok(ticket);
        };
        settle(&self.answer, Outcome::TakenBack);
        let left = async move {
            let outcome = match subscription.unsubscribe().await {
                Ok(Some(unsuback)) => Outcome::Answered(PacketType::UnsubAck, unsuback),
                Ok(None) => Outcome::NotAsked,
                Err(error) => Outcome::Failed(Arc::new(error)),
            };
            settle(&answer, outcome);
        };
        let mut left = Box::pin(left);
        // It ends now; what is awaited is the server's word.
        let mut context = Context::from_waker(Waker::noop());
        if left.as_mut().poll(&mut context).is_pending() {
            self.runtime.spawn(left);
        }
        Ok(ticket)
    }
}

impl Drop for Subscribed {
    /// What nobody has ended goes with its client, which is being forgotten: the server's session keeps it.
    fn drop(&mut self) {
        if runtime::is_forked() {
            let subscription = self.subscription.get_mut();
            let subscription = subscription.unwrap_or_else(PoisonError::into_inner);
            std::mem::forget((subscription.take(), self.answer.clone(), self.state.clone()));
            return;
        }
        let Some(subscription) = self.take() else {
            return;
        };
        let mut state = self.state.clone();
        self.runtime.spawn(async move {
            // Its end says nothing any more then.
            drop(state.wait_for(|state| state.phase == Phase::Ended).await);
            drop(subscription);
        });
    }
}

/// The first outcome counts.
fn settle(slot: &watch::Sender<Option<Outcome>>, outcome: Outcome) {
    slot.send_if_modified(|slot| {
        let is_first = slot.is_none();
        if is_first {
            *slot = Some(outcome);
        }
        is_first
    });
}

fn of_end(
    py: Python<'_>,
    end: Result<Acknowledgement, LostMessage>,
    qos: Qos,
) -> PyResult<Bound<'_, PyAny>> {
    match end {
        Ok(acknowledgement) => of_message(py, acknowledgement, qos),
        Err(why) => of_loss(py, why),
    }
}

/// The packet that acknowledged a message.
fn of_message(
    py: Python<'_>,
    acknowledgement: Acknowledgement,
    qos: Qos,
) -> PyResult<Bound<'_, PyAny>> {
    let reason = acknowledgement.reason;
    let last = match qos {
        Qos::ExactlyOnce if reason.is_error() && reason.allowed_in(PacketType::PubRec) => {
            PacketType::PubRec
        }
        Qos::ExactlyOnce => PacketType::PubComp,
        _ => PacketType::PubAck,
    };
    let Some(packet_id) = acknowledgement.packet_id else {
        return Ok(py.None().into_bound(py));
    };
    let ack = Ack {
        packet_id,
        reason,
        properties: acknowledgement.properties,
    };
    objects::acknowledgement(py, last, &ack)
}

fn of_loss(py: Python<'_>, why: LostMessage) -> PyResult<Bound<'_, PyAny>> {
    let error = match why {
        LostMessage::Closed => {
            errors::closed("the client is gone: nothing will be heard of the message")
        }
        _ => errors::lost_message(py, why, why),
    };
    error.into_bound_py_any(py)
}

fn of_request(py: Python<'_>, outcome: Outcome) -> PyResult<Bound<'_, PyAny>> {
    match outcome {
        Outcome::Answered(kind, ack) => objects::suback(py, kind, &ack),
        Outcome::NotAsked => objects::unasked(py, ReasonCode::NoSubscriptionExisted),
        Outcome::TakenBack => {
            errors::closed("unsubscribed from before the server had answered").into_bound_py_any(py)
        }
        Outcome::Failed(error) => match &*error {
            SubscribeError::Closed => {
                errors::closed("the client is gone: nothing will be heard of the request")
            }
            error => errors::subscribe(py, error),
        }
        .into_bound_py_any(py),
        Outcome::GivenUp(error) => Ok(error.bind(py).clone()),
    }
}
