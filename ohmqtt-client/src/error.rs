//! What can go wrong, one type per operation. Messages name the address, the phase and what to do; none holds a secret.

use std::io;
use std::sync::Arc;

use ohmqtt_codec::{InvalidTopic, ReasonCode, TopicName};
use ohmqtt_session::{
    DisconnectCause, LostMessage, Message, ProtocolError, Redirect, Rejected,
    SubscribeError as NotSubscribed,
};
use ohmqtt_store::StoreError;
use ohmqtt_transport::TransportError;

use crate::auth::AuthenticationError;
use crate::routes::Unanswered;

/// The client was not given what it needs. Nothing was tried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The address is no URL of a broker.
    #[error("{0}")]
    Url(#[from] ohmqtt_transport::ConfigError),
    /// A value does not fit its field.
    #[error("{field}: {problem}")]
    Value {
        /// Which setting.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A store needs a name for the session it keeps.
    #[error(
        "a store needs a client identifier of your own: set client_id, so that the session is found again"
    )]
    StoreNeedsClientId,
    /// The store does not work.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// The client was built outside a tokio runtime.
    #[error("no tokio runtime here: build the client inside one, or use the blocking client")]
    NoRuntime,
}

/// A connection did not come about, or ended.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}{kind}{}", whereto(kind, address), hint(kind))]
pub struct ConnectError {
    /// Why.
    pub kind: ConnectErrorKind,
    /// Where to, without secrets.
    pub address: String,
}

