//! The exchange of RFC 7677, and what a server must not say.

use proptest::prelude::*;

use super::*;

const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

/// The client of RFC 7677, which has said its first word.
fn begun(password: &str) -> ScramSha256 {
    let mut scram = ScramSha256::new("user", password).unwrap();
    assert_eq!(
        scram.client_first(NONCE.into()),
        "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    );
    scram
}

async fn answer(scram: &mut ScramSha256, said: &str) -> Result<Option<Bytes>, AuthError> {
    scram.answer(Some(said.to_owned().into())).await
}

fn finish(scram: &mut ScramSha256, said: &str) -> Result<(), AuthError> {
    scram.finish(Some(said.to_owned().into()))
}

/// A client that has proved itself.
async fn proved() -> ScramSha256 {
    let mut scram = begun("pencil");
    answer(&mut scram, SERVER_FIRST).await.unwrap();
    scram
}

#[tokio::test]
async fn the_exchange_of_rfc_7677_goes_as_printed() {
    let mut scram = begun("pencil");
    for _ in 0..2 {
        let last = answer(&mut scram, SERVER_FIRST).await.unwrap();
        assert_eq!(last.unwrap(), CLIENT_FINAL);
        finish(&mut scram, SERVER_FINAL).unwrap();
        // The second time the keys are there already.
        assert!(scram.keys.is_some());
        scram.client_first(NONCE.into());
    }
}

#[tokio::test]
async fn a_server_may_prove_itself_before_it_accepts() {
    let mut scram = proved().await;
    assert_eq!(answer(&mut scram, SERVER_FINAL).await.unwrap(), None);
    scram.finish(None).unwrap();
}

#[tokio::test]
async fn another_password_is_another_proof_and_finds_the_server_wrong() {
    let mut scram = begun("pencils");
    let last = answer(&mut scram, SERVER_FIRST).await.unwrap();
    assert_ne!(last.unwrap(), CLIENT_FINAL);
    let distrusted = finish(&mut scram, SERVER_FINAL);
    assert!(matches!(distrusted, Err(AuthError::Distrusted(_))));
}

#[tokio::test]
async fn a_server_is_not_trusted_without_the_right_proof() {
    let wrong = SERVER_FINAL.replace("v=6", "v=7");
    let short = "v=6rriTQ==";
    for proof in [Some(wrong.as_str()), Some(short), None] {
        let data = proof.map(|proof| Bytes::from(proof.to_owned()));
        let at_the_end = proved().await.finish(data.clone());
        assert!(matches!(at_the_end, Err(AuthError::Distrusted(_))));
        let before = proved().await.answer(data).await;
        assert!(matches!(before, Err(AuthError::Distrusted(_))));
    }
    let at_once = begun("pencil").finish(None);
    assert!(matches!(at_once, Err(AuthError::Distrusted(_))));
}

#[tokio::test]
async fn what_the_server_says_of_its_refusal_is_told() {
    let mut scram = proved().await;
    let Err(AuthError::Refused(why)) = finish(&mut scram, "e=invalid-proof") else {
        panic!("not refused");
    };
    assert_eq!(why, "invalid-proof");
    let at_first = answer(&mut begun("pencil"), "e=unknown-user").await;
    assert!(matches!(at_first, Err(AuthError::Refused(why)) if why == "unknown-user"));
}

async fn check_malformed(server_first: &str, want: &str) {
    match answer(&mut begun("pencil"), server_first).await {
        Err(AuthError::Malformed(why)) => assert_eq!(why, want, "{server_first}"),
        other => panic!("{server_first}: {other:?}"),
    }
}

#[tokio::test]
async fn a_malformed_first_message_says_what_is_wrong_with_it() {
    let with = |from: &str, to: &str| SERVER_FIRST.replace(from, to);
    check_malformed("", "'r=' is missing or empty").await;
    check_malformed(&with("r=rOp", "x=rOp"), "'r=' is missing or empty").await;
    check_malformed(
        &with("s=W22ZaJ0SNY7soEsUEjb6gQ==,", ""),
        "'s=' is missing or empty",
    )
    .await;
    check_malformed(
        &with("W22ZaJ0SNY7soEsUEjb6gQ==", ""),
        "'s=' is missing or empty",
    )
    .await;
    check_malformed(&with(",i=4096", ""), "'i=' is missing or empty").await;
    check_malformed(&with("r=rOp", "r=ROp"), "its nonce does not extend ours").await;
    check_malformed(
        &with("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", ""),
        "its nonce does not extend ours",
    )
    .await;
    check_malformed(&with("%hv", "%h\u{7f}"), "its nonce does not extend ours").await;
    check_malformed(&with("gQ==", "gQ="), "its salt is not base64").await;
    check_malformed(&with("gQ==", "g-=="), "its salt is not base64").await;
    for count in ["x", "04096", "+4096", "-1", "99999999999"] {
        let first = with("4096", count);
        check_malformed(&first, "its iteration count is no number").await;
    }
    for count in ["4095", "1", "1000001", "4294967295"] {
        let why = format!("its iteration count is {count}, not from 4096 to 1000000");
        check_malformed(&with("4096", count), &why).await;
    }
    let demand = "it demands an extension, and none is known";
    check_malformed(&format!("m=x,{SERVER_FIRST}"), demand).await;
    for trailing in [",", ",x", ",x=", ",1=y", ",=y"] {
        let first = format!("{SERVER_FIRST}{trailing}");
        check_malformed(&first, "something follows that is no extension").await;
    }
    let missing = begun("pencil").answer(None).await;
    assert!(matches!(missing, Err(AuthError::Malformed(_))));
    let binary = begun("pencil")
        .answer(Some(Bytes::from_static(b"\xff")))
        .await;
    assert!(matches!(binary, Err(AuthError::Malformed(_))));
}

#[tokio::test]
async fn extensions_that_need_not_be_known_are_left_alone() {
    let first = format!("{SERVER_FIRST},x=y,z=1=2");
    answer(&mut begun("pencil"), &first).await.unwrap();
    let mut scram = proved().await;
    finish(&mut scram, &format!("{SERVER_FINAL},x=y")).unwrap();
}

#[tokio::test]
async fn a_malformed_last_message_is_an_error() {
    for last in ["", "x", "v=", "v=6rri=", "V=6rri", "p=6rri", "v=6rri,x"] {
        let error = finish(&mut proved().await, last);
        assert!(matches!(error, Err(AuthError::Malformed(_))), "{last}");
    }
}

#[tokio::test]
async fn more_is_not_said_than_there_is_to_say() {
    let mut scram = proved().await;
    answer(&mut scram, SERVER_FINAL).await.unwrap();
    let more = answer(&mut scram, SERVER_FINAL).await;
    assert!(matches!(more, Err(AuthError::Malformed(_))));
    let idle = ScramSha256::new("user", "pencil")
        .unwrap()
        .answer(None)
        .await;
    assert!(matches!(idle, Err(AuthError::Malformed(_))));
}

#[tokio::test]
async fn each_exchange_has_a_nonce_of_its_own() {
    let mut scram = ScramSha256::new("user", "pencil").unwrap();
    let (first, second) = (scram.begin().await.unwrap(), scram.begin().await.unwrap());
    assert!(first.as_ref().unwrap().starts_with(b"n,,n=user,r="));
    assert_ne!(first, second);
}

#[test]
fn names_are_prepared_and_escaped() {
    // A soft hyphen is nothing, a wide space is a space, and a Roman numeral is its letters.
    let mut scram = ScramSha256::new("I\u{ad}X,=\u{2168}\u{3000}y", "p").unwrap();
    assert_eq!(scram.client_first("n".into()), "n,,n=IX=2C=3DIX y,r=n");
}

#[test]
fn what_cannot_be_prepared_is_an_error_without_the_secret() {
    for (user, password, want) in [
        ("", "pencil", "user_name"),
        ("user", "", "password"),
        ("user", "\u{ad}", "password"),
        ("u\u{7}", "pencil", "user_name"),
        ("user", "pencil\u{7}", "password"),
        ("user", "\u{627}pencil", "password"),
    ] {
        let Err(ConfigError::Value { field, problem }) = ScramSha256::new(user, password) else {
            panic!("{user:?} {password:?}: taken");
        };
        assert_eq!(field, want);
        assert!(!problem.contains("pencil"), "{problem}");
    }
}

#[tokio::test]
async fn no_secret_shows() {
    let scram = proved().await;
    let shown = format!("{scram:?}");
    assert!(
        !shown.contains("pencil") && !shown.contains(NONCE),
        "{shown}"
    );
}

proptest! {
    #[test]
    fn whatever_a_server_says_is_an_answer_or_an_error(
        first in proptest::collection::vec(any::<u8>(), 0..64),
        // Only counts that are refused: deriving keys takes time.
        text in "(r=rOprNGfwEbeRWgbNEkqO)?[rsimvex=,a-c%]{0,24}(,s=[A-Za-z0-9+/=]{0,12})?(,i=[0-3]{0,12})?",
    ) {
        for said in [first.clone(), text.clone().into_bytes()] {
            if let Ok(text) = messages::text(Some(&said)) {
                let _ = ServerFinal::parse(text);
                if let Ok(server) = ServerFirst::parse(text, NONCE) {
                    prop_assert!(server.nonce.len() > NONCE.len());
                    prop_assert!((4096..=1_000_000).contains(&server.iterations));
                }
            }
            let mut scram = begun("pencil");
            prop_assert!(scram.finish(Some(said.into())).is_err());
        }
    }
}
