//! `ServerSession`.

use std::num::NonZeroU32;

use ohmqtt_codec::{ConnAckProperties, Disconnect, Limits, PacketType, ReasonCode, ReasonCodes};
use ohmqtt_session::{
    Accept, Instant, PublishError, Routed, ServerConfig, ServerEvent, ServerSession, Subscription,
    Ticket,
};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::client::not_published;
use super::event;
use super::machine::{Machine, options};
use super::message::{PyMessage, PySubscription};
use super::time::{Moment, patience};
use super::token::{Owner, PyFlows, PyReceipt};
use crate::convert::{self, Blob, Int, int};
use crate::packet::{ConnAckPacket, DisconnectPacket, SubscribePacket, UnsubscribePacket};

/// The server's side of MQTT 5.0 for one client, without I/O: see the loop in help(ohmqtt.sansio). Who may connect, and
/// which messages go to whom, is yours to say.
///
/// A client has connect_timeout seconds to say CONNECT. receive_max is how many unacknowledged messages it may have under
/// way, max_packet_size how large a packet of its may be, topic_alias_max how many aliases it may use, server_keep_alive
/// the Keep Alive in seconds in place of its own: CONNACK tells them, and they are upheld. max_messages and max_bytes bound
/// what waits for the client. Nothing is kept on disk.
///
/// An object is for one connection; when that has ended it still takes deliveries. When the client comes back, its flows
/// go from the old session to the new one: `new.accept(flows=old.take_flows())`.
#[pyclass(name = "ServerSession", module = "ohmqtt.sansio")]
pub(crate) struct PyServerSession {
    machine: Machine<ServerSession>,
    /// What the client was told to have asked, and has no answer to.
    question: Question,
    /// The client of this connection was accepted.
    was_accepted: bool,
    /// The client's flows are here.
    holds_flows: bool,
    /// Whose the messages in events are, also when the flows have gone.
    came_to: Owner,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Question {
    Nothing,
    /// To be accepted.
    Connect,
    /// To be known again, once it was accepted.
    Again,
}

#[pymethods]
impl PyServerSession {
    #[new]
    #[pyo3(signature = (
        *, connect_timeout = 10.0, receive_max = 1024, max_packet_size = None, topic_alias_max = 0,
        server_keep_alive = None, max_messages = 10_000, max_bytes = 33_554_432
    ))]
    fn new(
        connect_timeout: f64,
        #[pyo3(from_py_with = int)] receive_max: i64,
        max_packet_size: Option<Int>,
        #[pyo3(from_py_with = int)] topic_alias_max: i64,
        server_keep_alive: Option<Int>,
        max_messages: usize,
        max_bytes: usize,
    ) -> PyResult<Self> {
        let mut config = ServerConfig::default();
        config.connect_timeout = patience("connect_timeout", connect_timeout)?;
        config.receive_maximum = convert::positive16("receive_max", receive_max)?;
        let size = max_packet_size.map(|size| convert::positive32("max_packet_size", size));
        config.maximum_packet_size = size.transpose()?;
        config.topic_alias_maximum = convert::whole16("topic_alias_max", topic_alias_max)?;
        let keep_alive = server_keep_alive.map(|time| convert::whole16("server_keep_alive", time));
        config.server_keep_alive = keep_alive.transpose()?;
        config.outbox.limits.messages = max_messages;
        config.outbox.limits.bytes = max_bytes;
        let limits = limits(config.maximum_packet_size);
        let start = Instant::default();
        let machine = Machine::new(ServerSession::new(start, config), limits);
        Ok(Self {
            came_to: machine.owner,
            machine,
            question: Question::Nothing,
            was_accepted: false,
            holds_flows: false,
        })
    }

    /// A stream of a client stands.
    fn connection_made(&mut self, now: Moment) {
        (self.question, self.was_accepted) = (Question::Nothing, false);
        self.machine.connection_made(now);
    }

    /// The stream has ended, however it did. ClientDisconnected waits in events.
    #[pyo3(signature = (now = None))]
    fn connection_lost(&mut self, now: Option<Moment>) {
        self.machine.connection_lost(now);
    }

    /// Takes bytes that came from the client, cut anywhere.
    ///
    /// It never raises for what the client says: what breaks a rule ends the connection (should_close), and
    /// ClientDisconnected tells why. RuntimeError without a connection.
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
                match event {
                    ServerEvent::Authenticate { .. } if this.was_accepted => {
                        this.question = Question::Again;
                    }
                    ServerEvent::Connect(_) | ServerEvent::Authenticate { .. } => {
                        this.question = Question::Connect;
                    }
                    _ => {}
                }
            }
            (events, this.came_to)
        };
        let made = events
            .into_iter()
            .map(|event| event::of_server(slf.py(), event, owner));
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

    /// Answers ConnectRequest, or an Authenticate before it: CONNACK with success, then what the session owes the client.
    ///
    /// `flows` are those of the client's last session; its clean_start decides whether they are used, and session_present
    /// says so. `packet` is what else CONNACK says: what is not available, an assigned_client_id and so on; it is upheld. A
    /// client whose will is above what is offered is refused. RuntimeError when no client waits.
    #[pyo3(signature = (*, flows = None, packet = None, now = None))]
    fn accept(
        &mut self,
        flows: Option<&Bound<'_, PyFlows>>,
        packet: Option<&Bound<'_, ConnAckPacket>>,
        now: Option<Moment>,
    ) -> PyResult<()> {
        if self.question != Question::Connect {
            return Err(nobody_asked("accept"));
        }
        let properties = packet.map_or_else(
            || Ok(ConnAckProperties::default()),
            |packet| accepting(packet.get()),
        )?;
        let flows = flows.map(|flows| flows.get().take()).transpose()?;
        self.question = Question::Nothing;
        self.was_accepted = true;
        self.holds_flows = true;
        let told = properties.maximum_packet_size();
        let (session, owner) = flows.unzip();
        // A session that begins is not the one that other receipts are for.
        self.machine.owner = owner.unwrap_or_else(Owner::new);
        self.came_to = self.machine.owner;
        let now = self.machine.at(now);
        self.machine.session.accept(
            now,
            Accept {
                session,
                properties,
            },
        );
        if let Some(told) = told {
            let largest = self.machine.limits.max_packet_size.min(told.get());
            self.machine.limits = Limits::new(largest);
        }
        self.machine.pump();
        Ok(())
    }

    /// Answers ConnectRequest, or an Authenticate before a client was accepted: this CONNACK, of an error, and the end.
    /// RuntimeError when no client waits.
    fn refuse(&mut self, packet: &Bound<'_, ConnAckPacket>) -> PyResult<()> {
        let packet = &packet.get().0;
        if !packet.reason.is_error() {
            return Err(PyValueError::new_err(
                "reason_code: SUCCESS refuses nobody: use accept",
            ));
        }
        if self.question != Question::Connect {
            return Err(nobody_asked("refuse"));
        }
        self.question = Question::Nothing;
        self.machine
            .session
            .refuse(packet.reason, packet.properties.clone());
        Ok(())
    }

    /// Answers ConnectRequest or Authenticate: asks for more, by AUTH. RuntimeError when neither waits, or CONNECT named no
    /// authentication_method.
    #[pyo3(signature = (data = None))]
    fn authenticate(&mut self, data: Option<Blob>) -> PyResult<()> {
        let data = data.map(|data| convert::binary("data", data)).transpose()?;
        if self.machine.session.authentication_method().is_none() {
            return Err(PyRuntimeError::new_err(
                "the client named no authentication_method: accept or refuse it as it is",
            ));
        }
        if std::mem::replace(&mut self.question, Question::Nothing) == Question::Nothing {
            return Err(nobody_asked("authenticate"));
        }
        self.machine.session.authenticate(data.as_ref());
        self.machine.pump();
        Ok(())
    }

    /// Answers Authenticate of a client that was accepted before: it has authenticated itself again. Where it has not, say
    /// disconnect. RuntimeError when that does not wait.
    #[pyo3(signature = (data = None))]
    fn authenticated(&mut self, data: Option<Blob>) -> PyResult<()> {
        let data = data.map(|data| convert::binary("data", data)).transpose()?;
        if self.question != Question::Again {
            return Err(PyRuntimeError::new_err(
                "no client authenticates again: authenticated answers an Authenticate event of one that was accepted",
            ));
        }
        self.question = Question::Nothing;
        self.machine.session.authenticated(data.as_ref());
        Ok(())
    }

    /// Answers a SubscribeRequest: a reason code for each of its topic filters, in their order.
    fn suback(
        &mut self,
        request: &Bound<'_, SubscribePacket>,
        reason_codes: Vec<Int>,
    ) -> PyResult<()> {
        let request = &request.get().0;
        let codes = codes(PacketType::SubAck, reason_codes, request.filters.len())?;
        self.machine.session.suback(request.packet_id, codes);
        Ok(())
    }

    /// Answers an UnsubscribeRequest: a reason code for each of its patterns, in their order.
    fn unsuback(
        &mut self,
        request: &Bound<'_, UnsubscribePacket>,
        reason_codes: Vec<Int>,
    ) -> PyResult<()> {
        let request = &request.get().0;
        let codes = codes(PacketType::UnsubAck, reason_codes, request.filters.len())?;
        self.machine.session.unsuback(request.packet_id, codes);
        Ok(())
    }

    /// Delivers a message as the client's matching subscriptions ask: once, at the lower of its QoS and the highest granted,
    /// with all their subscription_ids. `own`: this client has published it. `retained`: it was retained, and the client has
    /// just subscribed.
    ///
    /// The ticket that Sent, Acked and Lost name if `track`, else 0 and no events. Without a connection QoS 0 is dropped
    /// unless keep_offline, and the rest waits. `deadline` as of ClientSession.publish. Nothing comes of a message that no
    /// subscription wants (no_local).
    ///
    /// OutboxFullError when as much waits as may. RuntimeError before a client was accepted, and behind take_flows.
    #[pyo3(signature = (
        message, subscriptions, *, own = false, retained = false, track = false, deadline = None, alias = 0,
        keep_offline = false, now = None
    ))]
    fn deliver(
        &mut self,
        message: &Bound<'_, PyMessage>,
        subscriptions: Vec<Py<PySubscription>>,
        own: bool,
        retained: bool,
        track: bool,
        deadline: Option<Moment>,
        #[pyo3(from_py_with = int)] alias: i64,
        keep_offline: bool,
        now: Option<Moment>,
    ) -> PyResult<u64> {
        let machine = &mut self.machine;
        let now = machine.at(now);
        let ticket = if track {
            machine.new_ticket()
        } else {
            Ticket::NONE
        };
        let options = options(ticket, deadline, alias, keep_offline)?;
        let routed = match (retained, own) {
            (true, _) => Routed::Retained,
            (false, true) => Routed::Own,
            (false, false) => Routed::Published,
        };
        let matched: Vec<_> = subscriptions
            .iter()
            .map(|each| Subscription::from(&each.get().0))
            .collect();
        let sent = machine
            .session
            .deliver(now, &message.get().0, &matched, routed, options);
        sent.map_err(|rejected| match rejected.error {
            PublishError::Closed => PyRuntimeError::new_err(
                "this session serves no client: deliver at the one that has accepted it and has its flows",
            ),
            error => not_published(message.py(), &error),
        })?;
        Ok(ticket.0)
    }

    /// The message is taken and routed, or refused by a reason code of at least 0x80: PUBACK or PUBREC, in the order of the
    /// messages. Again for the same message does nothing. ValueError when it came to another session: after take_flows,
    /// acknowledge at the session that has the flows.
    #[pyo3(signature = (receipt, reason_code = 0))]
    fn acknowledge(
        &mut self,
        receipt: &Bound<'_, PyReceipt>,
        #[pyo3(from_py_with = int)] reason_code: i64,
    ) -> PyResult<()> {
        let reason = convert::reason(PacketType::PubAck, reason_code)?;
        let receipt = receipt.get().for_owner(self.machine.owner)?;
        self.machine.session.acknowledge(receipt, reason);
        self.machine.pump();
        Ok(())
    }

    /// Ends the connection at once, with a DISCONNECT where one may be sent.
    #[pyo3(signature = (packet = None))]
    fn disconnect(&mut self, packet: Option<&Bound<'_, DisconnectPacket>>) {
        self.machine.session.disconnect(disconnect_of(packet));
    }

    /// Ends the connection behind the answers that are ready to leave, with a DISCONNECT where one may be sent.
    #[pyo3(signature = (packet = None))]
    fn finish(&mut self, packet: Option<&Bound<'_, DisconnectPacket>>) {
        self.machine.session.finish(disconnect_of(packet));
    }

    /// Takes the client's flows away, for the session that accepts it next; this connection ends with reason_code.
    ///
    /// What waits in events here stays: messages that came on this connection are acknowledged at the session that has the
    /// flows. RuntimeError when there are none: no client was accepted, or they were taken.
    #[pyo3(signature = (reason_code = 0x8E))]
    fn take_flows(&mut self, #[pyo3(from_py_with = int)] reason_code: i64) -> PyResult<PyFlows> {
        let reason = convert::reason(PacketType::Disconnect, reason_code)?;
        if !std::mem::take(&mut self.holds_flows) {
            return Err(PyRuntimeError::new_err(
                "there are no flows here: no client was accepted, or they were taken before",
            ));
        }
        let flows = self.machine.session.take_flows(reason);
        let owner = std::mem::replace(&mut self.machine.owner, Owner::new());
        Ok(PyFlows::new(flows, owner))
    }

    /// Whether a client was accepted and its connection has not ended.
    #[getter]
    fn is_connected(&self) -> bool {
        self.machine.session.is_connected()
    }

    /// How long the client wants its session kept behind this connection, in seconds; 4294967295 for ever.
    #[getter]
    fn session_expiry_interval(&self) -> u32 {
        self.machine.session.session_expiry_interval()
    }

    /// Messages for the client that are not finished, and their size in bytes.
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

    fn __repr__(&self) -> String {
        let state = if self.is_connected() {
            "connected"
        } else {
            "not connected"
        };
        format!("<ServerSession, {state}>")
    }
}

