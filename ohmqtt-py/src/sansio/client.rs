//! `ClientSession`.

use std::num::NonZeroU32;

use ohmqtt_codec::{
    Disconnect, Filters, Limits, PacketType, ReasonCode, SubscribeProperties, SubscriptionOptions,
    TopicFilter, UnsubscribeFilters, UnsubscribeProperties,
};
use ohmqtt_session::{
    ClientConfig, ClientEvent, ClientSession, Overflow, PublishError, SessionLoss, SubscribeError,
    Ticket,
};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBytes, PyTuple};

use super::event;
use super::machine::{Machine, options};
use super::message::PyMessage;
use super::names::Name;
use super::time::{Moment, patience};
use super::token::PyReceipt;
use crate::convert::{self, Blob, Int, Pairs, int};
use crate::packet::{ConnectPacket, DisconnectPacket, PyTopicFilter, set};

/// The client's side of MQTT 5.0, over any number of connections, without I/O: see the loop in help(ohmqtt.sansio).
///
/// `connect` is the CONNECT of each connection; the session itself sets clean_start to False once there is a session worth
/// resuming, and the client_id once the server has assigned one. With clean_start False on the first connection you vouch
/// that an empty session is what the server's is to be resumed with. Its receive_max, topic_alias_max and max_packet_size
/// are upheld.
///
/// The server has connect_timeout seconds for its CONNACK and ping_timeout seconds to answer a PINGREQ. max_messages and
/// max_bytes bound what is published and not finished; `overflow` says what becomes of more, `session_loss` what becomes
/// of what was sent and not acknowledged when the server has lost the session. Nothing is kept on disk.
#[pyclass(name = "ClientSession", module = "ohmqtt.sansio")]
pub(crate) struct PyClientSession {
    machine: Machine<ClientSession>,
    /// The server has asked by AUTH, and its question was told.
    is_asked: bool,
    /// The server's own proof was told.
    is_to_verify: bool,
}

