//! The server's side of the handshake: RFC 6455, section 4.2.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tungstenite::handshake::server::{Request, create_response, write_response};
use tungstenite::http::{HeaderMap, HeaderValue, StatusCode};

use super::frame::Role;
use super::{SUBPROTOCOL, WsOptions, WsStream, head};
use crate::linger::linger;
use crate::{Peer, Phase, TransportError, TransportErrorKind};

/// Gives the stream and the path that was asked for, which is `path` unless that is `None`.
pub(super) async fn handshake<S>(
    mut stream: S,
    peer: &Peer,
    path: Option<&str>,
    options: &WsOptions,
) -> Result<(WsStream<S>, String), TransportError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |error| TransportError::from_io(Phase::Handshake, peer.address, error);
    let (request, rest) = head::read::<Request>(&mut stream).await.map_err(failed)?;
    match answer(&request, path) {
        Ok(response) => {
            stream.write_all(&response).await.map_err(failed)?;
            stream.flush().await.map_err(failed)?;
            let path = request.uri().path().to_owned();
            Ok((WsStream::new(stream, Role::Server, options, rest), path))
        }
        Err((status, reason)) => {
            // The peer may be gone already; what is wrong with it is worth telling all the same.
            if let Err(error) = refuse(&mut stream, status, &reason).await {
                tracing::debug!(%error, "refusal of a WebSocket not sent");
            }
            let kind = TransportErrorKind::WebSocket;
            Err(TransportError::new(
                kind,
                Phase::Handshake,
                peer.address,
                reason,
            ))
        }
    }
}

type Refusal = (StatusCode, String);

/// The response to a request, in bytes, or why there is none.
fn answer(request: &Request, path: Option<&str>) -> Result<Vec<u8>, Refusal> {
    let bad = |error: &dyn std::fmt::Display| (StatusCode::BAD_REQUEST, error.to_string());
    if !request.headers().contains_key("Upgrade") {
        let reason = "this is not a web server: use MQTT over WebSocket";
        return Err((StatusCode::UPGRADE_REQUIRED, reason.to_owned()));
    }
    let asked = request.uri().path();
    if path.is_some_and(|path| path != asked) {
        return Err((
            StatusCode::NOT_FOUND,
            format!("nothing is served at `{asked}`"),
        ));
    }
    if !offers_mqtt(request.headers()) {
        let reason = "the client does not offer the subprotocol `mqtt`";
        return Err((StatusCode::BAD_REQUEST, reason.to_owned()));
    }
    let mut response = create_response(request).map_err(|error| bad(&error))?;
    // [MQTT-6.0.0-4]
    let selected = HeaderValue::from_static(SUBPROTOCOL);
    response
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", selected);
    let mut bytes = Vec::new();
    write_response(&mut bytes, &response).map_err(|error| bad(&error))?;
    Ok(bytes)
}

fn offers_mqtt(headers: &HeaderMap) -> bool {
    let offers = headers.get_all("Sec-WebSocket-Protocol");
    let mut offers = offers.iter().filter_map(|value| value.to_str().ok());
    offers.any(|names| names.split(',').any(|name| name.trim() == SUBPROTOCOL))
}

async fn refuse(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    status: StatusCode,
    reason: &str,
) -> io::Result<()> {
    let len = reason.len() + 1;
    let response = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len}\r\n\r\n{reason}\n"
    );
    stream.write_all(response.as_bytes()).await?;
    stream.flush().await?;
    linger(stream).await;
    Ok(())
}
