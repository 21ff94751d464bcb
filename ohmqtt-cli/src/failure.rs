//! What a command ends with when it does not end well: a line that says where, when, why and what to do, and an exit code.

use std::fmt;
use std::io::{self, Write};

use ohmqtt_client::{
    CertificateFault, ConfigError, ConnectError, ConnectErrorKind, ConnectFailed, LostMessage,
    Phase, PublishError, ReasonCode, RequestError, SubscribeError, TransportErrorKind,
};
use ohmqtt_session::{
    DisconnectCause, PublishError as NotPublished, SubscribeError as NotSubscribed,
};

use crate::redact::redact;

/// The exit code when nothing else says more.
pub(crate) const FAILED: u8 = 1;
/// The command line, or a file it names, is wrong.
pub(crate) const USAGE: u8 = 2;
/// The time was up; the same as mosquitto's.
pub(crate) const TIMED_OUT: u8 = 27;
/// After Ctrl-C, as shells count.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why a command ends before its work is done.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Nothing where there is nobody to tell, or nothing to say.
    message: Option<String>,
    pub(crate) code: u8,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl fmt::Display) -> Self {
        Self {
            message: Some(redact(&message.to_string())),
            code,
        }
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(USAGE, message)
    }

    /// Ends the command with this code, without a word.
    pub(crate) fn silent(code: u8) -> Self {
        Self {
            message: None,
            code,
        }
    }

    /// An error of a file: it is named, and what to do.
    pub(crate) fn file(what: &str, path: &std::path::Path, error: &io::Error) -> Self {
        let advice = match error.kind() {
            io::ErrorKind::NotFound => "; is the name right, and is it a name from this folder?",
            io::ErrorKind::PermissionDenied => "; check its permissions",
            io::ErrorKind::IsADirectory => "; name a file",
            _ => "",
        };
        let path = path.display();
        Self::new(FAILED, format!("{what} '{path}': {error}{advice}"))
    }

    /// An error of what is written to: nobody reads it any more, which is no failure, or it is full.
    pub(crate) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::silent(0),
            _ => Self::new(FAILED, format!("standard output: {error}")),
        }
    }

    /// The server's word on a message or a subscription.
    pub(crate) fn refused(what: impl fmt::Display, reason: ReasonCode) -> Self {
        let step = next_step(reason);
        Self::new(
            reason.into(),
            format!("{what}: refused by the server: {reason}{step}"),
        )
    }

    pub(crate) fn timed_out(message: impl fmt::Display) -> Self {
        Self::new(TIMED_OUT, message)
    }

    /// The same, without a word.
    pub(crate) fn quiet(self) -> Self {
        Self::silent(self.code)
    }

    /// The same, with a word more.
    pub(crate) fn and(mut self, more: impl fmt::Display) -> Self {
        if let Some(message) = &mut self.message {
            message.push_str("; ");
            message.push_str(&more.to_string());
        }
        self
    }

    /// Tells it on standard error, and gives the exit code.
    pub(crate) fn tell(&self) -> u8 {
        if let Some(message) = &self.message {
            say(format_args!("{message}"));
        }
        self.code
    }
}

/// Tells a line on standard error. Who closed that does not want to hear.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "ohmqtt: {line}");
}

