//! WebSocket: the contract over TCP and TLS, and what only WebSocket does, tested against tungstenite's own ends.

mod frames;
mod handshake;

use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use ohmqtt_transport::{
    BoxFuture, Connect, Connector, Endpoint, Listen, Peer, Transport, TransportError, listen,
};
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::http::HeaderValue;
use tungstenite::{HandshakeError, WebSocket};

use crate::contract::{Subject, contract, in_time};

struct Ws;

impl Subject for Ws {
    fn listen(&self) -> BoxFuture<'_, Box<dyn Listen>> {
        Box::pin(async { listen_at("ws://127.0.0.1:0").await })
    }

    fn connector(&self) -> Box<dyn Connect> {
        Box::new(Connector::new())
    }

    fn mute<'a>(&'a self, at: &'a Endpoint) -> BoxFuture<'a, Box<dyn Send>> {
        let address = (at.host().unwrap(), at.port().unwrap());
        Box::pin(async move { Box::new(TcpStream::connect(address).unwrap()) as Box<dyn Send> })
    }
}

contract!(keeps_the_contract, Ws);

#[cfg(feature = "tls")]
mod secure {
    use ohmqtt_transport::{ListenOptions, TlsOptions, listen_with};

    use super::*;
    use crate::certs::{AUTHORITY, server_identity};

    struct Wss;

    impl Subject for Wss {
        fn listen(&self) -> BoxFuture<'_, Box<dyn Listen>> {
            let at = "wss://127.0.0.1:0/mqtt".parse().unwrap();
            Box::pin(async move { listen_with(&at, server_identity()).await.unwrap() })
        }

        fn connector(&self) -> Box<dyn Connect> {
            let tls = TlsOptions::new().authorities(AUTHORITY.certificates());
            Box::new(Connector::new().tls(tls))
        }

        fn mute<'a>(&'a self, at: &'a Endpoint) -> BoxFuture<'a, Box<dyn Send>> {
            Ws.mute(at)
        }
    }

    contract!(keeps_the_contract, Wss);

    #[tokio::test]
    async fn listener_without_identity_is_a_config_error() {
        let error = listen(&"wss://127.0.0.1:0".parse().unwrap()).await.err();
        let error = error.unwrap().to_string();
        assert!(
            error.contains("no certificate for a wss listener"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn client_certificate_and_path_are_both_known() {
        let issued = AUTHORITY.issue(&crate::certs::certificate(&["client"]));
        let options = ListenOptions::from(server_identity())
            .require_client_certificates(AUTHORITY.certificates());
        let at = "wss://127.0.0.1:0".parse().unwrap();
        let mut listener = listen_with(&at, options).await.unwrap();
        let tls = TlsOptions::new()
            .authorities(AUTHORITY.certificates())
            .identity(issued.identity());
        let (connector, to) = (Connector::new().tls(tls), listener.local());
        let accept = async { listener.accept().await?.handshake.await };
        let (client, server) =
            in_time(async { tokio::join!(connector.connect(&to), accept) }).await;
        client.unwrap();
        let (_, peer) = server.unwrap();
        assert_eq!(peer.certificate_names, ["test subject", "client"]);
        assert_eq!(peer.path.as_deref(), Some("/mqtt"));
    }
}

async fn listen_at(url: &str) -> Box<dyn Listen> {
    listen(&url.parse().unwrap()).await.unwrap()
}

type Refused<R> = Result<R, Box<tungstenite::Error>>;

/// tungstenite as a client that connects to `listener` by the request that `change` makes of a plain one, and what our
/// server makes of it.
async fn with_client<R: Send + 'static>(
    listener: &mut dyn Listen,
    change: impl FnOnce(&mut Request) + Send + 'static,
    then: impl FnOnce(WebSocket<TcpStream>) -> R + Send + 'static,
) -> (
    JoinHandle<Refused<R>>,
    Result<(Box<dyn Transport>, Peer), TransportError>,
) {
    let port = listener.local().port().unwrap();
    let mut request = format!("ws://127.0.0.1:{port}/mqtt")
        .into_client_request()
        .unwrap();
    let name = HeaderValue::from_static("mqtt");
    request.headers_mut().insert("Sec-WebSocket-Protocol", name);
    let client = std::thread::spawn(move || {
        change(&mut request);
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(then(socket)),
            Err(HandshakeError::Failure(error)) => Err(Box::new(error)),
            Err(HandshakeError::Interrupted(_)) => panic!("the stream does not block"),
        }
    });
    let server = in_time(async { listener.accept().await?.handshake.await }).await;
    (client, server)
}

/// Our client at a server of tungstenite that answers as `answer` says.
async fn with_server<R: Send + 'static>(
    connector: &Connector,
    path: &str,
    answer: impl FnOnce(&Request, Response) -> Result<Response, Box<ErrorResponse>> + Send + 'static,
    then: impl FnOnce(WebSocket<TcpStream>) -> R + Send + 'static,
) -> (
    JoinHandle<Option<R>>,
    Result<Box<dyn Transport>, TransportError>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}{path}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        #[allow(clippy::result_large_err, reason = "tungstenite's signature")]
        let answer =
            |request: &Request, response| answer(request, response).map_err(|error| *error);
        tungstenite::accept_hdr(stream, answer).ok().map(then)
    });
    let client = in_time(connector.connect(&url.parse().unwrap())).await;
    (server, client)
}

/// What a faultless server answers.
fn mqtt(mut response: Response) -> Response {
    let name = HeaderValue::from_static("mqtt");
    response
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", name);
    response
}
