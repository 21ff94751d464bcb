//! The exchange of RFC 7677, and what a client must not say.

use super::*;

fn talk() -> Talk {
    let scram = ScramSha256::new().unwrap();
    let users = scram.user("a=b,c", "pencil").unwrap().0;
    Talk {
        users,
        step: Step::AwaitFirst,
    }
}

/// The keys, proof and signature of RFC 7677, section 3.
#[test]
fn the_exchange_of_the_rfc_convinces_both() {
    let salt = BASE64.decode(b"W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let keys = Keys::derive("pencil", salt);
    assert_eq!(keys.public(), "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    let first = ClientFirst::parse("n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
    let text = format!("c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    let last = ClientFinal::parse(&text, nonce).unwrap();
    let said = format!(
        "{},r={nonce},{},{}",
        first.bare,
        keys.public(),
        last.without_proof
    );
    let signature = keys.verify(said.as_bytes(), &last.proof).unwrap();
    let want = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
    assert_eq!(BASE64.encode(&signature), want);
    assert_eq!(keys.verify(b"another", &last.proof), None);
    assert_eq!(keys.verify(said.as_bytes(), &last.proof[1..]), None);
}

fn check_refused(answer: &Result<AuthStep, &str>, want: &str) {
    assert_eq!(answer.as_ref().unwrap_err(), &want);
}

#[test]
fn what_is_no_message_is_refused_in_the_words_of_the_rfc() {
    for (message, why) in [
        ("", "other-error"),
        ("n,,", "other-error"),
        ("n,,n=,r=x", "other-error"),
        ("n,,n=user,r=", "other-error"),
        ("n,,n=user", "other-error"),
        ("n,a=admin,n=user,r=x", "other-error"),
        ("n,,n=user,r=\u{e9}", "other-error"),
        ("n,,n=us=er,r=x", "invalid-username-encoding"),
        ("n,,n=us=2cer,r=x", "invalid-username-encoding"),
        ("n,,n=u\u{7},r=x", "invalid-username-encoding"),
        ("p=tls-unique,,n=user,r=x", "channel-binding-not-supported"),
        ("n,,m=x,n=user,r=x", "extensions-not-supported"),
    ] {
        check_refused(&talk().answer(message.as_bytes()), why);
    }
    check_refused(&talk().answer(&[0xFF]), "invalid-encoding");
    for (message, why) in [
        ("c=biws,r=NONCE", "other-error"),
        ("c=biws,r=x,p=AAAA", "other-error"),
        ("c=cD10bHM=,r=NONCE,p=AAAA", "channel-bindings-dont-match"),
        ("c=biws,r=NONCE,p=AAA", "invalid-encoding"),
        ("c=biws,r=NONCE,p=AAAA", "invalid-proof"),
    ] {
        let mut talk = talk();
        talk.answer(b"n,,n=a=3Db=2Cc,r=x").unwrap();
        let Step::AwaitFinal {
            nonce, is_known, ..
        } = &talk.step
        else {
            panic!("not asked for more");
        };
        assert!(is_known);
        let message = message.replace("NONCE", nonce);
        check_refused(&talk.answer(message.as_bytes()), why);
        check_refused(&talk.answer(message.as_bytes()), "other-error");
    }
}

#[test]
fn who_is_not_there_is_told_the_same_salt_each_time_and_never_let_in() {
    let mut talk = talk();
    let mut salts = Vec::new();
    for _ in 0..2 {
        talk.step = Step::AwaitFirst;
        talk.answer(b"n,,n=nobody,r=x").unwrap();
        let Step::AwaitFinal { keys, nonce, .. } = &talk.step else {
            panic!("not asked for more");
        };
        salts.push(keys.public());
        let message = format!("c=biws,r={nonce},p={}", BASE64.encode(&[0; 32]));
        check_refused(&talk.answer(message.as_bytes()), "invalid-proof");
    }
    assert_eq!(salts[0], salts[1]);
    assert_eq!(salts[0].len(), "s=,i=4096".len() + 32);
}

#[test]
fn no_password_is_kept_or_shown() {
    let scram = ScramSha256::new().unwrap();
    let scram = scram.user("alice", "s3cret").unwrap();
    assert_eq!(format!("{scram:?}"), "ScramSha256 { users: 1, .. }");
    let error = scram.user("bob", "s3cret\u{7}").unwrap_err();
    assert!(!error.to_string().contains("s3c"), "{error}");
}
