//! What went wrong, as the exceptions that programs in Python know. The words are those of the crates below.
//!
//! What MQTT refuses by a reason code is an `ohmqtt.MQTTError` with that code; a message that was taken and will not arrive
//! is an `ohmqtt.LostMessageError`; all else is an exception of Python's own.

use std::error::Error;
use std::fmt::Display;
use std::io;

use ohmqtt_client::{
    ConfigError, ConnectError, ConnectErrorKind, ConnectFailed, DisconnectCause, LostMessage,
    PublishError, ReasonCode, ReauthenticateError, RequestError, StoreError, SubscribeError,
    TransportError, TransportErrorKind,
};
use ohmqtt_session::{PublishError as NotTaken, SubscribeError as NotSubscribed};
use pyo3::exceptions::{
    PyConnectionError, PyConnectionRefusedError, PyConnectionResetError, PyOSError,
    PyPermissionError, PyRuntimeError, PyTimeoutError, PyValueError,
};
use pyo3::prelude::*;

pub(crate) use exception::StoreError as PyStoreError;

mod exception {
    pyo3::create_exception!(
        ohmqtt,
        StoreError,
        pyo3::exceptions::PyOSError,
        "What is to survive a crash could not be stored or read. What had been stored before is untouched."
    );
}

/// What a class of `module` makes of `args`: the exception that is to be raised.
fn raised<'py, A>(py: Python<'py>, module: &str, class: &str, args: A) -> PyErr
where
    A: pyo3::call::PyCallArgs<'py>,
{
    let made = py
        .import(module)
        .and_then(|module| module.getattr(class)?.call1(args));
    made.map_or_else(|error| error, PyErr::from_value)
}

/// An `ohmqtt.MQTTError`.
pub(crate) fn mqtt(py: Python<'_>, text: impl Display, reason: ReasonCode) -> PyErr {
    let args = (text.to_string(), u8::from(reason));
    raised(py, "ohmqtt", "MQTTError", args)
}

/// An `ohmqtt.LostMessageError`.
pub(crate) fn lost(py: Python<'_>, text: impl Display) -> PyErr {
    let args = (text.to_string(),);
    raised(py, "ohmqtt", "LostMessageError", args)
}

/// What was made for something else, or is over.
pub(crate) fn closed(text: impl Display) -> PyErr {
    PyRuntimeError::new_err(text.to_string())
}