/// Why a connection did not come about, or ended.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The network, or what stands in it.
    #[error("{0}")]
    Transport(#[source] Arc<TransportError>),
    /// The stream did not stand in time.
    #[error("timed out")]
    TimedOut,
    /// The stream broke.
    #[error("the stream broke: {0}")]
    Stream(#[source] Arc<io::Error>),
    /// What answered does not speak MQTT 5.0.
    #[error("the answer is not one of MQTT 5.0: {0}")]
    NotMqtt(#[source] ProtocolError),
    /// User name and password could not be had from their [provider](crate::CredentialsProvider), or do not fit CONNECT.
    #[error("no credentials: {0}")]
    Credentials(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// Enhanced authentication failed, at a connect or later.
    #[error("{0}")]
    Authentication(#[source] Box<AuthenticationError>),
    /// Servers referred to each other more often than is followed.
    #[error("redirected {times} times in a row, and again")]
    TooManyRedirects {
        /// How many were followed.
        times: u32,
    },
    /// The connection ended by a rule of MQTT: refused, disconnected, out of time.
    #[error("{0}")]
    Session(#[source] DisconnectCause),
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

impl ConnectError {
    /// Whether another attempt may go better without anyone changing anything.
    pub fn is_retryable(&self) -> bool {
        match &self.kind {
            ConnectErrorKind::Transport(error) => error.is_retryable(),
            ConnectErrorKind::Authentication(error) => error.is_retryable(),
            ConnectErrorKind::TimedOut
            | ConnectErrorKind::Stream(_)
            | ConnectErrorKind::Credentials(_)
            | ConnectErrorKind::TooManyRedirects { .. } => true,
            ConnectErrorKind::Session(cause) => match cause {
                // The same CONNECT would be no better the next time.
                DisconnectCause::Refused(connack) => {
                    reason_is_weather(connack.reason)
                        && !matches!(
                            connack.reason,
                            ReasonCode::MalformedPacket | ReasonCode::ProtocolError
                        )
                }
                DisconnectCause::ByPeer(disconnect) => reason_is_weather(disconnect.reason),
                DisconnectCause::Requested => false,
                _ => true,
            },
            ConnectErrorKind::NotMqtt(_) | ConnectErrorKind::Closed => false,
        }
    }

    /// Whether the server sends the client to another one.
    pub(crate) fn redirect(&self) -> Option<Redirect<'_>> {
        match &self.kind {
            ConnectErrorKind::Session(cause) => cause.redirect(),
            _ => None,
        }
    }

    /// The server's reason code, if it gave one.
    pub fn reason_code(&self) -> Option<ReasonCode> {
        match &self.kind {
            ConnectErrorKind::Session(DisconnectCause::Refused(connack)) => Some(connack.reason),
            ConnectErrorKind::Session(DisconnectCause::ByPeer(disconnect)) => {
                Some(disconnect.reason)
            }
            ConnectErrorKind::Authentication(error) => error.reason,
            _ => None,
        }
    }
}

/// Whether a server that said this may say something else the next time.
fn reason_is_weather(reason: ReasonCode) -> bool {
    !matches!(
        reason,
        ReasonCode::UnsupportedProtocolVersion
            | ReasonCode::ClientIdentifierNotValid
            | ReasonCode::BadUserNameOrPassword
            | ReasonCode::NotAuthorized
            | ReasonCode::Banned
            | ReasonCode::BadAuthenticationMethod
            | ReasonCode::SessionTakenOver
            | ReasonCode::TopicNameInvalid
            | ReasonCode::PacketTooLarge
            | ReasonCode::PayloadFormatInvalid
            | ReasonCode::RetainNotSupported
            | ReasonCode::QosNotSupported
            | ReasonCode::UseAnotherServer
            | ReasonCode::ServerMoved
    )
}

/// Phase and address, where the reason alone does not say them.
fn whereto(kind: &ConnectErrorKind, address: &str) -> String {
    match kind {
        ConnectErrorKind::Transport(_) => String::new(),
        _ => format!("connect {address}: "),
    }
}

/// What to do next, where the reason alone does not say it.
fn hint(kind: &ConnectErrorKind) -> &'static str {
    let reason = match kind {
        ConnectErrorKind::TimedOut | ConnectErrorKind::Session(DisconnectCause::ConnectTimeout) => {
            return "; is the address right, and does a broker answer there?";
        }
        ConnectErrorKind::Session(DisconnectCause::Refused(connack)) => connack.reason,
        ConnectErrorKind::Session(DisconnectCause::ByPeer(disconnect)) => disconnect.reason,
        ConnectErrorKind::Authentication(error) => return error.hint(),
        ConnectErrorKind::TooManyRedirects { .. } => {
            return "; do the servers refer to each other?";
        }
        ConnectErrorKind::NotMqtt(_) | ConnectErrorKind::Session(DisconnectCause::Protocol(_)) => {
            return "; is it an MQTT 5.0 broker?";
        }
        ConnectErrorKind::Stream(_) | ConnectErrorKind::Session(DisconnectCause::StreamEnded) => {
            return "; is it an MQTT 5.0 broker, and does its log say why?";
        }
        _ => return "",
    };
    next_step(reason)
}

/// What to do about a server that refused or ended a connection for this reason.
fn next_step(reason: ReasonCode) -> &'static str {
    match reason {
        ReasonCode::UnsupportedProtocolVersion => "; the broker does not speak MQTT 5.0",
        ReasonCode::ClientIdentifierNotValid => "; choose another client identifier",
        ReasonCode::BadUserNameOrPassword | ReasonCode::NotAuthorized => {
            "; check user name and password"
        }
        ReasonCode::UseAnotherServer | ReasonCode::ServerMoved => {
            "; it names no other server that may be tried"
        }
        ReasonCode::SessionTakenOver => "; another client uses the same client identifier",
        ReasonCode::UnspecifiedError
        | ReasonCode::ImplementationSpecificError
        | ReasonCode::MalformedPacket
        | ReasonCode::ProtocolError => "; see what the broker's log says",
        ReasonCode::ServerUnavailable
        | ReasonCode::ServerBusy
        | ReasonCode::ServerShuttingDown
        | ReasonCode::ConnectionRateExceeded
        | ReasonCode::MaximumConnectTime => "; try again later",
        ReasonCode::Banned | ReasonCode::AdministrativeAction => "; ask whoever runs the broker",
        ReasonCode::BadAuthenticationMethod => "; use a method that the broker has",
        ReasonCode::TopicNameInvalid => "; choose another topic, of the will too",
        ReasonCode::PacketTooLarge => "; send less at once",
        ReasonCode::QuotaExceeded => {
            "; a limit of the broker is reached: try again later, or raise it"
        }
        ReasonCode::PayloadFormatInvalid => {
            "; a payload, or the will's, is not the text it is said to be"
        }
        ReasonCode::RetainNotSupported => "; publish without the retain flag, the will too",
        ReasonCode::QosNotSupported => "; publish with a lower QoS, the will too",
        _ => "",
    }
}

/// A message was not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The topic is none.
    #[error("publish: {0}")]
    Topic(#[from] InvalidTopic),
    /// A property or an option does not fit.
    #[error("publish: {field}: {problem}")]
    Value {
        /// Which setting.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// An answer to a message that names no topic for it.
    #[error("reply to a message on '{topic}': it names no response topic")]
    NoResponseTopic {
        /// Where the message was published.
        topic: TopicName,
    },
    /// The outbox is full, or what waits for the store is as much as may; the message is given back.
    #[error("publish to '{}': {}", .0.message.topic, .0.error)]
    Full(Box<Rejected>),
    /// The server is known to refuse it, or it can never fit; the message is given back.
    #[error("publish to '{}': {}", .0.message.topic, .0.error)]
    Refused(Box<Rejected>),
    /// The store could not keep it. What had been accepted before is untouched.
    #[error("publish: {0}")]
    Store(#[from] StoreError),
    /// It was taken and then lost before it was accepted.
    #[error("publish: {0}")]
    Lost(#[from] LostMessage),
    /// The client is closed; the message is given back.
    #[error("publish to '{}': the client is closed", .0.topic)]
    Closed(Box<Message>),
}

impl PublishError {
    /// The message, where it was not taken.
    pub fn into_message(self) -> Option<Message> {
        match self {
            Self::Full(rejected) | Self::Refused(rejected) => Some(rejected.message),
            Self::Closed(message) => Some(*message),
            Self::Topic(_)
            | Self::Value { .. }
            | Self::NoResponseTopic { .. }
            | Self::Store(_)
            | Self::Lost(_) => None,
        }
    }
}

impl From<std::convert::Infallible> for PublishError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// A subscription was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The filter is none.
    #[error("subscribe: {0}")]
    Filter(#[from] InvalidTopic),
    /// A property does not fit.
    #[error("subscribe: {field}: {problem}")]
    Value {
        /// Which setting.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The server refused it.
    #[error("subscribe to '{filter}': refused by the server: {reason}")]
    Refused {
        /// The first filter that was refused.
        filter: String,
        /// The server's reason.
        reason: ReasonCode,
    },
    /// It was not sent: the server does not offer what it needs.
    #[error("subscribe: {0}")]
    NotSent(#[from] NotSubscribed),
    /// It was ended before the server answered.
    #[error("subscribe: the subscription was ended before the server answered")]
    Ended,
    /// The system gave no thread to run callbacks on.
    #[error("subscribe: no thread for callbacks: {0}")]
    NoThread(#[source] io::Error),
    /// The client is closed.
    #[error("subscribe: the client is closed")]
    Closed,
}

impl From<Unanswered> for SubscribeError {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::NotSent(error) => Self::NotSent(error),
            Unanswered::Ended => Self::Ended,
            Unanswered::Closed => Self::Closed,
        }
    }
}

/// A wait on a publication came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The time is up. The message goes on.
    #[error("timed out; the message is still on its way")]
    TimedOut,
    /// The message will not arrive.
    #[error("{0}")]
    Lost(#[from] LostMessage),
}
