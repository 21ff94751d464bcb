//! Whether the rig finds what is not as promised, and says so.

use std::process::{Command, Output};
use std::{fs, str};

fn crash(args: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ohmqtt-crash"))
        .args(args.split_ascii_whitespace())
        .output()
        .unwrap()
}

#[test]
fn a_publisher_that_keeps_nothing_is_found_out() {
    let line = "--rounds 4 --store memory --durability safe --qos 1 --broker mosquitto --seed 1";
    let output = crash(line);
    let (said, told) = (
        str::from_utf8(&output.stdout).unwrap(),
        str::from_utf8(&output.stderr).unwrap(),
    );
    assert_eq!(output.status.code(), Some(1), "{said}{told}");
    assert!(
        said.starts_with(
            "crash: store=memory durability=safe qos=1 broker=mosquitto rounds=4 accepted="
        ),
        "{said}"
    );
    assert!(
        told.contains(" messages are lost, the first of them "),
        "{told}"
    );
    assert!(
        told.contains(&format!("again with: cargo xtask crash {line}")),
        "{told}"
    );
    // What happened is there to be read.
    let (_, folder) = told.split_once("what happened is in ").unwrap();
    let folder = folder.lines().next().unwrap();
    let trace = fs::read_to_string(format!("{folder}/trace.log")).unwrap();
    assert!(trace.contains("rig kills publisher-1"), "{trace}");
    // On a busy machine some are killed before they begin, and not the one whose messages are lost.
    let begins = |life| trace.contains(&format!(" publisher-{life} accepted {life}000000 "));
    assert!((1..=4).any(begins), "{trace}");
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_soak_through_a_broker_that_forgets_finds_losses() {
    let output = crash("soak --seconds 8 --rate 1000 --seed 3 --planted");
    let (said, told) = (
        str::from_utf8(&output.stdout).unwrap(),
        str::from_utf8(&output.stderr).unwrap(),
    );
    assert_eq!(output.status.code(), Some(1), "{said}{told}");
    let outcome = said.lines().last().unwrap();
    let counts = outcome.split_once(" messages, ").unwrap().1;
    let (lost, rest) = counts.split_once(" lost, ").unwrap();
    assert_ne!(lost, "0", "{said}");
    assert!(rest.contains(" duplicated, memory +"), "{outcome}");
    assert!(told.contains(&format!("soak: {lost} messages are lost")));
    let (_, folder) = told.split_once("what the broker said is in ").unwrap();
    fs::remove_dir_all(folder.lines().next().unwrap()).unwrap();
}

/// What networks did to messages, and its last line is that of one scenario where nothing went wrong.
#[cfg(target_os = "linux")]
fn passes(scenario: &str) -> String {
    let output = crash(&format!("networks --seed 1 --only {scenario}"));
    let (said, told) = (
        str::from_utf8(&output.stdout).unwrap(),
        str::from_utf8(&output.stderr).unwrap(),
    );
    assert!(output.status.success(), "{said}{told}");
    let outcome = said.lines().last().unwrap();
    assert!(outcome.starts_with("networks: 1 scenarios, "), "{said}");
    assert!(
        outcome.ends_with(" messages, 0 lost, 0 twice, 0 leaks"),
        "{said}"
    );
    said.to_owned()
}

/// [MQTT-4.3.3-10] A reset after each byte, in each direction, of who publishes and of who receives.
#[cfg(target_os = "linux")]
#[test]
fn a_qos_2_message_arrives_once_wherever_its_connection_is_reset() {
    let said = passes("reset");
    let (before, _) = said.split_once(" connections reset").unwrap();
    let resets: u64 = before.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(resets > 200, "{said}");
}

/// [MQTT-4.2.0-1] No packet comes as it was sent.
#[cfg(target_os = "linux")]
#[test]
fn messages_arrive_once_whose_bytes_come_in_pieces_and_late() {
    passes("chopped");
}

#[cfg(target_os = "linux")]
#[test]
fn messages_that_come_again_over_resets_are_found() {
    let output = crash("networks --seed 1 --only reset --planted");
    let told = str::from_utf8(&output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(" messages came again\n"), "{told}");
    assert!(
        told.contains("again with: cargo xtask networks --seed 1 --only reset --planted"),
        "{told}"
    );
    let (_, folder) = told.split_once("what happened is in ").unwrap();
    fs::remove_dir_all(folder.lines().next().unwrap()).unwrap();
}

#[test]
fn methods_that_are_not_cancel_safe_are_found_out() {
    let output = Command::new(env!("CARGO_BIN_EXE_ohmqtt-cancel"))
        .arg("--planted")
        .output()
        .unwrap();
    let said = str::from_utf8(&output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let last = said.lines().last();
    assert_eq!(last, Some("cancel: 6 of 6 planted faults found"));
}

#[test]
fn a_public_future_without_a_row_is_a_violation() {
    let source = tempfile::tempdir().unwrap();
    let method = "impl Client {\n    /// Hurries.\n    pub async fn hurry(&self) {}\n}\n";
    fs::write(source.path().join("client.rs"), method).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_ohmqtt-cancel"))
        .args(["--method", "Client::wait_for", "--source"])
        .arg(source.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = str::from_utf8(&output.stderr).unwrap();
    for want in [
        "cancel: Client::hurry is a public future and has no row among the methods\n",
        "cancel: the documentation of Client::hurry has no line on cancel safety\n",
        "cancel: Client::close has a row and is not in the source\n",
    ] {
        assert!(told.contains(want), "{told}");
    }
}

#[test]
fn a_wrong_command_line_is_told() {
    for (args, want) in [
        ("", "how many rounds?"),
        (
            "--rounds 4 --store paper",
            "\"paper\" is none of sqlite, redb, memory",
        ),
        ("--rounds 4 --frobnicate", "invalid option '--frobnicate'"),
        ("soak", "for how long?"),
        ("soak --minutes 1 --rate 0", "a rate of 0 sends nothing"),
        ("soak --seconds 4", "shorter than 5 seconds"),
        ("networks --only sunshine", "no scenario has \"sunshine\""),
        ("resources --only money", "no scenario has \"money\""),
    ] {
        let output = crash(args);
        assert_eq!(output.status.code(), Some(2), "{args}");
        let told = str::from_utf8(&output.stderr).unwrap();
        assert!(told.contains(want), "{args}: {told}");
    }
}