#[pymethods]
impl PyClientSession {
    #[new]
    #[pyo3(signature = (
        connect, *, connect_timeout = 30.0, ping_timeout = 15.0, max_messages = 65_536, max_bytes = 67_108_864,
        overflow = 0, session_loss = 0
    ))]
    fn new(
        connect: &Bound<'_, ConnectPacket>,
        connect_timeout: f64,
        ping_timeout: f64,
        max_messages: usize,
        max_bytes: usize,
        #[pyo3(from_py_with = int)] overflow: i64,
        #[pyo3(from_py_with = int)] session_loss: i64,
    ) -> PyResult<Self> {
        let connect = connect.get().0.clone();
        let largest = connect.properties.maximum_packet_size();
        let mut config = ClientConfig::new(connect.client_id.clone());
        config.connect = connect;
        config.connect_timeout = patience("connect_timeout", connect_timeout)?;
        config.ping_timeout = patience("ping_timeout", ping_timeout)?;
        config.outbox.limits.messages = max_messages;
        config.outbox.limits.bytes = max_bytes;
        config.outbox.overflow = match overflow {
            0 => Overflow::Refuse,
            1 => Overflow::DropOldest,
            2 => Overflow::KeepNewest,
            _ => return Err(no_member("overflow", overflow, "Overflow")),
        };
        config.session_loss = match session_loss {
            0 => SessionLoss::Fail,
            1 => SessionLoss::Resend,
            2 => SessionLoss::Clear,
            _ => return Err(no_member("session_loss", session_loss, "SessionLossPolicy")),
        };
        let limits =
            largest.map_or_else(Limits::default, |size: NonZeroU32| Limits::new(size.get()));
        Ok(Self {
            machine: Machine::new(ClientSession::new(config), limits),
            is_asked: false,
            is_to_verify: false,
        })
    }

    /// A stream to the server stands. CONNECT waits in data_to_send; an earlier connection is over.
    fn connection_made(&mut self, now: Moment) {
        (self.is_asked, self.is_to_verify) = (false, false);
        self.machine.connection_made(now);
    }

    /// The stream has ended, however it did. Disconnected waits in events; what is not finished waits for the next stream.
    #[pyo3(signature = (now = None))]
    fn connection_lost(&mut self, now: Option<Moment>) {
        self.machine.connection_lost(now);
    }

    /// Takes bytes that came from the server, cut anywhere.
    ///
    /// It never raises for what the server says: what breaks a rule ends the connection (should_close), and Disconnected
    /// tells why. RuntimeError without a connection.
    #[pyo3(signature = (data, now = None))]
    fn receive(&mut self, data: Blob, now: Option<Moment>) -> PyResult<()> {
        self.machine.receive(&data.0, now)
    }

    /// Takes out what is to be written to the stream; empty when there is nothing. Ask after anything was put in.
    ///
    /// With max_bytes it stops behind the packet that reaches it, and is to be asked again: for a stream that may be slow.
    #[pyo3(signature = (now = None, *, max_bytes = None))]
    fn data_to_send<'py>(
        &mut self,
        py: Python<'py>,
        now: Option<Moment>,
        max_bytes: Option<usize>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.machine.data_to_send(py, now, max_bytes)
    }

    /// Takes out what has happened, in order. Ask after anything was put in or taken out; then ask data_to_send
    /// again, until both are empty.
    fn events(slf: &Bound<'_, Self>) -> PyResult<Vec<Py<PyAny>>> {
        let (events, owner) = {
            let mut this = slf.borrow_mut();
            let events = this.machine.take_events();
            for event in &events {
                this.is_asked |= matches!(event, ClientEvent::Authenticate { .. });
                this.is_to_verify |= matches!(event, ClientEvent::Verify { .. });
            }
            (events, this.machine.owner)
        };
        let made = events
            .into_iter()
            .map(|event| event::of_client(slf.py(), event, owner));
        made.filter_map(|event| Some(event.transpose()?.map(Bound::unbind)))
            .collect()
    }

    /// When handle_timeout is to be called at the latest, on the clock that you tell the time by; None: never. It moves with
    /// every other call.
    fn next_timeout(&self) -> Option<f64> {
        self.machine.next_timeout()
    }

    /// It is this late. Calling it early does no harm.
    fn handle_timeout(&mut self, now: Moment) {
        self.machine.handle_timeout(now);
    }

    /// The connection is at its end, and data_to_send has given the last of it: write that, close the stream, and call
    /// connection_lost.
    #[getter]
    fn should_close(&mut self) -> bool {
        self.machine.should_close()
    }

    /// Whether to read from the stream. While it is False, an answer of yours, or taking events and data, is awaited: what
    /// is received nevertheless is kept, without bound, and not looked at.
    #[getter]
    fn wants_data(&mut self) -> bool {
        self.machine.wants_data()
    }

    /// Publishes a message: its ticket, which Sent, Acked and Lost name.
    ///
    /// It is the session's from now on: sent when the server allows it, and above QoS 0 again on the next connection until
    /// it is acknowledged. A QoS 0 message without a connection is lost unless keep_offline. `deadline` is a moment of your
    /// clock behind which it is not to be sent any more.
    ///
    /// OutboxFullError: wait for Acked. ValueError: what can never be sent, or the server has said that it does not take.
    /// RuntimeError: no topic alias is left for AliasPolicy.ALWAYS.
    #[pyo3(signature = (message, *, deadline = None, alias = 0, keep_offline = false, now = None))]
    fn publish(
        &mut self,
        message: &Bound<'_, PyMessage>,
        deadline: Option<Moment>,
        #[pyo3(from_py_with = int)] alias: i64,
        keep_offline: bool,
        now: Option<Moment>,
    ) -> PyResult<u64> {
        let machine = &mut self.machine;
        let (now, ticket) = (machine.at(now), machine.new_ticket());
        let options = options(ticket, deadline, alias, keep_offline)?;
        let sent = machine
            .session
            .publish(now, message.get().0.clone(), options);
        sent.map_err(|rejected| not_published(message.py(), &rejected.error))?;
        Ok(ticket.0)
    }

    /// Asks for messages: the ticket that Subscribed or RequestLost names. A str is a TopicFilter of that pattern.
    ///
    /// RuntimeError unless the server has accepted the connection. ValueError for what the server does not offer.
    #[pyo3(signature = (*topic_filters, subscription_id = None, user_properties = None))]
    fn subscribe(
        &mut self,
        topic_filters: &Bound<'_, PyTuple>,
        subscription_id: Option<Int>,
        user_properties: Pairs,
    ) -> PyResult<u64> {
        let mut properties = SubscribeProperties::default();
        set!(properties.set_subscription_identifier(subscription_id(subscription_id)));
        set!(properties.add_user_property(user_properties));
        let mut filters: Option<Filters> = None;
        for each in topic_filters {
            let (filter, options) = wanted(&each)?;
            let added = match &mut filters {
                Some(filters) => filters.push(&filter, options),
                None => Filters::new(&filter, options).map(|list| filters = Some(list)),
            };
            added.map_err(|error| PyValueError::new_err(format!("topic_filters: {error}")))?;
        }
        let filters =
            filters.ok_or_else(|| PyValueError::new_err("topic_filters: give at least one"))?;
        let ticket = self.machine.new_ticket();
        let asked = self.machine.session.subscribe(filters, properties, ticket);
        asked_with(ticket, asked)
    }

    /// Asks for no more of these messages: the ticket that Unsubscribed or RequestLost names. Errors as of subscribe.
    #[pyo3(signature = (*patterns, user_properties = None))]
    fn unsubscribe(
        &mut self,
        patterns: &Bound<'_, PyTuple>,
        user_properties: Pairs,
    ) -> PyResult<u64> {
        let mut properties = UnsubscribeProperties::default();
        set!(properties.add_user_property(user_properties));
        let mut filters: Option<UnsubscribeFilters> = None;
        for pattern in patterns {
            let filter = convert::filter("patterns", pattern.extract()?)?;
            match &mut filters {
                Some(filters) => filters.push(&filter),
                None => filters = Some(UnsubscribeFilters::new(&filter)),
            }
        }
        let filters =
            filters.ok_or_else(|| PyValueError::new_err("patterns: give at least one"))?;
        let ticket = self.machine.new_ticket();
        let asked = self
            .machine
            .session
            .unsubscribe(filters, properties, ticket);
        asked_with(ticket, asked)
    }

    /// The message is taken: PUBACK or PUBREC, in the order of the messages. Again for the same message does nothing.
    fn acknowledge(&mut self, receipt: &Bound<'_, PyReceipt>) -> PyResult<()> {
        self.answer(receipt, ReasonCode::Success)
    }

    /// The message is refused, with a reason code of at least 0x80 for PUBACK or PUBREC: it does not come again.
    #[pyo3(signature = (receipt, reason_code = 0x80))]
    fn reject(
        &mut self,
        receipt: &Bound<'_, PyReceipt>,
        #[pyo3(from_py_with = int)] reason_code: i64,
    ) -> PyResult<()> {
        let reason = convert::reason(PacketType::PubAck, reason_code)?;
        if !reason.is_error() {
            return Err(PyValueError::new_err(format!(
                "reason_code: {reason} is no error: use acknowledge"
            )));
        }
        self.answer(receipt, reason)
    }

    /// The message is let go of without a word: the server is to send it again on the next connection.
    ///
    /// On this one, acknowledgements of the messages behind it wait, and it counts against our receive_max.
    fn abandon(&mut self, receipt: &Bound<'_, PyReceipt>) -> PyResult<()> {
        let receipt = receipt.get().for_owner(self.machine.owner)?;
        self.machine.session.abandon(receipt);
        self.machine.pump();
        Ok(())
    }

    /// Answers Authenticate. RuntimeError when that was not told, or is answered.
    #[pyo3(signature = (data = None))]
    fn authenticate(&mut self, data: Option<Blob>) -> PyResult<()> {
        let data = data.map(|data| convert::binary("data", data)).transpose()?;
        if !std::mem::take(&mut self.is_asked) {
            return Err(PyRuntimeError::new_err(
                "the server has not asked: authenticate answers an Authenticate event",
            ));
        }
        self.machine.session.authenticate(data.as_ref());
        self.machine.pump();
        Ok(())
    }

    /// Answers Verify: the server is who it should be, and the connection begins. RuntimeError when that was not told.
    #[pyo3(signature = (*, now = None))]
    fn verified(&mut self, now: Option<Moment>) -> PyResult<()> {
        if !std::mem::take(&mut self.is_to_verify) {
            return Err(PyRuntimeError::new_err(
                "there is nothing to verify: verified answers a Verify event",
            ));
        }
        let now = self.machine.at(now);
        self.machine.session.verified(now);
        self.machine.pump();
        Ok(())
    }

    /// The server is not who it should be, or has asked what there is no answer to: ends the connection at once.
    fn fail_authentication(&mut self) {
        (self.is_asked, self.is_to_verify) = (false, false);
        self.machine.session.fail_authentication();
    }

    /// Begins to authenticate again on the connection that stands. RuntimeError when there is none, when CONNECT named no
    /// authentication_method, or while that is under way.
    #[pyo3(signature = (data = None))]
    fn reauthenticate(&mut self, data: Option<Blob>) -> PyResult<()> {
        let data = data.map(|data| convert::binary("data", data)).transpose()?;
        if self.machine.session.reauthenticate(data.as_ref()) {
            return Ok(());
        }
        Err(PyRuntimeError::new_err(
            "to authenticate again, be connected by a ConnectPacket with an authentication_method, and not be at it",
        ))
    }

    /// What the next CONNECT says of the user.
    #[pyo3(signature = (username = None, password = None))]
    fn set_credentials(
        &mut self,
        username: Option<PyBackedStr>,
        password: Option<Blob>,
    ) -> PyResult<()> {
        let name = username
            .map(|name| convert::text("username", name))
            .transpose()?;
        let password = password
            .map(|password| convert::binary("password", password))
            .transpose()?;
        self.machine.session.set_credentials(name, password);
        Ok(())
    }

    /// The method that the next CONNECT names, and what it has to say first.
    #[pyo3(signature = (method, data = None))]
    fn set_authentication(&mut self, method: PyBackedStr, data: Option<Blob>) -> PyResult<()> {
        let method = convert::text("method", method)?;
        let data = data.map(|data| convert::binary("data", data)).transpose()?;
        self.machine
            .session
            .set_authentication(&method, data.as_ref());
        Ok(())
    }

    /// Says DISCONNECT once all that waits for nothing has left, and ends the connection. Without one it does nothing.
    ///
    /// What is published and not acknowledged stays, for the next connection.
    #[pyo3(signature = (packet = None))]
    fn disconnect(&mut self, packet: Option<&Bound<'_, DisconnectPacket>>) {
        let normal = || Disconnect::new(ReasonCode::NORMAL_DISCONNECTION);
        let disconnect = packet.map_or_else(normal, |packet| packet.get().0.clone());
        self.machine.session.disconnect(disconnect);
    }

    /// Whether the server has accepted the connection and it has not ended.
    #[getter]
    fn is_connected(&self) -> bool {
        self.machine.session.is_connected()
    }

    /// Whether the server resumed the session on the connection that stands; None without one that it accepted.
    #[getter]
    fn session_present(&self) -> Option<bool> {
        self.machine.session.session_present()
    }

    /// The client identifier: the one of `connect`, or the one that the server assigned.
    #[getter]
    fn client_id(&self) -> &str {
        self.machine.session.client_id().as_str()
    }

    /// Messages published and not finished, and their size in bytes.
    #[getter]
    fn queued(&self) -> (usize, usize) {
        self.machine.session.queued()
    }

    /// Messages of QoS 1 and 2 that were sent on this connection and are not acknowledged.
    #[getter]
    fn in_flight(&self) -> usize {
        self.machine.session.in_flight()
    }

    /// Messages that came and wait for your word.
    #[getter]
    fn unacknowledged(&self) -> usize {
        self.machine.session.unacknowledged()
    }

    /// Whether nothing is taken from the server until you acknowledge: it has sent more messages than our receive_max.
    #[getter]
    fn is_held_back(&self) -> bool {
        self.machine.session.is_held_back()
    }

    fn __repr__(&self) -> String {
        let state = if self.is_connected() {
            "connected"
        } else {
            "not connected"
        };
        format!("<ClientSession {:?}, {state}>", self.client_id())
    }
}

