//! What the drop-in client runs on: one client for its whole life, which connects when it is told to.
//!
//! `link` knows how the connection stands and when it is made again, `target` where to, `ticket` what became of a request, `events` what
//! is to be called back with, `exchange` how Python's answers get into an authentication, `tls` how Python's TLS gets between.

mod events;
mod exchange;
mod link;
mod raise;
mod target;
mod ticket;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ohmqtt_client::{
    AliasPolicy, Client, ConfigError, Disconnect, Durability, Publication, Publish, PublishError,
    Qos, ReasonCode, SessionLoss, SqliteStore,
};
use ohmqtt_codec::PacketType;
use ohmqtt_session::{Message as Draft, PublishError as NotTaken, Rejected};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBytes, PyList};
use tokio::runtime::Handle;

use self::events::Mailbox;
pub(crate) use self::events::Received;
use self::link::{Link, Phase, Refused, State};
use self::target::{Arguments, Target, WillArguments};
pub(crate) use self::ticket::{Subscribed, Ticket};
use crate::convert::{self, Blob, Int, Pairs};
use crate::toolkit::blocks::of_object;
use crate::toolkit::objects;
use crate::{errors, runtime};

/// What may be kept and not acknowledged, in messages and bytes: in memory, and in a database.
const IN_MEMORY: (usize, usize) = (65_536, 64 * 1024 * 1024);
const ON_DISK: (usize, usize) = (4 * 1024 * 1024, 1024 * 1024 * 1024);

/// How much of QoS 0 may wait for its callback, in messages and bytes.
const WAITING: (usize, usize) = (1_000_000, 256 * 1024 * 1024);

/// How soon a message is tried again that the store could not take yet.
const BEHIND: Duration = Duration::from_millis(5);

/// The client of one `ohmqtt.Client`.
#[pyclass(frozen, module = "ohmqtt._native")]
pub(crate) struct Engine {
    link: Arc<Link>,
    mailbox: Arc<Mailbox>,
    runtime: Handle,
    durable: bool,
}

#[pymethods]
impl Engine {
    /// Opens the database of this path, if there is one, and makes a client that is not connected.
    #[new]
    fn new(py: Python<'_>, db_path: &str, db_fast: bool) -> PyResult<Self> {
        let runtime = runtime::handle()?;
        let made = py.detach(|| {
            let _inside = runtime.enter();
            let mut builder = Client::builder("localhost").session_loss(SessionLoss::Clear);
            let room = if db_path.is_empty() {
                IN_MEMORY
            } else {
                ON_DISK
            };
            builder = builder.outbox(room.0, room.1);
            if !db_path.is_empty() {
                let durability = if db_fast {
                    Durability::Fast
                } else {
                    Durability::Safe
                };
                let (store, imported) = SqliteStore::open_or_import(db_path)?;
                if let Some(imported) = imported {
                    tracing::info!(?imported, "took over the database of ohmqtt 1.x");
                    if imported.left > 0 {
                        let reasons = imported.reasons.join("; ");
                        tracing::warn!(rows = imported.left, %reasons, "left rows of ohmqtt 1.x in their tables");
                    }
                }
                builder = builder.store(store, durability);
            }
            let events = builder.events();
            Ok((builder.park()?, events))
        });
        let (client, events) = made.map_err(|error: ConfigError| raise::opened(py, &error))?;
        let inbox = client
            .inbox()
            .capacity(WAITING.0)
            .capacity_bytes(WAITING.1)
            .manual_ack()
            .open();
        let link = Link::new(client, events, runtime.clone());
        Ok(Self {
            mailbox: Arc::new(Mailbox::new(inbox, Arc::clone(&link.notices))),
            link,
            runtime,
            durable: !db_path.is_empty(),
        })
    }

