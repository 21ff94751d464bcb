//! How it connects: from which address, by which TLS. Beside mosquitto's commands, where they do it too.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;

use ohmqtt_broker::{ListenOptions, RustlsServerConfig};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS12;
use rustls::{CipherSuite, ServerConfig};

use crate::support::broker::TestBroker;
use crate::support::certs::{Authority, Issued};
use crate::support::mosquitto::program;
use crate::support::{ohmqtt, run, start};

fn mosquitto_sub() -> Command {
    let mut command = Command::new(program("mosquitto_sub"));
    command.args(["-V", "mqttv5"]).stdin(Stdio::null());
    command
}

#[test]
fn it_connects_from_the_address_that_is_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    for mut command in [ohmqtt(&["sub"]), mosquitto_sub()] {
        command.args(["-h", "127.0.0.1", "-p", &port, "-t", "a"]);
        let mut process = start(command.args(["-A", "127.0.0.3"]));
        let (_, peer) = listener.accept().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
        assert_eq!(peer.ip().to_string(), "127.0.0.3", "{command:?}");
    }
}

#[test]
fn an_address_of_another_machine_is_refused() {
    // Of those for documentation, which nobody has.
    // And one of another family than the broker's.
    for address in ["192.0.2.1", "::1"] {
        let ran = run(&["sub", "-h", "127.0.0.1", "-A", address, "-t", "a"]);
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        let advice = "an address that is not one of its own";
        assert!(ran.err.contains(advice), "{}", ran.err);
    }
}

/// Flags, and whether they lead to a server that speaks TLS 1.2 alone, by one suite.
const CHOICES: &[(&[&str], bool)] = &[
    (&[], true),
    (&["--tls-version", "tlsv1.2"], true),
    (&["--tls-version", "tlsv1.3"], false),
    (&["--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"], true),
    (
        &[
            "--ciphers",
            "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256",
        ],
        true,
    ),
    (&["--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"], false),
    (&["--ciphers", "NO-SUCH-CIPHER"], false),
];

fn tls_1_2_by_one_suite(issued: &Issued) -> RustlsServerConfig {
    let mut provider = rustls::crypto::ring::default_provider();
    let suite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    provider
        .cipher_suites
        .retain(|known| known.suite() == suite);
    let chain = CertificateDer::from_pem_file(&issued.certificate).unwrap();
    let key = PrivateKeyDer::from_pem_file(&issued.key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    RustlsServerConfig::new(config)
}

#[test]
fn versions_and_ciphers_are_chosen_as_by_mosquittos() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let issued = authority.issue("broker", "localhost");
    let options = ListenOptions::new().rustls(tls_1_2_by_one_suite(&issued));
    let broker = TestBroker::with(|builder| builder.listen_with("mqtts://localhost:0", options));
    let port = broker.port();
    let trusted = folder.path().join("authority.pem");
    for (flags, is_let_in) in CHOICES {
        for mut command in [ohmqtt(&["sub"]), mosquitto_sub()] {
            command.args(["-p", &port, "-t", "a", "-E", "--cafile"]);
            let output = command.arg(&trusted).args(*flags).output().unwrap();
            assert_eq!(
                output.status.success(),
                *is_let_in,
                "{command:?}: {output:?}"
            );
        }
    }
}
