//! Handshakes: subprotocol, path, headers, and refusals that say why.

use std::sync::mpsc;

use ohmqtt_transport::{
    ConfigError, Connect, Connector, Phase, TransportError, TransportErrorKind, WsOptions,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tungstenite::http::{HeaderValue, StatusCode};
use tungstenite::{Error, http};

use super::{listen_at, mqtt, with_client, with_server};
use crate::contract::in_time;

/// What a server sees of our client's handshake.
async fn request_of(connector: &Connector, path: &str) -> http::Request<()> {
    let (seen, requests) = mpsc::channel();
    let (server, client) = with_server(
        connector,
        path,
        move |request, response| {
            seen.send(request.clone()).unwrap();
            Ok(mqtt(response))
        },
        drop,
    )
    .await;
    client.unwrap();
    server.join().unwrap().unwrap();
    requests.recv().unwrap()
}

/// [MQTT-6.0.0-3]
#[tokio::test]
async fn client_offers_the_subprotocol_mqtt() {
    let request = request_of(&Connector::new(), "/mqtt").await;
    assert_eq!(request.headers()["sec-websocket-protocol"], "mqtt");
}

#[tokio::test]
async fn path_query_and_headers_are_the_chosen_ones() {
    let options = WsOptions::new()
        .header("Authorization", "Bearer abc")
        .unwrap();
    let options = options
        .header("X-Many", "1")
        .unwrap()
        .header("X-Many", "2")
        .unwrap();
    let connector = Connector::new().websocket(options);
    let request = request_of(&connector, "/a%20b/c?token=1&x=/").await;
    assert_eq!(request.uri(), "/a%20b/c?token=1&x=/");
    assert_eq!(request.headers()["authorization"], "Bearer abc");
    let many: Vec<_> = request.headers().get_all("x-many").iter().collect();
    assert_eq!(many, ["1", "2"]);
    let host = request.headers()["host"].to_str().unwrap();
    assert!(host.starts_with("127.0.0.1:"), "{host}");

    let request = request_of(&Connector::new(), "").await;
    assert_eq!(request.uri(), "/mqtt", "the default");
    let request = request_of(&Connector::new(), "/").await;
    assert_eq!(request.uri(), "/");
}

#[tokio::test]
async fn a_stream_of_ones_own_carries_websocket() {
    let mut listener = listen_at("ws://127.0.0.1:0/own").await;
    let to = listener.local();
    let below = format!("mqtt://127.0.0.1:{}", to.port().unwrap());
    let stream = Connector::new().connect(&below.parse().unwrap()).await;
    let (stream, options) = (stream.unwrap(), WsOptions::new());
    let (client, accepted) =
        tokio::join!(ohmqtt_transport::websocket(stream, &to, &options), async {
            listener.accept().await.unwrap().handshake.await
        },);
    let (mut client, mut server) = (client.unwrap(), accepted.unwrap().0);
    client.write_all(b"both ways").await.unwrap();
    client.flush().await.unwrap();
    let mut bytes = [0; 9];
    in_time(server.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(bytes, *b"both ways");
}

#[test]
fn headers_that_cannot_be_sent_are_config_errors_that_hide_the_value() {
    let bad = [
        ("no name", "x"),
        ("", "x"),
        ("X-Ok", "line\r\nfeed"),
        ("Host", "other"),
        ("connection", "close"),
        ("Sec-WebSocket-Protocol", "mqttv3.1"),
    ];
    for (name, value) in bad {
        let error = WsOptions::new().header(name, value).unwrap_err();
        assert_eq!(error, ConfigError::BadHeader { name: name.into() });
    }
    let error = WsOptions::new().header("a b", "S3CR3T").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("S3CR3T"));
    let options = WsOptions::new().header("Cookie", "S3CR3T").unwrap();
    assert!(!format!("{options:?}").contains("S3CR3T"));
}

/// [MQTT-6.0.0-4]
#[tokio::test]
async fn server_selects_mqtt_from_whatever_is_offered() {
    for offer in ["mqtt", "mqttv3.1, mqtt", "chat,mqtt ,mqttv3.1"] {
        let mut listener = listen_at("ws://127.0.0.1:0").await;
        let (client, server) = with_client(
            &mut *listener,
            move |request| {
                let value = HeaderValue::from_static(offer);
                request
                    .headers_mut()
                    .insert("Sec-WebSocket-Protocol", value);
            },
            drop,
        )
        .await;
        let (_, peer) = server.unwrap();
        assert_eq!(peer.path.as_deref(), Some("/mqtt"));
        // tungstenite refuses an answer that is not among its offers.
        client.join().unwrap().unwrap();
    }
    // What exactly it answers.
    let mut listener = listen_at("ws://127.0.0.1:0").await;
    let answer = ask(listener.local().port().unwrap(), "mqttv3.1, mqtt");
    let (server, answer) = tokio::join!(
        async { listener.accept().await.unwrap().handshake.await },
        answer
    );
    server.unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(
        answer.contains("\r\nsec-websocket-protocol: mqtt\r\n"),
        "{answer}"
    );
}

/// The head of the answer to a handshake that offers `offer`.
async fn ask(port: u16, offer: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
         Sec-WebSocket-Protocol: {offer}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 1000];
    let len = stream.read(&mut answer).await.unwrap();
    String::from_utf8(answer[..len].to_vec()).unwrap()
}

