//! SOCKS version 5 (RFC 1928), with user name and password (RFC 1929), by tokio-socks.

use tokio::net::TcpStream;
use tokio_socks::Error;
use tokio_socks::tcp::Socks5Stream;

use super::{Proxy, Tunnel};
use crate::error::ProxyFault;
use crate::{BoxFuture, Endpoint, TransportError, TransportErrorKind};

/// The row of SOCKS 5 in the table of tunnels.
pub(super) struct Socks5;

impl Tunnel for Socks5 {
    fn open<'a>(
        &self,
        stream: TcpStream,
        proxy: &'a Proxy,
        to: &'a Endpoint,
    ) -> BoxFuture<'a, Result<TcpStream, TransportError>> {
        Box::pin(async move {
            let target = (to.host().unwrap_or_default(), to.port().unwrap_or_default());
            let stream = match proxy.credentials() {
                None => Socks5Stream::connect_with_socket(stream, target).await,
                Some((user, password)) => {
                    Socks5Stream::connect_with_password_and_socket(stream, target, user, password)
                        .await
                }
            };
            match stream {
                Ok(stream) => Ok(stream.into_inner()),
                Err(error) => Err(told(error, proxy, to)),
            }
        })
    }
}

fn told(error: Error, proxy: &Proxy, to: &Endpoint) -> TransportError {
    match error {
        Error::Io(error) => proxy.lost(error),
        Error::ConnectionRefused => proxy.no_way(TransportErrorKind::Refused, to, error),
        Error::NetworkUnreachable | Error::HostUnreachable | Error::TtlExpired => {
            proxy.no_way(TransportErrorKind::Unreachable, to, error)
        }
        Error::NoAcceptableAuthMethods
        | Error::UnknownAuthMethod
        | Error::InvalidAuthValues(_)
        | Error::PasswordAuthFailure(_)
        | Error::AuthorizationRequired => proxy.fault(ProxyFault::Credentials, error),
        Error::ConnectionNotAllowedByRuleset => {
            let kind = TransportErrorKind::Proxy(ProxyFault::Forbidden);
            proxy.no_way(kind, to, error)
        }
        Error::GeneralSocksServerFailure | Error::AddressTypeNotSupported => {
            let kind = TransportErrorKind::Proxy(ProxyFault::Failed);
            proxy.no_way(kind, to, error)
        }
        error => proxy.fault(ProxyFault::NotAProxy, error),
    }
}