impl From<ConnectFailed> for Failure {
    fn from(error: ConnectFailed) -> Self {
        match error {
            ConnectFailed::Config(error) => error.into(),
            ConnectFailed::Connect(error) => error.into(),
            other => Self::new(FAILED, other),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        match &error {
            ConfigError::StoreNeedsClientId => {
                Self::usage("--store: the session it keeps needs a name; give one with -i NAME")
            }
            ConfigError::Store(_) => Self::new(FAILED, error),
            _ => Self::usage(error),
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        (&error).into()
    }
}

impl From<&ConnectError> for Failure {
    fn from(error: &ConnectError) -> Self {
        let code = match (&error.kind, error.reason_code()) {
            (_, Some(reason)) if reason.is_error() => reason.into(),
            (
                ConnectErrorKind::TimedOut
                | ConnectErrorKind::Session(DisconnectCause::ConnectTimeout),
                _,
            ) => TIMED_OUT,
            (ConnectErrorKind::Transport(error), _) => match error.kind() {
                TransportErrorKind::TimedOut => TIMED_OUT,
                TransportErrorKind::Misconfigured | TransportErrorKind::NotCompiledIn { .. } => {
                    USAGE
                }
                _ => FAILED,
            },
            _ => FAILED,
        };
        let options = options(error).map_or_else(String::new, |options| format!(" ({options})"));
        Self::new(code, format!("{error}{options}"))
    }
}

/// The options of this command that have to do with an error.
fn options(error: &ConnectError) -> Option<&'static str> {
    if let ConnectErrorKind::Transport(error) = &error.kind {
        return match error.kind() {
            TransportErrorKind::Refused => Some("-h HOST -p PORT, or --url URL"),
            TransportErrorKind::Certificate(
                CertificateFault::UnknownIssuer | CertificateFault::SelfSigned,
            ) => Some("--cafile FILE"),
            TransportErrorKind::Certificate(CertificateFault::WrongName) => {
                Some("--server-name NAME")
            }
            TransportErrorKind::CertificateRequired | TransportErrorKind::CertificateRefused => {
                Some("--cert FILE --key FILE")
            }
            TransportErrorKind::Reset if error.phase() == Phase::Handshake => {
                Some("is TLS spoken on this port?")
            }
            TransportErrorKind::TimedOut => Some("--connect-timeout SECONDS"),
            _ => None,
        };
    }
    match error.reason_code()? {
        ReasonCode::BadUserNameOrPassword | ReasonCode::NotAuthorized => {
            Some("-u NAME --password-file FILE")
        }
        ReasonCode::ClientIdentifierNotValid => Some("-i NAME"),
        _ => None,
    }
}

/// What to do about a refusal of a message or a subscription.
fn next_step(reason: ReasonCode) -> &'static str {
    match reason {
        ReasonCode::NotAuthorized => {
            "; ask for the right to this topic, or log in as somebody who has it (-u NAME)"
        }
        ReasonCode::TopicNameInvalid | ReasonCode::TopicFilterInvalid => "; choose another topic",
        ReasonCode::QuotaExceeded => "; a limit of the server is reached: try later, or raise it",
        ReasonCode::PayloadFormatInvalid => "; the payload is not the text it is said to be",
        ReasonCode::PacketIdentifierInUse => "; the two sides' sessions differ: try again",
        ReasonCode::SharedSubscriptionsNotSupported => "; subscribe without $share",
        ReasonCode::WildcardSubscriptionsNotSupported => "; subscribe without + and #",
        ReasonCode::SubscriptionIdentifiersNotSupported => "; leave the identifier out",
        _ => "; see what the server's log says",
    }
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        let code = match &error {
            PublishError::Topic(_) | PublishError::Value { .. } => USAGE,
            PublishError::Refused(rejected) => match rejected.error {
                NotPublished::TooLarge { .. } => ReasonCode::PacketTooLarge.into(),
                NotPublished::QosNotSupported { .. } => ReasonCode::QosNotSupported.into(),
                NotPublished::RetainNotSupported => ReasonCode::RetainNotSupported.into(),
                _ => FAILED,
            },
            PublishError::Lost(lost) => lost_code(*lost),
            _ => FAILED,
        };
        Self::new(code, error)
    }
}

impl From<SubscribeError> for Failure {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::Refused { filter, reason } => {
                Self::refused(format!("subscribe to '{filter}'"), reason)
            }
            SubscribeError::Filter(_) | SubscribeError::Value { .. } => Self::usage(error),
            SubscribeError::NotSent(NotSubscribed::NotSupported { feature, .. }) => {
                let reason = match feature.split(' ').next() {
                    Some("wildcard") => ReasonCode::WildcardSubscriptionsNotSupported,
                    Some("shared") => ReasonCode::SharedSubscriptionsNotSupported,
                    _ => ReasonCode::SubscriptionIdentifiersNotSupported,
                };
                Self::new(reason.into(), format!("{error}{}", next_step(reason)))
            }
            _ => Self::new(FAILED, error),
        }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::TimedOut { .. } => Self::timed_out(error),
            RequestError::Refused { topic, reason } => {
                Self::refused(format!("request to '{topic}'"), reason)
            }
            RequestError::NobodyListens { .. } => {
                Self::new(ReasonCode::NoMatchingSubscribers.into(), error)
            }
            RequestError::Publish(error) => error.into(),
            _ => Self::new(FAILED, error),
        }
    }
}

/// The exit code for a message that was taken and will not arrive.
pub(crate) fn lost_code(lost: LostMessage) -> u8 {
    match lost {
        LostMessage::TooLarge { .. } => ReasonCode::PacketTooLarge.into(),
        LostMessage::QosNotSupported { .. } => ReasonCode::QosNotSupported.into(),
        LostMessage::RetainNotSupported => ReasonCode::RetainNotSupported.into(),
        LostMessage::DeadlinePassed => TIMED_OUT,
        _ => FAILED,
    }
}
