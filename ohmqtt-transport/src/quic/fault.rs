//! From what quinn says to what went wrong.

use std::io;

use quinn::{ConnectionError, TransportErrorCode};
use rustls::AlertDescription;

use crate::error::Cause;
use crate::tls::fault::kind_of_alert;
use crate::{CertificateFault, TransportErrorKind};

/// Whether the other end is there, and this is what came of it.
pub(super) fn has_answered(error: &ConnectionError) -> bool {
    matches!(
        error,
        ConnectionError::VersionMismatch
            | ConnectionError::TransportError(_)
            | ConnectionError::ConnectionClosed(_)
            | ConnectionError::ApplicationClosed(_)
    )
}

/// An error of a connection that knows its kind. `fault` is what is known to be wrong with the peer's certificate.
pub(super) fn told(error: ConnectionError, fault: Option<CertificateFault>) -> io::Error {
    let kind = match (&error, fault) {
        (ConnectionError::TransportError(_), Some(fault)) => TransportErrorKind::Certificate(fault),
        (error, _) => kind_of(error),
    };
    let io = match kind {
        TransportErrorKind::TimedOut => io::ErrorKind::TimedOut,
        TransportErrorKind::Refused => io::ErrorKind::ConnectionRefused,
        TransportErrorKind::Reset => io::ErrorKind::ConnectionReset,
        _ => io::ErrorKind::InvalidData,
    };
    match error {
        // What it says of the alert's number is of no use to anyone; what rustls said is.
        ConnectionError::TransportError(error) if !error.reason.is_empty() => {
            Cause::into_io(io, kind, error.reason)
        }
        error => Cause::into_io(io, kind, error),
    }
}

fn kind_of(error: &ConnectionError) -> TransportErrorKind {
    match error {
        ConnectionError::VersionMismatch => TransportErrorKind::TlsMismatch,
        ConnectionError::TransportError(error) => match alert_of(error.code) {
            Some(alert) => kind_of_own_alert(alert),
            None => TransportErrorKind::Other,
        },
        ConnectionError::ConnectionClosed(close) => match alert_of(close.error_code) {
            Some(alert) => kind_of_alert(alert),
            None if close.error_code == TransportErrorCode::CONNECTION_REFUSED => {
                TransportErrorKind::Refused
            }
            None => TransportErrorKind::Reset,
        },
        ConnectionError::TimedOut => TransportErrorKind::TimedOut,
        ConnectionError::ApplicationClosed(_)
        | ConnectionError::Reset
        | ConnectionError::LocallyClosed => TransportErrorKind::Reset,
        ConnectionError::CidsExhausted => TransportErrorKind::Other,
    }
}

/// The alert of TLS in an error code: RFC 9001, section 4.8.
fn alert_of(code: TransportErrorCode) -> Option<AlertDescription> {
    let code = u64::from(code).checked_sub(0x100)?;
    u8::try_from(code).ok().map(AlertDescription::from)
}

/// What this end found, told from the alert it sent: RFC 8446, section 6.2.
fn kind_of_own_alert(alert: AlertDescription) -> TransportErrorKind {
    let fault = match alert {
        AlertDescription::UnknownCA => CertificateFault::UnknownIssuer,
        AlertDescription::CertificateExpired => CertificateFault::Expired,
        AlertDescription::CertificateRevoked => CertificateFault::Revoked,
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown => CertificateFault::Invalid,
        alert => return kind_of_alert(alert),
    };
    TransportErrorKind::Certificate(fault)
}