    /// Publishes, and waits until the message is in the database, if it belongs there. `None` for QoS 0.
    fn publish(
        &self,
        py: Python<'_>,
        topic: PyBackedStr,
        payload: &Bound<'_, PyBytes>,
        qos: Int,
        retain: bool,
        properties: Option<&Bound<'_, PyAny>>,
        alias_policy: Int,
    ) -> PyResult<Option<Ticket>> {
        runtime::admit(py)?;
        let qos = convert::qos("qos", qos.into())?;
        let message = Message {
            alias: alias(alias_policy.into(), qos)?,
            draft: Draft {
                topic: convert::topic("topic", topic)?,
                qos,
                retain,
                properties: properties.map(of_object).transpose()?.unwrap_or_default(),
                payload: Bytes::copy_from_slice(payload.as_bytes()),
            },
        };
        if qos == Qos::AtMostOnce {
            let alias = message.alias;
            return match message.publish(&self.link.client).send_unwatched() {
                // It waits for room, as any other.
                Err(PublishError::Full(rejected)) => self
                    .send(py, Message::again(*rejected, alias))
                    .map(|_| None),
                sent => sent
                    .map(|()| None)
                    .map_err(|error| errors::publish(py, &error)),
            };
        }
        let publication = self.send(py, message)?;
        if self.durable {
            let accepted = runtime::wait(py, None, publication.accepted())?;
            if let Some(Err(why)) = accepted {
                return Err(match self.link.client.store_error() {
                    Some(error) => errors::store(&error),
                    None => errors::lost_message(py, why, why),
                });
            }
        }
        Ok(Some(Ticket::of_message(publication, qos)))
    }

    /// Subscribes, in the place of `before`.
    fn subscribe(
        &self,
        py: Python<'_>,
        topic_filter: &str,
        max_qos: Int,
        no_local: bool,
        retain_as_published: bool,
        retain_policy: Int,
        user_properties: Pairs,
        before: Option<&Subscribed>,
    ) -> PyResult<Subscribed> {
        runtime::admit(py)?;
        let mut subscribe = self
            .link
            .client
            .subscribe(topic_filter)
            .qos(convert::qos("max_qos", max_qos.into())?)
            .no_local(no_local)
            .retain_as_published(retain_as_published)
            .retain_handling(convert::retain_handling(
                "retain_policy",
                retain_policy.into(),
            )?)
            .deliver_to(&self.mailbox.inbox);
        for pair in convert::pairs(user_properties) {
            let (name, value) = pair?;
            subscribe = subscribe.user_property(name.as_str(), value.as_str());
        }
        let before = before.and_then(Subscribed::take);
        if let Some(before) = &before {
            subscribe = subscribe.in_place_of(before);
        }
        let subscription = subscribe
            .send()
            .map_err(|error| errors::subscribe(py, &error))?;
        let (runtime, state) = (self.runtime.clone(), self.link.state());
        Ok(Subscribed::new(subscription, runtime, state))
    }

    /// Asks for a connection.
    #[pyo3(signature = (address, *, client_id, clean_start, connect_timeout, reconnect_delay, keep_alive, tls, username, password, will, properties))]
    fn connect(
        &self,
        py: Python<'_>,
        address: &str,
        client_id: PyBackedStr,
        clean_start: bool,
        connect_timeout: Option<f64>,
        reconnect_delay: f64,
        keep_alive: Int,
        tls: Option<(Option<Py<PyAny>>, PyBackedStr)>,
        username: Option<PyBackedStr>,
        password: Option<Blob>,
        will: Option<WillArguments>,
        properties: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        runtime::admit(py)?;
        let given = Arguments {
            client_id,
            clean_start,
            connect_timeout,
            reconnect_delay,
            keep_alive,
            tls,
            username,
            password,
            will,
            properties,
        };
        let target = Target::new(py, address, given, &self.link.notices)?;
        self.link.connect(target).map_err(|refused| match refused {
            Refused::State(why) => raise::invalid_state(py, why),
            Refused::Settings(error) => PyValueError::new_err(error.to_string()),
        })
    }

