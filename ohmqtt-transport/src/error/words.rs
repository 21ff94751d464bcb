//! What an error says of its kind, and what it advises.

use super::{CertificateFault, Phase, ProxyFault, TransportErrorKind};

/// What happened and what to do.
pub(super) fn words(kind: TransportErrorKind, phase: Phase) -> (&'static str, &'static str) {
    use TransportErrorKind as Kind;
    match kind {
        Kind::Refused if phase == Phase::Proxy => {
            ("connection refused", "is a proxy listening there?")
        }
        Kind::Refused => ("connection refused", "is a broker listening there?"),
        Kind::Unreachable => ("host unreachable", "check the network and the address"),
        Kind::NameNotFound => ("name not found", "check the host name and the name servers"),
        Kind::TimedOut => (
            "timed out",
            "check the address, the network and its firewalls",
        ),
        Kind::Reset => (
            "connection lost",
            "the peer or the network ended it; connect again",
        ),
        Kind::AddressInUse if phase == Phase::Listen => (
            "address in use",
            "stop the process that listens there or choose another address (port 0: any free one)",
        ),
        Kind::AddressInUse => (
            "address in use",
            "too many connections from this host? try later",
        ),
        Kind::AddressNotAvailable if phase == Phase::Listen => (
            "not an address of this machine",
            "listen on one that is, or on 0.0.0.0 or [::] for all",
        ),
        Kind::AddressNotAvailable => (
            "no local address or port left",
            "too many connections from this host, or from an address that is not one of its own? try later, or from another",
        ),
        Kind::PermissionDenied if phase == Phase::Listen => (
            "permission denied",
            "ports below 1024 need privileges, a socket file a directory that can be written; choose another",
        ),
        Kind::PermissionDenied => ("permission denied", "check the permissions of the socket"),
        Kind::Prohibited => (
            "prohibited by this machine",
            "check the rules of its routing and its firewall",
        ),
        Kind::Certificate(fault) => of_certificate(fault),
        Kind::CertificateRequired => (
            "no client certificate was given and the server requires one",
            "give the client an Identity",
        ),
        Kind::CertificateRefused => (
            "the peer refused the certificate it was given",
            "use one that it trusts: check its issuer, its names and its dates",
        ),
        Kind::TlsMismatch => (
            "no TLS in common",
            "check that both ends speak TLS on this port, and their versions, ciphers and ALPN protocols",
        ),
        Kind::Tls => ("TLS failed", "see what the peer's log says"),
        Kind::HttpStatus(_) => (
            "the server refused the WebSocket",
            "check port and path, and whatever stands in between",
        ),
        Kind::WebSocket => (
            "not a WebSocket that carries MQTT",
            "check port and path, and that the peer speaks MQTT over WebSocket there",
        ),
        Kind::Proxy(fault) => of_proxy(fault),
        Kind::NotCompiledIn { .. } => ("not supported by this build", "enable its cargo feature"),
        Kind::Misconfigured => ("settings that cannot be used", "correct them"),
        Kind::Other => ("failed", "nothing more is known"),
    }
}

fn of_certificate(fault: CertificateFault) -> (&'static str, &'static str) {
    match fault {
        CertificateFault::WrongName => (
            "the certificate is for another name",
            "connect by a name it has, set the server name, or get one for this name",
        ),
        CertificateFault::NoName => (
            "the certificate has no subject alternative name",
            "get one that names the server there; a common name does not count",
        ),
        CertificateFault::UnknownIssuer => (
            "the certificate is from an authority that is not trusted",
            "give this end the certificate of that authority, if you trust it",
        ),
        CertificateFault::SelfSigned => (
            "the certificate is self-signed and not trusted",
            "get one from an authority, or give this end that certificate to trust",
        ),
        CertificateFault::Expired => (
            "the certificate has expired",
            "renew it, and check the clock of this machine",
        ),
        CertificateFault::NotYetValid => (
            "the certificate is not valid yet",
            "check the clocks of both machines",
        ),
        CertificateFault::Revoked => ("the certificate has been revoked", "get a new one"),
        CertificateFault::Invalid => ("the certificate is not valid", "get another one"),
    }
}

fn of_proxy(fault: ProxyFault) -> (&'static str, &'static str) {
    match fault {
        ProxyFault::Credentials => (
            "the proxy wants to know who asks",
            "give its user name and password in the proxy's URL",
        ),
        ProxyFault::Forbidden => (
            "the proxy does not allow it",
            "ask whoever runs it to allow this host and port",
        ),
        ProxyFault::Failed => (
            "the proxy could not connect",
            "check the broker's address, and see what the proxy's log says",
        ),
        ProxyFault::NotAProxy => (
            "not such a proxy",
            "check the proxy's address and the scheme of its URL",
        ),
    }
}
