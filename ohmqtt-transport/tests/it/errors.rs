//! Errors that need no network: schemes that were not compiled in, and how errors read.

use std::io;

use ohmqtt_transport::{
    Connect, Connector, Endpoint, Phase, TransportError, TransportErrorKind, listen,
};

#[tokio::test]
async fn scheme_that_was_not_compiled_in_names_its_feature() {
    let absent = [
        ("mqtts://h", "tls"),
        ("ws://h/mqtt", "ws"),
        ("wss://h", "ws,tls"),
        ("unix:/run/mqtt", "unix"),
        ("quic://h", "quic"),
    ];
    for (url, features) in absent {
        let endpoint: Endpoint = url.parse().unwrap();
        let connect = Connector::new().connect(&endpoint).await.err().unwrap();
        let listen = listen(&endpoint).await.err().unwrap();
        for (error, phase) in [(connect, "connect"), (listen, "listen")] {
            assert_eq!(error.kind(), TransportErrorKind::NotCompiledIn { features });
            assert!(!error.is_retryable());
            let want = format!(
                "{phase} {endpoint}: not supported by this build; enable the cargo feature `{features}`"
            );
            assert_eq!(error.to_string(), want);
        }
    }
}

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
