//! `ohmqtt rr`: a question, and the answer to it.

use ohmqtt_client::blocking::Client;

use crate::support::broker::TestBroker;
use crate::support::{done, run};

/// Somebody who answers at `ask`, until the client is dropped.
fn service(url: &str) -> Client {
    let client = Client::connect(url).unwrap();
    let mut questions = client.subscribe("ask").send().unwrap();
    std::thread::spawn(move || {
        while let Some(question) = questions.recv() {
            let answer = format!("{} to you", question.text().unwrap());
            question.reply(answer).send().unwrap();
        }
    });
    client
}

#[test]
fn an_answer_is_printed() {
    let broker = TestBroker::start();
    let _service = service(&broker.url());
    let args = [
        "rr",
        "-p",
        &broker.port(),
        "-t",
        "ask",
        "-m",
        "hello",
        "-W",
        "60",
    ];
    assert_eq!(done(&args), "hello to you\n");
    let own = [&args[..], &["-e", "mine", "-v", "-q", "1"]].concat();
    assert_eq!(done(&own), "mine hello to you\n");
}

#[test]
fn without_a_service_it_says_so() {
    let broker = TestBroker::start();
    let args = [
        "rr",
        "-p",
        &broker.port(),
        "-t",
        "ask",
        "-m",
        "hello",
        "-q",
        "1",
    ];
    let ran = run(&args);
    assert_eq!(ran.code, Some(16));
    assert!(ran.err.contains("nobody has subscribed"), "{}", ran.err);
}
