//! The broker's fault switches, and what clients sent.

use std::time::{Duration, Instant};

use ohmqtt_broker::ReasonCode;
use ohmqtt_broker::faults::{After, Direction, PacketType, Told};
use pyo3::exceptions::{PyTimeoutError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyType};
use tokio::runtime::Handle;

use super::access::forbid_in_authorizer;
use crate::convert::{self, Int};
use crate::packet::{self, into_object};
use crate::runtime;

/// Switches that break things, and records of what clients sent. Broker.faults() gives it.
///
/// client(), all() and next() give the switches for one client, for all, or for the connection that comes next. Connections from
/// before the first call of faults() are beyond their reach.
#[pyclass(frozen, module = "ohmqtt.broker")]
pub(crate) struct Faults {
    faults: ohmqtt_broker::faults::Faults,
    /// The broker's runtime.
    handle: Handle,
}

/// Switches for one client, for all, or for the connection that comes next.
///
/// A switch is on until it is turned off or has done what it does once, or the broker stops; it may be set before the client connects,
/// and outlives its connections. Where several stand for one connection, its own goes before its client's, and that before the
/// one for all; a connection is cut, silent, or made to wait for a packet if any of them says so.
#[pyclass(frozen, module = "ohmqtt.broker")]
pub(crate) struct Switches(ohmqtt_broker::faults::Switches);

impl Faults {
    pub(super) fn new(faults: ohmqtt_broker::faults::Faults, handle: Handle) -> Self {
        Self { faults, handle }
    }
}

#[pymethods]
impl Faults {
    /// Switches for the client with this Client Identifier, over all its connections.
    fn client(&self, client_id: String) -> Switches {
        Switches(self.faults.client(client_id))
    }

    /// Switches for all clients, those that have not said who they are among them.
    fn all(&self) -> Switches {
        Switches(self.faults.all())
    }

    /// Switches for the connection that is accepted next, and no other.
    fn next(&self) -> Switches {
        Switches(self.faults.next())
    }

    /// Forget the session of this client, and cut its connection if it has one. False if there was no session.
    fn forget_session(&self, py: Python<'_>, client_id: String) -> PyResult<bool> {
        forbid_in_authorizer()?;
        let faults = self.faults.clone();
        let forget = move || faults.forget_session(&client_id);
        // A broker that has stopped has none.
        let forgotten = runtime::wait(py, None, self.handle.spawn_blocking(forget))?;
        Ok(matches!(forgotten, Some(Ok(true))))
    }

    /// From now on the store fails as on a full disk, until free_disk(). Nothing comes of it without a store.
    fn fill_disk(&self) {
        self.faults.fill_disk();
    }

    /// End fill_disk().
    fn free_disk(&self) {
        self.faults.free_disk();
    }

    /// The packets that this client has sent, the oldest first: a list of those of ohmqtt.codec.
    ///
    /// The newest 1,024 of them, of no more than 4 MiB, over all its connections, and of the 1,024 clients that sent last. What was
    /// not whole or malformed, or too large for the broker, is not among them.
    fn sent_by<'py>(&self, py: Python<'py>, client_id: String) -> PyResult<Bound<'py, PyList>> {
        let sent = py.detach(|| self.faults.sent_by(&client_id));
        let packets = PyList::empty(py);
        for sent in sent {
            packets.append(into_object(py, sent)?)?;
        }
        Ok(packets)
    }

    /// Forget what this client has sent so far.
    fn clear_sent(&self, py: Python<'_>, client_id: String) {
        py.detach(|| self.faults.clear_sent(&client_id));
    }

    /// The first packet of this client for which is_it(packet) is true, of those that were sent so far and those to come. It may be on
    /// its way to the broker still.
    ///
    /// TimeoutError when there was none within so many seconds; None waits for ever.
    #[pyo3(
        signature = (client_id, is_it, timeout = Some(10.0)),
        text_signature = "($self, client_id, is_it, timeout=10.0)",
    )]
    fn wait_for<'py>(
        &self,
        py: Python<'py>,
        client_id: String,
        is_it: Bound<'py, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let limit = runtime::seconds("timeout", timeout)?;
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        let mut number = 0;
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let next = self.faults.wait_for_next(&client_id, number);
            let Some((next, packet)) = runtime::wait(py, left, next)? else {
                return Err(PyTimeoutError::new_err(format!(
                    "client '{client_id}' has sent no such packet within {} s",
                    limit.unwrap_or_default().as_secs_f64()
                )));
            };
            number = next;
            let packet = into_object(py, packet)?;
            if is_it.call1((&packet,))?.is_truthy()? {
                return Ok(packet);
            }
        }
    }
}

