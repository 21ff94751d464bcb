//! What the loop is to call back with: messages, and what happened to the connection.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ohmqtt_client::{ConnAck, ConnectError, Inbox, Message, Qos};
use ohmqtt_codec::Auth;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use tokio::sync::{Notify, watch};

use super::link::{Link, Phase, State};
use crate::runtime;
use crate::toolkit::objects;

/// So many notices wait for a loop that nobody runs; then the oldest go.
const NOTICES: usize = 1024;

/// What happened to the connection.
pub(super) enum Notice {
    Connected(Arc<ConnAck>),
    /// A connection that stood has ended.
    Disconnected(Option<ConnectError>),
    /// None came about.
    Failed,
    /// The server said this of authenticating.
    Auth(Auth),
}

/// Where the loop finds what there is for it.
pub(super) struct Mailbox {
    /// For those who subscribe.
    pub(super) inbox: Inbox,
    /// Taken by the one thread that waits; others wait for it.
    reader: tokio::sync::Mutex<Inbox>,
    notices: Arc<Notices>,
}

/// The notices that wait.
#[derive(Default)]
pub(super) struct Notices {
    waiting: Mutex<VecDeque<Notice>>,
    more: Notify,
}

impl Notices {
    pub(super) fn push(&self, notice: Notice) {
        {
            let mut waiting = self.waiting();
            if waiting.len() >= NOTICES {
                waiting.pop_front();
            }
            waiting.push_back(notice);
        }
        self.more.notify_one();
    }

    async fn next(&self) -> Notice {
        loop {
            let first = self.waiting().pop_front();
            match first {
                Some(notice) => return notice,
                None => self.more.notified().await,
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Notice>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was taken out at once. Notices come before messages: those are of the connection they tell of, or a later one.
#[derive(Default)]
pub(super) struct Batch {
    notices: Vec<Notice>,
    messages: Vec<Message>,
}

impl Mailbox {
    pub(super) fn new(inbox: Inbox, notices: Arc<Notices>) -> Self {
        Self {
            reader: tokio::sync::Mutex::new(inbox.clone()),
            inbox,
            notices,
        }
    }

    /// Waits until there is something, or the client has ended, and takes at most `most` messages.
    pub(super) async fn next(&self, mut state: watch::Receiver<State>, most: usize) -> Batch {
        let mut inbox = self.reader.lock().await;
        let mut batch = Batch::default();
        tokio::select! {
            biased;
            notice = self.notices.next() => batch.notices.push(notice),
            message = inbox.recv() => batch.messages.extend(message),
            _ = state.wait_for(|state| state.phase == Phase::Ended) => return batch,
        }
        batch.notices.extend(self.notices.waiting().drain(..));
        while batch.messages.len() < most
            && let Some(message) = inbox.try_recv()
        {
            batch.messages.push(message);
        }
        batch
    }
}

/// A message of QoS 1 or 2 that was handed over, to be acknowledged.
#[pyclass(frozen, module = "ohmqtt._native")]
pub(crate) struct Received(Message);

#[pymethods]
impl Received {
    /// The callback is done with it.
    fn ack(&self) -> PyResult<()> {
        runtime::refuse_fork()?;
        self.0.ack();
        Ok(())
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if runtime::is_forked() {
            std::mem::forget(self.0.clone());
        }
    }
}

impl Batch {
    /// As tuples: messages begin with the number of their subscription, all else with its name.
    pub(super) fn into_list<'py>(
        self,
        py: Python<'py>,
        link: &Link,
    ) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for notice in self.notices {
            list.append(of_notice(py, notice, link)?)?;
        }
        for message in self.messages {
            list.append(of_message(py, message)?)?;
        }
        Ok(list)
    }
}

fn of_message(py: Python<'_>, message: Message) -> PyResult<Bound<'_, PyTuple>> {
    let packet = objects::message(py, &message)?;
    let number = message.subscription();
    let received = (message.qos != Qos::AtMostOnce).then_some(Received(message));
    (number, packet, received).into_pyobject(py)
}

fn of_notice<'py>(py: Python<'py>, notice: Notice, link: &Link) -> PyResult<Bound<'py, PyTuple>> {
    match notice {
        Notice::Connected(connack) => {
            ("connected", objects::connack(py, &connack)?).into_pyobject(py)
        }
        Notice::Disconnected(error) => {
            let error = error.map(|error| link.exception(py, &error).into_value(py));
            ("disconnected", error).into_pyobject(py)
        }
        Notice::Failed => ("failed",).into_pyobject(py),
        Notice::Auth(packet) => ("auth", objects::auth(py, &packet)?).into_pyobject(py),
    }
}