impl PyClientSession {
    fn answer(&mut self, receipt: &Bound<'_, PyReceipt>, reason: ReasonCode) -> PyResult<()> {
        let receipt = receipt.get().for_owner(self.machine.owner)?;
        self.machine.session.acknowledge(receipt, reason);
        self.machine.pump();
        Ok(())
    }
}

fn no_member(name: &str, value: i64, class: &str) -> PyErr {
    PyValueError::new_err(format!("{name}: {value} is no {class}"))
}

/// A topic filter, or the pattern of one with the default options.
fn wanted(value: &Bound<'_, PyAny>) -> PyResult<(TopicFilter, SubscriptionOptions)> {
    let filter = if let Ok(filter) = value.cast::<PyTopicFilter>() {
        filter.clone()
    } else if value.extract::<PyBackedStr>().is_ok() {
        value
            .py()
            .get_type::<PyTopicFilter>()
            .call1((value,))?
            .cast_into()?
    } else {
        let class = value.get_type().name()?;
        return Err(PyTypeError::new_err(format!(
            "topic_filters: expected TopicFilter or str, not '{class}'"
        )));
    };
    Ok(filter.get().0.clone())
}

fn asked_with<T>(ticket: Ticket, asked: Result<T, SubscribeError>) -> PyResult<u64> {
    match asked {
        Ok(_) => Ok(ticket.0),
        Err(error @ (SubscribeError::NotSupported { .. } | SubscribeError::TooLarge { .. })) => {
            Err(PyValueError::new_err(error.to_string()))
        }
        Err(error) => Err(PyRuntimeError::new_err(error.to_string())),
    }
}

/// What `publish` and `deliver` raise.
pub(super) fn not_published(py: Python<'_>, error: &PublishError) -> PyErr {
    let text = error.to_string();
    match error {
        PublishError::Full { .. } => Name::OutboxFullError.error(py, text),
        PublishError::NoTopicAlias { .. } | PublishError::Closed => PyRuntimeError::new_err(text),
        _ => PyValueError::new_err(text),
    }
}
