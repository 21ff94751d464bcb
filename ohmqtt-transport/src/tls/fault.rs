//! From what rustls says to what went wrong.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, Error as TlsError};

use super::verify::SelfSigned;
use crate::error::Cause;
use crate::{CertificateFault, TransportErrorKind};

/// An error of a TLS stream that knows its kind; one of the network below stays what it is.
pub(super) fn told(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(tls) => Cause::into_io(error.kind(), kind_of(tls), tls.clone()),
        None => error,
    }
}

pub(crate) fn kind_of(error: &TlsError) -> TransportErrorKind {
    match error {
        TlsError::InvalidCertificate(error) => TransportErrorKind::Certificate(fault_of(error)),
        TlsError::NoCertificatesPresented => TransportErrorKind::CertificateRequired,
        TlsError::AlertReceived(alert) => kind_of_alert(*alert),
        TlsError::InvalidMessage(_)
        | TlsError::InappropriateMessage { .. }
        | TlsError::PeerIncompatible(_)
        | TlsError::NoApplicationProtocol => TransportErrorKind::TlsMismatch,
        _ => TransportErrorKind::Tls,
    }
}

/// What a peer means by an alert: RFC 8446, section 6.2.
pub(crate) fn kind_of_alert(alert: AlertDescription) -> TransportErrorKind {
    match alert {
        AlertDescription::CertificateRequired => TransportErrorKind::CertificateRequired,
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => TransportErrorKind::CertificateRefused,
        AlertDescription::HandshakeFailure
        | AlertDescription::ProtocolVersion
        | AlertDescription::InsufficientSecurity
        | AlertDescription::UnrecognisedName
        | AlertDescription::NoApplicationProtocol => TransportErrorKind::TlsMismatch,
        _ => TransportErrorKind::Tls,
    }
}

pub(crate) fn fault_of(error: &CertificateError) -> CertificateFault {
    match error {
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            CertificateFault::NoName
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            CertificateFault::WrongName
        }
        CertificateError::UnknownIssuer => CertificateFault::UnknownIssuer,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            CertificateFault::Expired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            CertificateFault::NotYetValid
        }
        CertificateError::Revoked => CertificateFault::Revoked,
        CertificateError::Other(other) if is_self_signed(&*other.0) => CertificateFault::SelfSigned,
        _ => CertificateFault::Invalid,
    }
}

fn is_self_signed(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    error.is::<SelfSigned>()
}