    /// Ends the connection with this DISCONNECT, after at most `flush` seconds for what is queued.
    fn disconnect(
        &self,
        py: Python<'_>,
        flush: f64,
        reason_code: Int,
        properties: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        runtime::admit(py)?;
        let mut disconnect = Disconnect::new(convert::reason(PacketType::Disconnect, reason_code)?);
        if let Some(properties) = properties {
            disconnect.properties = of_object(properties)?;
        }
        let flush = runtime::seconds("flush", Some(flush))?.unwrap_or_default();
        self.link.disconnect(flush, disconnect);
        Ok(())
    }

    /// Ends the client.
    fn shutdown(&self) {
        // In a forked child there is nothing to end.
        if !runtime::is_forked() {
            self.link.shut_down();
        }
    }

    /// Answers the server's AUTH, or authenticates anew.
    fn auth(
        &self,
        py: Python<'_>,
        reason_code: Int,
        method: Option<PyBackedStr>,
        data: Option<Blob>,
    ) -> PyResult<()> {
        runtime::admit(py)?;
        let reason = convert::reason(PacketType::Auth, reason_code)?;
        let data = data.map(|data| data.0);
        let Some(exchange) = self.link.exchange() else {
            return Err(raise::invalid_state(
                py,
                "no authentication: give connect an AuthenticationMethod in its connect_properties",
            ));
        };
        if let Some(method) = method.filter(|method| **method != *exchange.method()) {
            return Err(PyValueError::new_err(format!(
                "authentication_method: the connection's is '{}', not '{}'",
                exchange.method(),
                &*method
            )));
        }
        if exchange.answer(data.clone()) {
            return Ok(());
        }
        if reason != ReasonCode::ReAuthenticate || self.link.phase() != Phase::Connected {
            return Err(raise::invalid_state(
                py,
                "the server waits for no answer, and there is no connection that could be authenticated anew",
            ));
        }
        exchange.begin_anew(data);
        let client = self.link.client.clone();
        self.runtime.spawn(async move {
            // How it ends is heard by `handle_auth`, and by the connection's end.
            if let Err(error) = client.reauthenticate().await {
                tracing::warn!(%error, "not authenticated anew");
            }
        });
        Ok(())
    }

    fn is_connected(&self) -> PyResult<bool> {
        runtime::refuse_fork()?;
        Ok(self.link.phase() == Phase::Connected)
    }

    /// Whether a connection may come about without being asked for again.
    fn is_connecting(&self) -> PyResult<bool> {
        runtime::refuse_fork()?;
        Ok(matches!(
            self.link.phase(),
            Phase::Connecting | Phase::Waiting
        ))
    }

    fn has_ended(&self) -> PyResult<bool> {
        runtime::refuse_fork()?;
        Ok(self.link.phase() == Phase::Ended)
    }

    /// Waits for a connection; False when there is none in time, or none is asked for. Raises why the last attempt failed, and takes that
    /// away where `once` is said.
    fn wait_connected(&self, py: Python<'_>, timeout: Option<f64>, once: bool) -> PyResult<bool> {
        let settled = |state: &State| !matches!(state.phase, Phase::Connecting | Phase::Waiting);
        let Some(state) = self.wait(py, timeout, settled)? else {
            return Ok(false);
        };
        if state.phase == Phase::Connected {
            return Ok(true);
        }
        match &state.error {
            Some(error) => {
                if once {
                    self.link.take_error();
                }
                Err(self.link.exception(py, error))
            }
            None => Ok(false),
        }
    }

    fn wait_disconnected(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let settled =
            |state: &State| matches!(state.phase, Phase::Idle | Phase::Waiting | Phase::Ended);
        Ok(self.wait(py, timeout, settled)?.is_some())
    }

    fn wait_ended(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let settled = |state: &State| state.phase == Phase::Ended;
        Ok(self.wait(py, timeout, settled)?.is_some())
    }