#[pymethods]
impl Switches {
    /// End the connections now, without a word to either side. The next connection: as soon as it is there.
    fn cut(&self, py: Python<'_>) {
        py.detach(|| self.0.cut());
    }

    /// End the connection behind so many packets or bytes, counted from now on or from the next connection on, once.
    ///
    /// "from_client": the broker takes all of them, and what it says to the last of them is lost. "to_client": the client gets all of
    /// them, and no more. For all() those of all connections count together, and the one that the last belongs to is cut.
    #[pyo3(signature = (direction, *, packets = None, bytes = None))]
    fn cut_after(
        &self,
        py: Python<'_>,
        direction: &str,
        packets: Option<usize>,
        bytes: Option<usize>,
    ) -> PyResult<()> {
        let direction = way(direction)?;
        let after = match (packets, bytes) {
            (Some(packets), None) => After::Packets(packets),
            (None, Some(bytes)) => After::Bytes(bytes),
            _ => {
                let what = "cut_after: say how many packets= or how many bytes=, one of them";
                return Err(PyTypeError::new_err(what));
            }
        };
        py.detach(|| self.0.cut_after(direction, after));
        Ok(())
    }

    /// Everything that goes this way, "from_client" or "to_client", arrives so many seconds later, in order. 0: at once again.
    fn delay(&self, py: Python<'_>, direction: &str, seconds: f64) -> PyResult<()> {
        let direction = way(direction)?;
        let delay = runtime::seconds("seconds", Some(seconds))?.unwrap_or(Duration::MAX);
        py.detach(|| self.0.delay(direction, delay));
        Ok(())
    }

    /// Packets of this class, such as PubAckPacket, do not reach the client until they are released. What is withheld when the
    /// connection ends is lost. While 1 MiB is withheld from a client, nothing else reaches it either.
    fn withhold(&self, packet: &Bound<'_, PyType>) -> PyResult<()> {
        let packet_type = packet_type(packet)?;
        packet.py().detach(|| self.0.withhold(packet_type));
        Ok(())
    }

    /// Send what was withheld or waits to be reordered, in the order it had, and hold no more.
    fn release(&self, packet: &Bound<'_, PyType>) -> PyResult<()> {
        let packet_type = packet_type(packet)?;
        packet.py().detach(|| self.0.release(packet_type));
        Ok(())
    }

    /// Packets of this class reach the client so many together, the last of them first, until they are released.
    ///
    /// A server may answer what it was sent in any order. The order of PUBLISH is a promise, and a client may take a broken one for an
    /// error.
    fn reorder(&self, packet: &Bound<'_, PyType>, together: usize) -> PyResult<()> {
        let packet_type = packet_type(packet)?;
        packet.py().detach(|| self.0.reorder(packet_type, together));
        Ok(())
    }

