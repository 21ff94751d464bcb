//! Our client plays every scenario in both of its forms; and the kit finds out who does otherwise than a scenario says.

use std::path::Path;

use ohmqtt_kit::{Client, Outcome, Scenario, play, play_all, scenarios};

/// How many are played at once: most of them wait.
const AT_ONCE: usize = 8;

fn ours(form: &str) -> Client {
    Client {
        name: form.to_owned(),
        is_ours: true,
        program: env!("CARGO_BIN_EXE_ohmqtt-kit-ours").into(),
        args: vec![form.into()],
    }
}

async fn passes_all(form: &str) {
    let scenarios = Scenario::all(&scenarios()).unwrap();
    assert!(scenarios.len() >= 90, "{} scenarios", scenarios.len());
    let outcomes = play_all(&scenarios, &[ours(form)], AT_ONCE).await;
    assert_eq!(outcomes.len(), scenarios.len());
    let told: Vec<_> = outcomes
        .iter()
        .filter(|it| !it.is_spotless())
        .map(tell)
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

fn tell(outcome: &Outcome) -> String {
    let Outcome {
        scenario,
        fault,
        notes,
        log,
        ..
    } = outcome;
    format!("{scenario}: {fault:?} {notes:?}\n  {}", log.join("\n  "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_async_client_passes_every_scenario() {
    passes_all("async").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_blocking_client_passes_every_scenario() {
    passes_all("blocking").await;
}

#[test]
fn what_settles_a_scenario_is_in_the_specification() {
    let statements = include_str!("../../../spec/normative-statements.tsv");
    let is_known = |id: &str| {
        statements
            .lines()
            .any(|row| row.split('\t').next() == Some(id))
    };
    let is_section = |text: &str| text.split('.').all(|part| part.parse::<u8>().is_ok());
    for Scenario { name, settled, .. } in Scenario::all(&scenarios()).unwrap() {
        for part in settled.split(", ") {
            assert!(is_known(part) || is_section(part), "{name}: {part}");
        }
    }
}

/// Plays these steps after a connection was accepted, and gives how it went.
async fn after_connecting(steps: &str) -> Outcome {
    let text = format!(
        "about: It.\nsettled: none\nlevel: free\n\
         client connect\nexpect CONNECT\nsend CONNACK\ntold connected\n{steps}\n"
    );
    play(&Scenario::parse("it", &text).unwrap(), &ours("async")).await
}

async fn is_found(steps: &str, wanted: &str) {
    let outcome = after_connecting(steps).await;
    let fault = outcome.fault.clone().unwrap_or_default();
    assert!(fault.contains(wanted), "{steps}: {}", tell(&outcome));
}

#[tokio::test]
async fn a_client_that_sends_something_else_is_found_out() {
    let publish = "client publish name=one topic=a payload=1 qos=1";
    is_found(
        &format!("{publish}\nexpect PUBLISH qos=2"),
        "line 9: expect PUBLISH qos=2: came PUBLISH topic=a qos=1",
    )
    .await;
    is_found(&format!("{publish}\nquiet 50000"), "came PUBLISH").await;
    is_found(
        "send PUBREL id=1\nexpect PUBCOMP reason=0",
        "came PUBCOMP id=1 reason=146",
    )
    .await;
}

#[tokio::test]
async fn a_client_that_leaves_is_found_out() {
    is_found("send CONNACK\nstays", "the end of the connection").await;
    let outcome = after_connecting("send CONNACK\nleaves 0x93").await;
    assert_eq!(outcome.fault, None);
    assert_eq!(outcome.notes, ["it left with 0x82, not 0x93"]);
}

#[tokio::test]
async fn what_is_told_too_often_or_never_is_found_out() {
    let deliver = "send PUBLISH topic=a payload=1\nsend PUBLISH topic=a payload=2\n\
                   told message payload=1\ntold message payload=2\nstays";
    is_found(
        &format!("{deliver}\nonce message topic=a"),
        "it is so 2 times",
    )
    .await;
    is_found(
        &format!("{deliver}\nnever message topic=a"),
        "it is so 2 times",
    )
    .await;
    is_found(
        &format!("{deliver}\nonce message topic=b"),
        "it is so 0 times",
    )
    .await;
    assert_eq!(after_connecting(deliver).await.fault, None);
}

#[tokio::test]
async fn an_adapter_that_ends_is_found_out() {
    is_found(
        "client close\ntold message",
        "the client's process has ended",
    )
    .await;
    let missing = Client {
        program: Path::new("no-such-adapter").into(),
        ..ours("async")
    };
    let text = "about: It.\nsettled: none\nlevel: free\nclient connect\n";
    let outcome = play(&Scenario::parse("it", text).unwrap(), &missing).await;
    assert!(outcome.fault.unwrap().contains("no-such-adapter"));
}
