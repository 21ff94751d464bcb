//! How errors read, and which kinds are told from what.

use std::io;

use ohmqtt_transport::{ConfigError, Phase, TransportError, TransportErrorKind};

#[test]
fn kinds_are_told_from_what_the_system_reports() {
    let table = [
        (
            io::ErrorKind::ConnectionRefused,
            TransportErrorKind::Refused,
            true,
        ),
        (
            io::ErrorKind::HostUnreachable,
            TransportErrorKind::Unreachable,
            true,
        ),
        (
            io::ErrorKind::NetworkUnreachable,
            TransportErrorKind::Unreachable,
            true,
        ),
        (io::ErrorKind::TimedOut, TransportErrorKind::TimedOut, true),
        (
            io::ErrorKind::ConnectionReset,
            TransportErrorKind::Reset,
            true,
        ),
        (io::ErrorKind::BrokenPipe, TransportErrorKind::Reset, true),
        (
            io::ErrorKind::UnexpectedEof,
            TransportErrorKind::Reset,
            true,
        ),
        (
            io::ErrorKind::AddrInUse,
            TransportErrorKind::AddressInUse,
            true,
        ),
        (
            io::ErrorKind::AddrNotAvailable,
            TransportErrorKind::AddressNotAvailable,
            true,
        ),
        (
            io::ErrorKind::PermissionDenied,
            TransportErrorKind::PermissionDenied,
            false,
        ),
        (io::ErrorKind::OutOfMemory, TransportErrorKind::Other, true),
    ];
    for (reported, kind, retryable) in table {
        let error = TransportError::from_io(Phase::Stream, "mqtt://h:1883", reported.into());
        assert_eq!((error.kind(), error.is_retryable()), (kind, retryable));
        assert!(
            error.to_string().starts_with("stream mqtt://h:1883: "),
            "{error}"
        );
    }
}

#[test]
fn an_error_of_no_known_kind_says_what_the_system_said() {
    let error = TransportError::from_io(
        Phase::Connect,
        "mqtt://h:1883",
        io::Error::other("the dog ate it"),
    );
    assert_eq!(error.to_string(), "connect mqtt://h:1883: the dog ate it");
}

#[test]
fn settings_that_cannot_be_used_are_said_and_not_tried_again() {
    let source = "tcp://h".parse::<ohmqtt_transport::Endpoint>().unwrap_err();
    let error = TransportError::misconfigured(Phase::Connect, "h", source.clone());
    assert_eq!(error.kind(), TransportErrorKind::Misconfigured);
    assert!(!error.is_retryable());
    assert_eq!(error.to_string(), format!("connect h: {source}"));
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.is::<ConfigError>());
}