    /// Clients are told this in the CONNACK of their next connection, in place of what the broker says there. What is None stays.
    ///
    /// It is only told: the broker takes what it takes otherwise, so that sent_by() shows who does not keep to it. Each call stands in
    /// place of the one before.
    #[pyo3(signature = (
        *, receive_max = None, max_packet_size = None, max_qos = None, retain_available = None,
        wildcard_subscription_available = None, shared_subscription_available = None, subscription_id_available = None,
        topic_alias_max = None, server_keep_alive = None,
    ))]
    fn tell(
        &self,
        py: Python<'_>,
        receive_max: Option<Int>,
        max_packet_size: Option<Int>,
        max_qos: Option<Int>,
        retain_available: Option<bool>,
        wildcard_subscription_available: Option<bool>,
        shared_subscription_available: Option<bool>,
        subscription_id_available: Option<bool>,
        topic_alias_max: Option<Int>,
        server_keep_alive: Option<Int>,
    ) -> PyResult<()> {
        let mut told = Told::default();
        told.receive_maximum = receive_max
            .map(|value| convert::positive16("receive_max", value))
            .transpose()?;
        told.maximum_packet_size = max_packet_size
            .map(|value| convert::positive32("max_packet_size", value))
            .transpose()?;
        told.maximum_qos = max_qos
            .map(|value| convert::qos("max_qos", value.into()))
            .transpose()?;
        told.retain_available = retain_available;
        told.wildcard_subscription_available = wildcard_subscription_available;
        told.shared_subscription_available = shared_subscription_available;
        told.subscription_identifier_available = subscription_id_available;
        told.topic_alias_maximum = topic_alias_max
            .map(|value| convert::whole16("topic_alias_max", value))
            .transpose()?;
        told.server_keep_alive = server_keep_alive
            .map(|value| convert::whole16("server_keep_alive", value))
            .transpose()?;
        py.detach(|| self.0.tell(told));
        Ok(())
    }

    /// Answer each CONNECT with this reason, a ConnAckReasonCode that is an error. It never reaches the broker.
    fn refuse(&self, py: Python<'_>, reason_code: Int) -> PyResult<()> {
        let reason = convert::reason(PacketType::ConnAck, reason_code)?;
        if !reason.is_error() {
            return Err(PyValueError::new_err(format!(
                "reason_code: {reason} does not refuse: use one from 0x80 on, such as {}",
                ReasonCode::ServerBusy
            )));
        }
        py.detach(|| self.0.refuse(reason));
        Ok(())
    }

    /// Answer each CONNECT with Use another server (0x9C) and this Server Reference, commonly "host:port".
    fn redirect(&self, py: Python<'_>, server: &str) -> PyResult<()> {
        let redirected = py.detach(|| self.0.redirect(server));
        redirected.map_err(|error| PyValueError::new_err(format!("server: {error}")))
    }

    /// Connections stand, and nothing passes either way, until speak(). What is sent meanwhile arrives then, up to 1 MiB each way.
    ///
    /// The broker's own patience runs on: it ends a connection without CONNECT after a while, and one whose keep alive has run out.
    fn silence(&self, py: Python<'_>) {
        py.detach(|| self.0.silence());
    }

    /// End the silence.
    fn speak(&self, py: Python<'_>) {
        py.detach(|| self.0.speak());
    }

    /// Turn off everything that was turned on here. What was withheld arrives.
    fn mend(&self, py: Python<'_>) {
        py.detach(|| self.0.mend());
    }
}

fn way(direction: &str) -> PyResult<Direction> {
    match direction {
        "from_client" => Ok(Direction::FromClient),
        "to_client" => Ok(Direction::ToClient),
        _ => Err(PyValueError::new_err(format!(
            "direction: '{direction}' is neither 'from_client' nor 'to_client'"
        ))),
    }
}

/// The type of packet that a class of `ohmqtt.codec` is.
fn packet_type(class: &Bound<'_, PyType>) -> PyResult<PacketType> {
    let py = class.py();
    let classes = [
        (py.get_type::<packet::ConnectPacket>(), PacketType::Connect),
        (py.get_type::<packet::ConnAckPacket>(), PacketType::ConnAck),
        (py.get_type::<packet::PublishPacket>(), PacketType::Publish),
        (py.get_type::<packet::PubAckPacket>(), PacketType::PubAck),
        (py.get_type::<packet::PubRecPacket>(), PacketType::PubRec),
        (py.get_type::<packet::PubRelPacket>(), PacketType::PubRel),
        (py.get_type::<packet::PubCompPacket>(), PacketType::PubComp),
        (
            py.get_type::<packet::SubscribePacket>(),
            PacketType::Subscribe,
        ),
        (py.get_type::<packet::SubAckPacket>(), PacketType::SubAck),
        (
            py.get_type::<packet::UnsubscribePacket>(),
            PacketType::Unsubscribe,
        ),
        (
            py.get_type::<packet::UnsubAckPacket>(),
            PacketType::UnsubAck,
        ),
        (py.get_type::<packet::PingReqPacket>(), PacketType::PingReq),
        (
            py.get_type::<packet::PingRespPacket>(),
            PacketType::PingResp,
        ),
        (
            py.get_type::<packet::DisconnectPacket>(),
            PacketType::Disconnect,
        ),
        (py.get_type::<packet::AuthPacket>(), PacketType::Auth),
    ];
    let known = classes.iter().find(|(known, _)| class.is(known));
    known.map(|(_, packet_type)| *packet_type).ok_or_else(|| {
        PyTypeError::new_err("packet: give a class of ohmqtt.codec, such as PubAckPacket")
    })
}