fn invalid(error: impl Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// An exception as Python raises it: by the system's number where there is one, which knows more kinds than we tell apart.
fn system<E: pyo3::PyTypeInfo>(cause: Option<&io::Error>, text: String) -> PyErr {
    match cause.and_then(io::Error::raw_os_error) {
        Some(number) => PyOSError::new_err((number, text)),
        None => PyErr::new::<E, _>((text,)),
    }
}

/// A setting cannot be used.
pub(crate) fn config(error: &ConfigError) -> PyErr {
    match error {
        ConfigError::Store(error) => store(error),
        ConfigError::NoRuntime => PyRuntimeError::new_err(error.to_string()),
        _ => invalid(error),
    }
}

/// The store does not work: an `ohmqtt.StoreError`, with the system's number where there is one.
pub(crate) fn store(error: &StoreError) -> PyErr {
    let cause = match error {
        StoreError::NotWritable { cause, .. }
        | StoreError::Io { cause, .. }
        | StoreError::Thread(cause) => Some(&**cause),
        _ => None,
    };
    system::<PyStoreError>(cause, error.to_string())
}

/// The client was not started, or the first attempt to connect failed.
pub(crate) fn connect_failed(py: Python<'_>, error: &ConnectFailed) -> PyErr {
    match error {
        ConnectFailed::Config(error) => config(error),
        ConnectFailed::Connect(error) => connect(py, error),
        _ => PyConnectionError::new_err(error.to_string()),
    }
}

/// A connection did not come about, or ended.
pub(crate) fn connect(py: Python<'_>, error: &ConnectError) -> PyErr {
    let text = error.to_string();
    match &error.kind {
        ConnectErrorKind::Transport(error) => transport(py, error),
        ConnectErrorKind::TimedOut => PyTimeoutError::new_err(text),
        ConnectErrorKind::Stream(cause) => {
            of_transport_kind(py, TransportErrorKind::of(cause), Some(cause), text)
        }
        ConnectErrorKind::NotMqtt(error) => mqtt(py, text, error.reason()),
        ConnectErrorKind::Authentication(error) => {
            let reason = error.reason.unwrap_or(ReasonCode::NotAuthorized);
            mqtt(py, text, reason)
        }
        ConnectErrorKind::Session(cause) => match cause {
            DisconnectCause::Refused(connack) => mqtt(py, text, connack.reason),
            DisconnectCause::ByPeer(disconnect) => mqtt(py, text, disconnect.reason),
            DisconnectCause::Protocol(error) => mqtt(py, text, error.reason()),
            DisconnectCause::ByUs(reason) => mqtt(py, text, *reason),
            DisconnectCause::KeepAliveTimeout | DisconnectCause::ConnectTimeout => {
                PyTimeoutError::new_err(text)
            }
            DisconnectCause::StreamEnded => PyConnectionResetError::new_err(text),
            _ => PyConnectionError::new_err(text),
        },
        ConnectErrorKind::Closed => closed(text),
        _ => PyConnectionError::new_err(text),
    }
}

fn transport(py: Python<'_>, error: &TransportError) -> PyErr {
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    of_transport_kind(py, error.kind(), cause, error.to_string())
}

fn of_transport_kind(
    py: Python<'_>,
    kind: TransportErrorKind,
    cause: Option<&io::Error>,
    text: String,
) -> PyErr {
    use TransportErrorKind as Kind;
    match kind {
        Kind::Refused => system::<PyConnectionRefusedError>(cause, text),
        Kind::NameNotFound => {
            let number = py
                .import("socket")
                .and_then(|module| module.getattr("EAI_NONAME"));
            match number {
                Ok(number) => raised(py, "socket", "gaierror", (number, text)),
                Err(error) => error,
            }
        }
        Kind::TimedOut => system::<PyTimeoutError>(cause, text),
        Kind::Reset => system::<PyConnectionResetError>(cause, text),
        Kind::PermissionDenied | Kind::Prohibited => system::<PyPermissionError>(cause, text),
        // The number is that of a failure in the protocol, as Python's own have it.
        Kind::Certificate(_) => raised(py, "ssl", "SSLCertVerificationError", (1, text)),
        Kind::CertificateRequired | Kind::CertificateRefused | Kind::TlsMismatch | Kind::Tls => {
            raised(py, "ssl", "SSLError", (1, text))
        }
        Kind::NotCompiledIn { .. } | Kind::Misconfigured => invalid(text),
        Kind::HttpStatus(_) | Kind::WebSocket | Kind::Proxy(_) => PyConnectionError::new_err(text),
        _ => system::<PyOSError>(cause, text),
    }
}

/// A message was not published.
pub(crate) fn publish(py: Python<'_>, error: &PublishError) -> PyErr {
    let text = error.to_string();
    match error {
        PublishError::Full(_) => mqtt(py, text, ReasonCode::QuotaExceeded),
        PublishError::Refused(rejected) => match rejected.error {
            NotTaken::TooLargeForOutbox { .. } | NotTaken::TooLarge { .. } => {
                mqtt(py, text, ReasonCode::PacketTooLarge)
            }
            NotTaken::QosNotSupported { .. } => mqtt(py, text, ReasonCode::QosNotSupported),
            NotTaken::RetainNotSupported => mqtt(py, text, ReasonCode::RetainNotSupported),
            NotTaken::NoTopicAlias { .. } => raised(py, "ohmqtt", "MaxOutboundAliasError", (text,)),
            _ => mqtt(py, text, ReasonCode::UnspecifiedError),
        },
        PublishError::Store(error) => store(error),
        PublishError::Lost(why) => lost_message(py, *why, text),
        PublishError::Closed(_) => closed(text),
        _ => invalid(text),
    }
}

/// A message was taken and will not arrive, or is not known to have.
pub(crate) fn lost_message(py: Python<'_>, why: LostMessage, text: impl Display) -> PyErr {
    match why {
        LostMessage::QosNotSupported { .. } => mqtt(py, text, ReasonCode::QosNotSupported),
        LostMessage::RetainNotSupported => mqtt(py, text, ReasonCode::RetainNotSupported),
        LostMessage::TooLarge { .. } => mqtt(py, text, ReasonCode::PacketTooLarge),
        _ => lost(py, text),
    }
}

/// A subscription was not made.
pub(crate) fn subscribe(py: Python<'_>, error: &SubscribeError) -> PyErr {
    let text = error.to_string();
    match error {
        SubscribeError::Refused { reason, .. } => mqtt(py, text, *reason),
        SubscribeError::NotSent(NotSubscribed::TooLarge { .. }) => {
            mqtt(py, text, ReasonCode::PacketTooLarge)
        }
        SubscribeError::NotSent(_) => mqtt(py, text, ReasonCode::ImplementationSpecificError),
        SubscribeError::NoThread(cause) => system::<PyOSError>(Some(cause), text),
        SubscribeError::Closed | SubscribeError::Ended => closed(text),
        _ => invalid(text),
    }
}

/// A request was not answered.
pub(crate) fn request(py: Python<'_>, error: &RequestError) -> PyErr {
    let text = error.to_string();
    match error {
        RequestError::TimedOut { .. } => PyTimeoutError::new_err(text),
        RequestError::NobodyListens { .. } => mqtt(py, text, ReasonCode::NoMatchingSubscribers),
        RequestError::Refused { reason, .. } => mqtt(py, text, *reason),
        RequestError::Lost(why) => lost_message(py, *why, text),
        RequestError::Publish(error) => publish(py, error),
        RequestError::Subscribe(error) => subscribe(py, error),
        RequestError::TooMany { .. } => mqtt(py, text, ReasonCode::QuotaExceeded),
        _ => closed(text),
    }
}

/// A re-authentication failed.
pub(crate) fn reauthenticate(py: Python<'_>, error: &ReauthenticateError) -> PyErr {
    let text = error.to_string();
    match error {
        ReauthenticateError::NotBegun(error) => {
            mqtt(py, text, error.reason.unwrap_or(ReasonCode::NotAuthorized))
        }
        ReauthenticateError::Disconnected(error) => connect(py, error),
        ReauthenticateError::NotConnected => PyConnectionError::new_err(text),
        _ => closed(text),
    }
}
