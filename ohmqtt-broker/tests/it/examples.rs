//! Programs that speak to a broker, run against this one.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use ohmqtt_codec::{Qos, ReasonCode};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::client::{Client, broker, connect};

const PATIENCE: Duration = Duration::from_secs(60);

#[allow(dead_code, reason = "the example's own main")]
#[path = "../../../ohmqtt-session/examples/sans_io.rs"]
mod sans_io;

#[tokio::test]
async fn a_session_on_a_plain_stream_publishes_and_receives_at_every_qos() {
    let broker = broker().await;
    let address = broker.url().trim_start_matches("mqtt://").to_owned();
    let talked = tokio::task::spawn_blocking(move || {
        sans_io::talk(&address).map_err(|error| error.to_string())
    });
    assert_eq!(talked.await.unwrap(), Ok(()));
}

/// Starts the example `broker`, which cargo has built beside this test's own folder.
pub(crate) fn example(arguments: &[&str]) -> Child {
    let test = std::env::current_exe().unwrap();
    let file = format!("broker{}", std::env::consts::EXE_SUFFIX);
    let program: PathBuf = test.ancestors().nth(2).unwrap().join("examples").join(file);
    let mut command = Command::new(&program);
    command.args(arguments).kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap_or_else(|error| {
        let program = program.display();
        panic!(
            "{program}: {error}; `cargo test -p ohmqtt-broker` builds it, with `--test` it is not"
        )
    })
}

/// The address that the example broker prints first.
#[cfg(all(unix, feature = "redb"))]
pub(crate) async fn first_line(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let line = timeout(PATIENCE, lines.next_line()).await.unwrap();
    line.unwrap().unwrap()
}

/// The addresses are printed with the ports that were chosen, a client at each is served, and each signal that asks for an end has one.
#[cfg(unix)]
#[tokio::test]
async fn the_example_broker_listens_at_each_url_until_it_is_told_to_stop() {
    for signal in ["-INT", "-TERM"] {
        let mut child = example(&["mqtt://127.0.0.1:0", "localhost:0"]);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut clients = Vec::new();
        for _ in 0..2 {
            let url = timeout(PATIENCE, lines.next_line())
                .await
                .unwrap()
                .unwrap()
                .unwrap();
            assert!(!url.ends_with(":0"), "{url}");
            let mut client = Client::open_at(&url).await;
            let connack = client.say_connect(connect(&url)).await;
            assert_eq!(connack.reason, ReasonCode::Success);
            client.subscribe("t", Qos::AtMostOnce).await;
            clients.push(client);
        }
        clients[0].publish("t", "x", Qos::AtMostOnce).await;
        for client in &mut clients {
            assert_eq!(client.receive_message().await.payload, "x");
        }
        let id = child.id().unwrap().to_string();
        let kill = Command::new("kill").args([signal, &id]).status().await;
        assert!(kill.unwrap().success());
        for client in &mut clients {
            client
                .expect_disconnect(ReasonCode::ServerShuttingDown)
                .await;
        }
        drop(clients);
        let status = timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{status}");
    }
}

#[tokio::test]
async fn the_example_broker_says_what_is_wrong_and_fails() {
    for (arguments, wanted) in [
        (&[][..], "no address to listen at"),
        (&["mqtt://0.0.0.0:0"], "--insecure-allow-anonymous"),
        (
            &["mqtt://127.0.0.1:0", "--store", "broker.txt"],
            "broker.txt",
        ),
        (&["--stroe"], "--stroe"),
    ] {
        let mut child = example(arguments);
        let mut said = String::new();
        let mut stderr = child.stderr.take().unwrap();
        timeout(PATIENCE, stderr.read_to_string(&mut said))
            .await
            .unwrap()
            .unwrap();
        assert!(said.contains(wanted), "{said}");
        let status = timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(1));
    }
}
