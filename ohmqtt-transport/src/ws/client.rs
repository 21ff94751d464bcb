//! The client's side of the handshake: RFC 6455, section 4.1.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tungstenite::handshake::client::{Response, generate_key, generate_request};
use tungstenite::handshake::derive_accept_key;
use tungstenite::http::{HeaderMap, Request, StatusCode};

use super::frame::Role;
use super::{SUBPROTOCOL, WsOptions, WsStream, head};
use crate::{Endpoint, Phase, TransportError, TransportErrorKind};

/// The path asked for where the URL has none: what most brokers serve.
const DEFAULT_PATH: &str = "/mqtt";

pub(super) async fn handshake<S>(
    mut stream: S,
    to: &Endpoint,
    options: &WsOptions,
) -> Result<WsStream<S>, TransportError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |error| TransportError::from_io(Phase::Handshake, to, error);
    let (request, key) = request(to, options).map_err(failed)?;
    stream.write_all(&request).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    let (response, rest) = head::read::<Response>(&mut stream).await.map_err(failed)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = response.status();
        let kind = TransportErrorKind::HttpStatus(status.as_u16());
        let words = format!("HTTP status {status}");
        return Err(TransportError::new(kind, Phase::Handshake, to, words));
    }
    if let Some(fault) = fault_of(response.headers(), &key) {
        let kind = TransportErrorKind::WebSocket;
        return Err(TransportError::new(kind, Phase::Handshake, to, fault));
    }
    Ok(WsStream::new(stream, Role::Client, options, rest))
}

/// The request's bytes and the key in it.
fn request(to: &Endpoint, options: &WsOptions) -> io::Result<(Vec<u8>, String)> {
    let path = to.path().unwrap_or(DEFAULT_PATH);
    let uri = match to.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut request = Request::get(uri)
        .header("Host", host(to))
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key())
        // [MQTT-6.0.0-3]
        .header("Sec-WebSocket-Protocol", SUBPROTOCOL)
        .body(())
        .map_err(io::Error::other)?;
    for (name, value) in options.headers() {
        request.headers_mut().append(name, value.clone());
    }
    generate_request(request).map_err(io::Error::other)
}

/// Host and port as HTTP wants them: the scheme's own port is left out.
fn host(to: &Endpoint) -> String {
    let host = to.host().unwrap_or_default();
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    match to
        .port()
        .filter(|port| Some(*port) != to.scheme().default_port())
    {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

/// What is wrong with the headers of a response that switches protocols.
fn fault_of(headers: &HeaderMap, key: &str) -> Option<&'static str> {
    let has = |name, word: &str| {
        let values = headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(','))
            .any(|value| value.trim().eq_ignore_ascii_case(word))
    };
    let accepted = headers.get("Sec-WebSocket-Accept");
    let subprotocol = headers.get("Sec-WebSocket-Protocol");
    if !has("Upgrade", "websocket") || !has("Connection", "upgrade") {
        Some("the server switched to another protocol")
    } else if accepted.is_none_or(|accept| *accept != derive_accept_key(key.as_bytes())) {
        Some("the answer is not to this handshake: a cache in between?")
    } else if headers.contains_key("Sec-WebSocket-Extensions") {
        Some("the server chose an extension that was not offered")
    } else if subprotocol.is_none() {
        // [MQTT-6.0.0-4]
        Some("the server did not select the subprotocol `mqtt`")
    } else if subprotocol.is_some_and(|name| *name != SUBPROTOCOL) {
        Some("the server selected another subprotocol than `mqtt`")
    } else {
        None
    }
}
