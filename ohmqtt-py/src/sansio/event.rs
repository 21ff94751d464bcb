//! The events of both roles as Python's objects.

use ohmqtt_codec::{AckProperties, Binary, ReasonCode};
use ohmqtt_session::{ClientEvent, LostMessage, Message, Receipt, ServerEvent, Ticket};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::ending::{ending, loss};
use super::message::PyMessage;
use super::names::Name;
use super::token::{Owner, PyReceipt};
use crate::codes::Code;
use crate::convert::tuple_of_pairs;
use crate::packet::{
    ConnAckPacket, ConnectPacket, PyWill, SubAckPacket, SubscribePacket, UnsubAckPacket,
    UnsubscribePacket,
};

/// An event, or `None` when it is of what is not here.
type Event<'py> = PyResult<Option<Bound<'py, PyAny>>>;

pub(super) fn of_client(py: Python<'_>, event: ClientEvent, owner: Owner) -> Event<'_> {
    Ok(Some(match event {
        ClientEvent::Connected(packet) => Name::Connected.make(py, (ConnAckPacket(*packet),)),
        ClientEvent::Disconnected(cause) => Name::Disconnected.make(py, ending(py, cause)?),
        ClientEvent::SessionLost {
            messages,
            bytes,
            sent,
        } => Name::SessionLost.make(py, (messages, bytes, sent)),
        ClientEvent::Message { message, receipt } => received(py, message, receipt, owner),
        ClientEvent::Sent { ticket } => Name::Sent.make(py, (ticket.0,)),
        ClientEvent::Acked {
            ticket,
            reason,
            properties,
            ..
        } => acked(py, ticket, reason, &properties),
        ClientEvent::Lost { ticket, why } => lost(py, ticket, &why),
        ClientEvent::Subscribed { ticket, suback } => {
            Name::Subscribed.make(py, (ticket.0, SubAckPacket(suback)))
        }
        ClientEvent::Unsubscribed { ticket, unsuback } => {
            Name::Unsubscribed.make(py, (ticket.0, UnsubAckPacket(unsuback)))
        }
        ClientEvent::RequestLost { ticket } => Name::RequestLost.make(py, (ticket.0,)),
        ClientEvent::Authenticate { data } => Name::Authenticate.make(py, (bytes(py, data),)),
        ClientEvent::Verify { data } => Name::Verify.make(py, (bytes(py, data),)),
        ClientEvent::Authenticated { data } => Name::Authenticated.make(py, (bytes(py, data),)),
        // Of stores.
        _ => return Ok(None),
    }?))
}

pub(super) fn of_server(py: Python<'_>, event: ServerEvent, owner: Owner) -> Event<'_> {
    Ok(Some(match event {
        ServerEvent::Connect(packet) => Name::ConnectRequest.make(py, (ConnectPacket(*packet),)),
        ServerEvent::Authenticate { data } => Name::Authenticate.make(py, (bytes(py, data),)),
        ServerEvent::Message { message, receipt } => received(py, message, receipt, owner),
        ServerEvent::Subscribe(packet) => {
            Name::SubscribeRequest.make(py, (SubscribePacket(packet),))
        }
        ServerEvent::Unsubscribe(packet) => {
            Name::UnsubscribeRequest.make(py, (UnsubscribePacket(packet),))
        }
        ServerEvent::Sent { ticket } => Name::Sent.make(py, (ticket.0,)),
        ServerEvent::Acked {
            ticket,
            reason,
            properties,
        } => acked(py, ticket, reason, &properties),
        ServerEvent::Lost { ticket, why } => lost(py, ticket, &why),
        ServerEvent::Disconnected {
            cause,
            will,
            session_expiry_interval,
        } => {
            let (cause, text, reason, packet) = ending(py, cause)?;
            let will = will.map(|will| PyWill(*will));
            let args = (cause, text, reason, packet, will, session_expiry_interval);
            Name::ClientDisconnected.make(py, args)
        }
        // Of stores.
        _ => return Ok(None),
    }?))
}

fn received(
    py: Python<'_>,
    message: Message,
    receipt: Option<Receipt>,
    owner: Owner,
) -> PyResult<Bound<'_, PyAny>> {
    let receipt = receipt.map(|receipt| PyReceipt::new(receipt, owner));
    Name::Received.make(py, (PyMessage(message), receipt))
}

fn acked<'py>(
    py: Python<'py>,
    ticket: Ticket,
    reason: ReasonCode,
    properties: &AckProperties,
) -> PyResult<Bound<'py, PyAny>> {
    // A PUBREC says what a PUBACK does, and a PUBCOMP this besides.
    let code = if reason == ReasonCode::PacketIdentifierNotFound {
        Code::PubComp
    } else {
        Code::PubAck
    };
    let pairs = tuple_of_pairs(py, properties.user_properties())?;
    let args = (
        ticket.0,
        code.member(py, reason)?,
        properties.reason_string(),
        pairs,
    );
    Name::Acked.make(py, args)
}

fn lost<'py>(py: Python<'py>, ticket: Ticket, why: &LostMessage) -> PyResult<Bound<'py, PyAny>> {
    let (why, text) = loss(py, why)?;
    Name::Lost.make(py, (ticket.0, why, text))
}

fn bytes(py: Python<'_>, data: Option<Binary>) -> Option<Bound<'_, PyBytes>> {
    data.map(|data| PyBytes::new(py, data.as_bytes()))
}
