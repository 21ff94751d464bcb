//! Why a connection ended, and why a message will not arrive: as Python's enums, and as text.

use ohmqtt_codec::{PacketType, ReasonCode};
use ohmqtt_session::{DisconnectCause, LostMessage};
use pyo3::prelude::*;

use super::names::Name;
use crate::codes::Code;
use crate::packet::{ConnAckPacket, DisconnectPacket};

/// The arguments of `Disconnected`: the cause, a text, the reason code and the packet, if there are any.
pub(super) type Ending<'py> = (
    Bound<'py, PyAny>,
    String,
    Option<Bound<'py, PyAny>>,
    Option<Bound<'py, PyAny>>,
);

pub(super) fn ending(py: Python<'_>, cause: DisconnectCause) -> PyResult<Ending<'_>> {
    let text = cause.to_string();
    let (name, reason, packet) = match cause {
        DisconnectCause::Requested => ("REQUESTED", None, None),
        DisconnectCause::ByPeer(packet) => {
            let reason = packet.reason;
            let packet = Bound::new(py, DisconnectPacket(*packet))?.into_any();
            ("BY_PEER", Some(reason), Some(packet))
        }
        DisconnectCause::Refused(packet) => {
            let reason = packet.reason;
            let packet = Bound::new(py, ConnAckPacket(*packet))?.into_any();
            ("REFUSED", Some(reason), Some(packet))
        }
        DisconnectCause::Protocol(error) => ("PROTOCOL_ERROR", Some(error.reason()), None),
        DisconnectCause::KeepAliveTimeout => ("KEEP_ALIVE_TIMEOUT", None, None),
        DisconnectCause::ConnectTimeout => ("CONNECT_TIMEOUT", None, None),
        DisconnectCause::ByUs(reason) => ("BY_US", Some(reason), None),
        // And what this side does not know: there is no more to say of it than its text.
        _ => ("STREAM_ENDED", None, None),
    };
    let reason = reason.map(|reason| code(py, name, reason)).transpose()?;
    Ok((Name::Cause.member(py, name)?, text, reason, packet))
}

/// A reason code as that of the packet that says it: a CONNACK when a client is refused, else a DISCONNECT.
fn code<'py>(py: Python<'py>, cause: &str, reason: ReasonCode) -> PyResult<Bound<'py, PyAny>> {
    let is_refusal = cause == "REFUSED" || !reason.allowed_in(PacketType::Disconnect);
    let enumeration = if is_refusal {
        Code::ConnAck
    } else {
        Code::Disconnect
    };
    enumeration.member(py, reason)
}

pub(super) fn loss<'py>(
    py: Python<'py>,
    why: &LostMessage,
) -> PyResult<(Bound<'py, PyAny>, String)> {
    let name = match why {
        LostMessage::Offline => "OFFLINE",
        LostMessage::DeadlinePassed => "DEADLINE_PASSED",
        LostMessage::Expired => "EXPIRED",
        LostMessage::SessionLost => "SESSION_LOST",
        LostMessage::TooLarge { .. } => "TOO_LARGE",
        LostMessage::QosNotSupported { .. } => "QOS_NOT_SUPPORTED",
        LostMessage::RetainNotSupported => "RETAIN_NOT_SUPPORTED",
        LostMessage::Dropped => "DROPPED",
        LostMessage::Replaced => "REPLACED",
        // The others come of stores, and of rights that are asked about again; both are not here.
        _ => "CLOSED",
    };
    Ok((Name::Loss.member(py, name)?, why.to_string()))
}