fn limits(max_packet_size: Option<NonZeroU32>) -> Limits {
    max_packet_size.map_or_else(Limits::default, |size| Limits::new(size.get()))
}

fn nobody_asked(what: &str) -> PyErr {
    PyRuntimeError::new_err(format!(
        "no client waits for a word: {what} answers, once, a ConnectRequest or Authenticate event"
    ))
}

/// What a CONNACK says besides that it accepts.
fn accepting(packet: &ConnAckPacket) -> PyResult<ConnAckProperties> {
    if packet.0.reason != ReasonCode::Success {
        return Err(PyValueError::new_err(
            "reason_code: an error accepts nobody: use refuse",
        ));
    }
    if packet.0.session_present {
        return Err(PyValueError::new_err(
            "session_present: the session says that itself, by the flows it is given",
        ));
    }
    Ok(packet.0.properties.clone())
}

fn codes(packet: PacketType, codes: Vec<Int>, filters: usize) -> PyResult<ReasonCodes> {
    if codes.len() != filters {
        return Err(PyValueError::new_err(format!(
            "reason_codes: the request wants {filters}, one for each of its filters, not {}",
            codes.len()
        )));
    }
    let codes = codes.into_iter().map(|code| convert::reason(packet, code));
    let codes = ReasonCodes::from_iter_nonempty(codes.collect::<PyResult<Vec<_>>>()?);
    codes.ok_or_else(|| PyValueError::new_err("reason_codes: give at least one"))
}

fn disconnect_of(packet: Option<&Bound<'_, DisconnectPacket>>) -> Disconnect {
    let normal = || Disconnect::new(ReasonCode::NORMAL_DISCONNECTION);
    packet.map_or_else(normal, |packet| packet.get().0.clone())
}