fn check_websocket_error(error: &TransportError, words: &str) {
    assert_eq!(
        (error.kind(), error.phase()),
        (TransportErrorKind::WebSocket, Phase::Handshake),
        "{error}"
    );
    assert!(!error.is_retryable());
    assert!(error.to_string().contains(words), "{error}");
}

/// [MQTT-6.0.0-3] [MQTT-6.0.0-4] Without the offer there is nothing to select.
#[tokio::test]
async fn client_that_does_not_offer_mqtt_is_refused() {
    for offer in [None, Some("mqttv3.1"), Some("MQTT"), Some("amqp")] {
        let mut listener = listen_at("ws://127.0.0.1:0").await;
        let (client, server) = with_client(
            &mut *listener,
            move |request| {
                let headers = request.headers_mut();
                headers.remove("Sec-WebSocket-Protocol");
                if let Some(offer) = offer {
                    headers.insert("Sec-WebSocket-Protocol", HeaderValue::from_static(offer));
                }
            },
            drop,
        )
        .await;
        check_websocket_error(
            &server.err().unwrap(),
            "does not offer the subprotocol `mqtt`",
        );
        let Error::Http(response) = *client.join().unwrap().unwrap_err() else {
            panic!("no HTTP answer");
        };
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    }
}

/// [MQTT-6.0.0-4]
#[tokio::test]
async fn server_that_does_not_select_mqtt_is_refused() {
    let table = [
        (None, "did not select the subprotocol `mqtt`"),
        (Some("mqttv3.1"), "selected another subprotocol than `mqtt`"),
    ];
    for (selected, words) in table {
        let (server, client) = with_server(
            &Connector::new(),
            "/mqtt",
            move |_, mut response| {
                if let Some(name) = selected {
                    let value = HeaderValue::from_static(name);
                    response
                        .headers_mut()
                        .insert("Sec-WebSocket-Protocol", value);
                }
                Ok(response)
            },
            drop,
        )
        .await;
        check_websocket_error(&client.err().unwrap(), words);
        server.join().unwrap();
    }
}

