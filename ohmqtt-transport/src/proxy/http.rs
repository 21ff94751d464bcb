//! HTTP's method CONNECT (RFC 9110, section 9.3.6), with basic authentication (RFC 7617).

use std::io;

use data_encoding::BASE64;
use httparse::{EMPTY_HEADER, Response, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Proxy, Tunnel};
use crate::error::ProxyFault;
use crate::{BoxFuture, Endpoint, TransportError, TransportErrorKind};

/// A longer answer, or one with more header fields, is refused.
const LONGEST: usize = 16 * 1024;
const MOST_FIELDS: usize = 100;

/// The row of HTTP in the table of tunnels.
pub(super) struct Http;

impl Tunnel for Http {
    fn open<'a>(
        &self,
        mut stream: TcpStream,
        proxy: &'a Proxy,
        to: &'a Endpoint,
    ) -> BoxFuture<'a, Result<TcpStream, TransportError>> {
        Box::pin(async move {
            let request = request(proxy, to);
            let write = stream.write_all(request.as_bytes()).await;
            write.map_err(|error| proxy.lost(error))?;
            let status = answer(&mut stream, proxy).await?;
            match refusal(status) {
                None => Ok(stream),
                Some(ProxyFault::Credentials) => {
                    Err(proxy.fault(ProxyFault::Credentials, says(status)))
                }
                Some(ProxyFault::NotAProxy) => {
                    Err(proxy.fault(ProxyFault::NotAProxy, says(status)))
                }
                Some(fault) => {
                    Err(proxy.no_way(TransportErrorKind::Proxy(fault), to, says(status)))
                }
            }
        })
    }
}

fn request(proxy: &Proxy, to: &Endpoint) -> String {
    let host = to.host().unwrap_or_default();
    let (open, close) = if host.contains(':') {
        ("[", "]")
    } else {
        ("", "")
    };
    let target = format!("{open}{host}{close}:{}", to.port().unwrap_or_default());
    let authorization = match proxy.credentials() {
        None => String::new(),
        Some((user, password)) => {
            let credentials = BASE64.encode(format!("{user}:{password}").as_bytes());
            format!("Proxy-Authorization: Basic {credentials}\r\n")
        }
    };
    format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n")
}

/// The status of the proxy's answer. Whatever comes behind its head is the broker's, which does not speak first.
async fn answer(stream: &mut TcpStream, proxy: &Proxy) -> Result<u16, TransportError> {
    let strange = |reason: &str| proxy.fault(ProxyFault::NotAProxy, reason);
    let mut bytes = Vec::with_capacity(1024);
    loop {
        let room = LONGEST - bytes.len();
        let read = (&mut *stream).take(room as u64).read_buf(&mut bytes).await;
        if read.map_err(|error| proxy.lost(error))? == 0 {
            return Err(proxy.lost(io::ErrorKind::UnexpectedEof.into()));
        }
        let mut fields = [EMPTY_HEADER; MOST_FIELDS];
        let mut response = Response::new(&mut fields);
        match response.parse(&bytes) {
            Err(_) => return Err(strange("its answer is not HTTP")),
            Ok(Status::Partial) if bytes.len() == LONGEST => {
                return Err(strange("its answer is too long"));
            }
            Ok(Status::Partial) => {}
            Ok(Status::Complete(head)) => {
                let status = response.code.unwrap_or_default();
                if refusal(status).is_none() && head != bytes.len() {
                    return Err(strange("what it connects to speaks first"));
                }
                return Ok(status);
            }
        }
    }
}

fn refusal(status: u16) -> Option<ProxyFault> {
    match status {
        200..=299 => None,
        401 | 407 => Some(ProxyFault::Credentials),
        403 => Some(ProxyFault::Forbidden),
        408 | 425 | 429 | 500 | 502.. => Some(ProxyFault::Failed),
        _ => Some(ProxyFault::NotAProxy),
    }
}

fn says(status: u16) -> String {
    format!("HTTP status {status}")
}
