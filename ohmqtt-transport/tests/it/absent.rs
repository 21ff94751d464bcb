//! Schemes that were not compiled in.

use ohmqtt_transport::{Connect, Connector, Endpoint, TransportErrorKind, listen};

#[tokio::test]
async fn scheme_that_was_not_compiled_in_names_its_feature() {
    let schemes = [
        ("mqtt://h", "tcp", cfg!(feature = "tcp")),
        ("mqtts://h", "tls", cfg!(feature = "tls-no-provider")),
        ("ws://h/mqtt", "ws", cfg!(feature = "ws")),
        (
            "wss://h",
            "ws,tls",
            cfg!(all(feature = "ws", feature = "tls-no-provider")),
        ),
        ("quic://h", "quic", cfg!(feature = "quic")),
        ("unix:/run/mqtt", "unix", cfg!(all(unix, feature = "unix"))),
    ];
    let mut absent = 0;
    for (url, features, compiled_in) in schemes {
        if compiled_in {
            continue;
        }
        absent += 1;
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
    assert_ne!(absent, 0);
}