#[tokio::test]
async fn answer_that_is_not_to_this_handshake_is_refused() {
    type Change = fn(&mut http::HeaderMap);
    let table: [(Change, &str); 4] = [
        (
            |headers| drop(headers.remove("Upgrade")),
            "another protocol",
        ),
        (
            |headers| drop(headers.remove("Connection")),
            "another protocol",
        ),
        (
            |headers| {
                let value = HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
                headers.insert("Sec-WebSocket-Accept", value);
            },
            "not to this handshake",
        ),
        (
            |headers| {
                let value = HeaderValue::from_static("permessage-deflate");
                headers.insert("Sec-WebSocket-Extensions", value);
            },
            "extension that was not offered",
        ),
    ];
    for (change, words) in table {
        let (server, client) = with_server(
            &Connector::new(),
            "/mqtt",
            move |_, response| {
                let mut response = mqtt(response);
                change(response.headers_mut());
                Ok(response)
            },
            drop,
        )
        .await;
        check_websocket_error(&client.err().unwrap(), words);
        server.join().unwrap();
    }
}

#[tokio::test]
async fn status_of_a_refusal_is_told_and_whether_it_may_pass() {
    for (status, retryable) in [(401, false), (404, false), (429, true), (503, true)] {
        let (server, client) = with_server(
            &Connector::new(),
            "/mqtt",
            move |_, _| {
                let mut response = http::Response::new(None);
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                Err(Box::new(response))
            },
            drop,
        )
        .await;
        let error = client.err().unwrap();
        assert_eq!(error.kind(), TransportErrorKind::HttpStatus(status));
        assert_eq!(error.is_retryable(), retryable, "{status}");
        assert!(
            error.to_string().contains(&format!("HTTP status {status}")),
            "{error}"
        );
        server.join().unwrap();
    }
}

#[tokio::test]
async fn listener_with_a_path_serves_no_other() {
    let mut listener = listen_at("ws://127.0.0.1:0/here").await;
    let url = listener.local().to_string();
    assert!(url.ends_with("/here"));
    let connector = Connector::new();
    let there = url.replace("/here", "/there").parse().unwrap();
    let accept = async { listener.accept().await?.handshake.await };
    let (client, server) = in_time(async { tokio::join!(connector.connect(&there), accept) }).await;
    assert_eq!(
        client.err().unwrap().kind(),
        TransportErrorKind::HttpStatus(404)
    );
    check_websocket_error(&server.err().unwrap(), "nothing is served at `/there`");

    let here = listener.local();
    let accept = async { listener.accept().await?.handshake.await };
    let (client, server) = in_time(async { tokio::join!(connector.connect(&here), accept) }).await;
    client.unwrap();
    assert_eq!(server.unwrap().1.path.as_deref(), Some("/here"));
}

#[tokio::test]
async fn whoever_does_not_speak_websocket_is_told_so() {
    let mut listener = listen_at("ws://127.0.0.1:0").await;
    let browser = "GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned();
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    let mqtt = "\x10\x0f\0\x04MQTT\r\n\r\n".to_owned();
    let table = [
        (browser, "not a web server", "HTTP/1.1 426 "),
        (long, "longer than 16384 bytes", ""),
        (mqtt, "no HTTP", ""),
    ];
    for (sent, words, want) in table {
        let mut client = TcpStream::connect(("127.0.0.1", listener.local().port().unwrap()))
            .await
            .unwrap();
        client.write_all(sent.as_bytes()).await.unwrap();
        let handshake = listener.accept().await.unwrap().handshake;
        let answer = async {
            let mut answer = [0; 13];
            let len = client.read(&mut answer).await.unwrap_or(0);
            drop(client);
            String::from_utf8(answer[..len].to_vec()).unwrap()
        };
        let (server, answer) = in_time(async { tokio::join!(handshake, answer) }).await;
        check_websocket_error(&server.err().unwrap(), words);
        assert_eq!(answer, want);
    }
}

#[tokio::test]
async fn server_that_speaks_something_else_is_told_from_the_weather() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH\r\n\r\n").await.unwrap();
        stream
    });
    let error = in_time(Connector::new().connect(&url.parse().unwrap())).await;
    check_websocket_error(&error.err().unwrap(), "no HTTP");
    server.await.unwrap();
}
