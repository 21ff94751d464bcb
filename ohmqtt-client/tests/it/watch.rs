//! The state of a client as something that is waited on.

use std::time::Duration;

use ohmqtt_client::{Client, ConnectErrorKind, ConnectionState, ReasonCode, StateWatch};
use ohmqtt_codec::ConnAckProperties;
use tokio::io::DuplexStream;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::support::script::{Conn, Script, Wire};
use crate::support::soon;

const PATIENCE: Duration = Duration::from_secs(30);

/// The next connection, and its CONNECT.
async fn next(ends: &mut UnboundedReceiver<DuplexStream>) -> Conn {
    let mut conn = Conn::new(soon(ends.recv()).await.unwrap());
    conn.connect().await;
    conn
}

async fn changed(watch: &mut StateWatch) -> ConnectionState {
    soon(watch.changed()).await.expect("a change")
}

/// A state without what varies.
fn name(state: &ConnectionState) -> String {
    match state {
        ConnectionState::Connecting {
            attempt,
            last_error,
        } => {
            let after = last_error.as_ref().map_or("", |_| " after an error");
            format!("attempt {attempt}{after}")
        }
        ConnectionState::Connected { session_present } => format!("connected {session_present}"),
        ConnectionState::Closed { .. } => "closed".to_owned(),
        other => panic!("{other:?}"),
    }
}

/// The clock is the test's own, so that no change overtakes another.
#[tokio::test(start_paused = true)]
async fn each_change_is_told_and_none_after_the_last() {
    let (wire, mut ends) = Wire::new();
    let second = Duration::from_secs(1);
    let builder = Client::builder("server").backoff(second, second).seed(1);
    let client = builder.connector(wire).start().unwrap();
    let mut watch = client.watch();
    assert_eq!(name(&watch.current()), "attempt 0");
    assert_eq!(name(&changed(&mut watch).await), "attempt 1");
    let mut conn = next(&mut ends).await;
    conn.answer(false, ReasonCode::ServerBusy, ConnAckProperties::default())
        .await;
    assert_eq!(name(&changed(&mut watch).await), "attempt 1 after an error");
    assert_eq!(name(&changed(&mut watch).await), "attempt 2 after an error");
    let mut conn = next(&mut ends).await;
    conn.connack(false).await;
    assert_eq!(name(&changed(&mut watch).await), "connected false");
    assert_eq!(name(&watch.current()), "connected false");
    drop(conn);
    assert_eq!(name(&changed(&mut watch).await), "attempt 0 after an error");
    assert_eq!(name(&changed(&mut watch).await), "attempt 1 after an error");
    let mut conn = next(&mut ends).await;
    conn.connack(true).await;
    assert_eq!(name(&changed(&mut watch).await), "connected true");
    let serve = async {
        conn.goodbye().await;
        drop(conn);
    };
    tokio::join!(soon(client.close(PATIENCE)), serve);
    let ConnectionState::Closed { error } = changed(&mut watch).await else {
        panic!("not closed");
    };
    assert!(matches!(error.kind, ConnectErrorKind::Closed));
    assert!(soon(watch.changed()).await.is_none());
    assert!(soon(watch.changed()).await.is_none());
    assert_eq!(name(&watch.current()), "closed");
    // One that is made now has nothing to wait for.
    assert!(soon(client.watch().changed()).await.is_none());
}

#[tokio::test]
async fn of_several_changes_the_last_is_told() {
    let script = Script::start().await;
    let client = script.client().start().unwrap();
    let (mut slow, mut prompt) = (client.watch(), client.watch());
    drop(script.accept().await);
    let _conn = script.resume().await;
    while name(&changed(&mut prompt).await) != "connected true" {}
    assert_eq!(name(&changed(&mut slow).await), "connected true");
    let nothing = tokio::time::timeout(Duration::from_millis(20), slow.changed()).await;
    assert!(nothing.is_err());
}

#[tokio::test]
async fn a_wait_that_is_dropped_loses_no_change_and_clones_see_their_own() {
    let script = Script::start().await;
    let (client, conn) = script.pair().await;
    let mut watch = client.watch();
    let dropped = tokio::time::timeout(Duration::from_millis(5), watch.changed()).await;
    assert!(dropped.is_err());
    let mut clone = watch.clone();
    drop(conn);
    assert_eq!(name(&changed(&mut watch).await), "attempt 0 after an error");
    let _conn = script.resume().await;
    while name(&changed(&mut watch).await) != "connected true" {}
    assert_eq!(name(&changed(&mut clone).await), "connected true");
}

#[tokio::test]
async fn a_watch_does_not_keep_the_client() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let mut watch = client.watch();
    drop(client);
    conn.goodbye().await;
    drop(conn);
    assert_eq!(name(&changed(&mut watch).await), "closed");
    assert!(soon(watch.changed()).await.is_none());
}
