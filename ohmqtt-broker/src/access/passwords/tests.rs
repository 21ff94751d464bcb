//! Which passwords fit which lines, and what a file of them must not say.

use super::*;

/// As `mosquitto_passwd` of Mosquitto 2.0 writes them.
const ALICE: &str = "alice:$7$101$go0tTV87UQ6mPk1T$6zGfnJgRWiMJICuo1oULV8NLhHJO3HzInobU6/hL9hn6UM9c475rp5UrQizB41DQU4YVpQhOwIMuSvr9T3+f7g==";
const BOB: &str = "bob:$6$yA77mBT2YpH7AftE$MJgXDEwyy+pueVySpWYns89w1wc2OyyjVylHXvrCMe/884AP/0fO31oM+zn/dZsk2+5UAaX5MOKoUq8t7Wh07w==";
/// From the tests of Argon2's reference implementation.
const CAROL: &str =
    "carol:$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

fn read(text: &str) -> Result<Users, FileError> {
    users(Path::new("passwords"), text)
}

fn check(users: &Users, name: &str, password: &str, want: bool) {
    assert_eq!(users.know(name, password.as_bytes()), want, "{name}");
}

#[test]
fn passwords_hashed_by_others_are_known() {
    let users = read(&format!("# a comment\n\n{ALICE}\n  {BOB}  \r\n{CAROL}")).unwrap();
    for (name, password) in [
        ("alice", "wonderland"),
        ("bob", "builder"),
        ("carol", "password"),
    ] {
        check(&users, name, password, true);
        check(&users, name, "", false);
        check(&users, name, "Wonderland", false);
        check(&users, name, &format!("{password} "), false);
    }
    check(&users, "dave", "wonderland", false);
    check(&users, "", "wonderland", false);
    check(&read("").unwrap(), "alice", "wonderland", false);
}

#[test]
fn a_line_that_is_none_is_named_and_shows_no_secret() {
    let check = |line: &str, want: &str| {
        let Err(error) = read(&format!("{ALICE}\n{line}")) else {
            panic!("{line}: taken");
        };
        assert_eq!(error.to_string(), format!("passwords:2: {want}"));
    };
    let form = "not of the form NAME:HASH";
    check("s3cret", form);
    check(":s3cret", form);
    check(
        "dave:s3cret",
        "user 'dave': its password is not hashed: `mosquitto_passwd -U FILE` does that",
    );
    let kinds = "user 'dave': its hash is of no kind that is known: $argon2id$, $7$ and $6$ are";
    check("dave:$5$rounds=5000$salt$hash", kinds);
    check("dave:$6$rounds=5000$salt$hash", kinds);
    check(
        "dave:$7$x$c2FsdA==$c2FsdA==",
        "user 'dave': its rounds are no number",
    );
    check(
        "dave:$7$0$c2FsdA==$c2FsdA==",
        "user 'dave': its rounds are no number",
    );
    check("dave:$6$s!$c2FsdA==", "user 'dave': its hash is not base64");
    check(
        "dave:$6$c2FsdA==$c2FsdA==",
        "user 'dave': its hash is not of the length of SHA-512",
    );
    check(
        "dave:$argon2id$v=19$m=64,t=2,p=1",
        "user 'dave': its hash of Argon2 is not whole",
    );
    check(ALICE, "user 'alice' stands in the file twice");
    assert!(read("dave:$argon2id$v=19$m=1,t=0,p=1$c2FsdHlzYWx0$c2FsdHlzYWx0").is_err());
}

/// Found by fuzzing.
#[test]
fn a_hash_in_the_place_of_a_name_is_not_shown() {
    let joined = ALICE.replacen(':', "", 1);
    for (line, want) in [
        ("dave:s3cret", "user 'alice$...': its password"),
        (BOB, "user 'alice$...' stands in the file twice"),
    ] {
        let error = read(&format!("{joined}{BOB}\n{joined}{line}")).err();
        let error = error.unwrap().to_string();
        assert!(error.contains(want), "{error}");
        assert!(!error.contains("go0tTV87UQ6mPk1T"), "{error}");
    }
}

#[test]
fn a_hash_that_costs_too_much_to_look_at_is_not_taken() {
    let check = |hash: &str, want: Option<&str>| {
        let read = read(&format!("{ALICE}\ndave:{hash}"));
        let error = read.err().map(|error| error.to_string());
        let want = want.map(|want| {
            format!("passwords:2: user 'dave': {want} are taken: hash the password anew")
        });
        assert_eq!(error, want, "{hash}");
    };
    let argon2 = |costs: &str| {
        format!("$argon2id$v=19${costs}$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4")
    };
    check(&argon2("m=262144,t=16,p=16"), None);
    check(
        &argon2("m=262145,t=2,p=1"),
        Some("the KiB of its memory (m) are 262145, and at most 262144"),
    );
    check(
        &argon2("m=4294967295,t=1,p=1"),
        Some("the KiB of its memory (m) are 4294967295, and at most 262144"),
    );
    check(
        &argon2("m=64,t=17,p=1"),
        Some("its passes (t) are 17, and at most 16"),
    );
    check(
        &argon2("m=256,t=1,p=17"),
        Some("its lanes (p) are 17, and at most 16"),
    );
    let hash = ALICE.rsplit('$').next().unwrap();
    check(&format!("$7$1000000$c2FsdA==${hash}"), None);
    check(
        &format!("$7$1000001$c2FsdA==${hash}"),
        Some("its rounds are 1000001, and at most 1000000"),
    );
}

/// The hash of somebody else is looked at, and nobody is let in by it.
#[test]
fn who_is_not_known_costs_what_the_first_costs() {
    let users = read(&format!("{ALICE}\n{BOB}")).unwrap();
    assert!(matches!(
        users.decoy,
        Some(Hash::Pbkdf2 { rounds: 101, .. })
    ));
    check(&users, "dave", "wonderland", false);
}

#[test]
fn a_file_that_is_written_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("passwords");
    std::fs::write(&path, format!("# kept\n{ALICE}\n{BOB}\n")).unwrap();
    let file = PasswordFile::new(&path);
    file.set_user("alice", b"new").unwrap();
    file.set_user("eve", b"apple").unwrap();
    assert!(file.remove_user("bob").unwrap());
    assert!(!file.remove_user("bob").unwrap());
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.starts_with("# kept\nalice:$argon2id$v=19$m=19456,t=2,p=1$"),
        "{text}"
    );
    let users = read(&text).unwrap();
    check(&users, "alice", "new", true);
    check(&users, "alice", "wonderland", false);
    check(&users, "eve", "apple", true);
    assert_eq!(users.hashes.len(), 2);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    owner_only::check(&path);

    for name in ["", "a:b", "a\nb", "#a", " a", "a\0"] {
        let error = file.set_user(name, b"s3cret").unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[cfg(unix)]
mod owner_only {
    use std::os::unix::fs::PermissionsExt;

    pub(super) fn check(path: &std::path::Path) {
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[cfg(not(unix))]
mod owner_only {
    pub(super) fn check(_: &std::path::Path) {}
}