    /// Waits for something to call back with, at most `timeout` seconds: a list of tuples, which is empty when there is nothing.
    fn poll<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<f64>,
        most: usize,
    ) -> PyResult<Bound<'py, PyList>> {
        let timeout = runtime::seconds("max_wait", timeout)?;
        // A loop ends with its client.
        let next = self.mailbox.next(self.link.state(), most);
        let batch = runtime::wait_to_the_end(py, timeout, next)?;
        batch.unwrap_or_default().into_list(py, &self.link)
    }

    /// The last CONNACK.
    fn connack<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        runtime::refuse_fork()?;
        let connack = self.link.state().borrow().connack.clone();
        connack
            .map(|connack| objects::connack(py, &connack))
            .transpose()
    }

    /// The DISCONNECT by which the server ended the last connection.
    fn disconnect_packet<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        runtime::refuse_fork()?;
        let disconnect = self.link.state().borrow().disconnect.clone();
        disconnect
            .map(|disconnect| objects::disconnect(py, &disconnect))
            .transpose()
    }
}

impl Engine {
    /// Takes a message into the outbox. While there is a connection that makes room, it waits for room; and for the store while that is
    /// behind.
    fn send(&self, py: Python<'_>, mut message: Message) -> PyResult<Publication> {
        let client = &self.link.client;
        let alias = message.alias;
        let full = loop {
            match message.publish(client).send() {
                Ok(publication) => return Ok(publication),
                Err(PublishError::Full(rejected)) if rejected.error == NotTaken::StoreBehind => {
                    // It catches up, connection or none.
                    runtime::wait(py, Some(BEHIND), std::future::pending::<()>())?;
                    message = Message::again(*rejected, alias);
                }
                Err(PublishError::Full(rejected)) => break rejected,
                Err(error) => return Err(errors::publish(py, &error)),
            }
        };
        let message = Message::again((*full).clone(), alias);
        let full = PublishError::Full(full);
        let waited = async {
            let mut state = self.link.state();
            tokio::select! {
                biased;
                sent = message.publish(client).into_future() => Some(sent),
                _ = state.wait_for(|state| state.phase != Phase::Connected) => None,
            }
        };
        match runtime::wait(py, None, waited)?.flatten() {
            Some(Ok(publication)) => Ok(publication),
            Some(Err(error)) => Err(errors::publish(py, &error)),
            None => Err(errors::publish(py, &full)),
        }
    }

    fn wait(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        settled: impl Fn(&State) -> bool + Send + Sync,
    ) -> PyResult<Option<State>> {
        let timeout = runtime::seconds("timeout", timeout)?;
        let mut state = self.link.state();
        let settled = runtime::wait(py, timeout, async {
            let settled = state.wait_for(|state| settled(state)).await;
            settled.ok().map(|state| state.clone())
        })?;
        Ok(settled.flatten())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if runtime::is_forked() {
            std::mem::forget((Arc::clone(&self.link), Arc::clone(&self.mailbox)));
        } else {
            self.link.shut_down();
        }
    }
}

/// A message that is to be published.
struct Message {
    draft: Draft,
    alias: AliasPolicy,
}

impl Message {
    /// One that was given back, for another attempt.
    fn again(rejected: Rejected, alias: AliasPolicy) -> Self {
        Self {
            draft: rejected.message,
            alias,
        }
    }

    fn publish(self, client: &Client) -> Publish<'_> {
        let Draft {
            topic,
            qos,
            retain,
            properties,
            payload,
        } = self.draft;
        client
            .publish(topic, payload)
            .qos(qos)
            .retain(retain)
            .alias(self.alias)
            .properties(|all| *all = properties)
    }
}

/// The policy of this number, if it is for this QoS.
fn alias(policy: i64, qos: Qos) -> PyResult<AliasPolicy> {
    match policy {
        0 => Ok(AliasPolicy::Never),
        1 => Ok(AliasPolicy::Try),
        2 if qos == Qos::AtMostOnce => Ok(AliasPolicy::Always),
        2 => Err(PyValueError::new_err(
            "alias_policy: ALWAYS is for QoS 0 only, because a message that is sent again may find no alias",
        )),
        _ => Err(PyValueError::new_err(format!(
            "alias_policy: {policy} is none of NEVER, TRY and ALWAYS"
        ))),
    }
}
