//! Passwords: where they come from, and that they are told nobody.

use std::fs;

use ohmqtt_broker::PasswordFile;

use crate::support::broker::TestBroker;
use crate::support::{ohmqtt, run};

#[test]
fn a_password_comes_from_wherever_it_is_kept_and_is_never_told() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    PasswordFile::new(&users).set_user("me", b"s3cret").unwrap();
    let broker = TestBroker::with(|builder| builder.listen("mqtt://127.0.0.1:0").passwords(&users));
    let (port, file) = (broker.port(), folder.path().join("password"));
    fs::write(&file, "s3cret\n").unwrap();
    let base = ["pub", "-p", &port, "-t", "a", "-m", "x", "-u", "me"];
    let file = file.to_str().unwrap();
    for more in [&["--password-file", file][..], &["-P", "s3cret"]] {
        assert_eq!(run(&[&base[..], more].concat()).code, Some(0), "{more:?}");
    }
    let url = format!("mqtt://me:s3cret@localhost:{port}");
    assert_eq!(
        run(&["pub", "--url", &url, "-t", "a", "-m", "x"]).code,
        Some(0)
    );
    let by_environment = ohmqtt(&base).env("OHMQTT_PASSWORD", "s3cret").status();
    assert!(by_environment.unwrap().success());

    let wrong = [&base[..], &["-P", "wr0ng", "-d"]].concat();
    let url = format!("mqtt://me:wr0ng@localhost:{port}");
    for args in [
        &wrong[..],
        &["pub", "--url", &url, "-t", "a", "-m", "x", "-d"],
    ] {
        let ran = run(args);
        assert_eq!(ran.code, Some(0x86), "{}", ran.err);
        assert!(
            ran.err.contains("check user name and password"),
            "{}",
            ran.err
        );
        assert!(!ran.err.contains("wr0ng"), "{}", ran.err);
    }
    let help = ohmqtt(&["pub", "--help"])
        .env("OHMQTT_PASSWORD", "s3cret")
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&help.stdout).contains("s3cret"));
}
