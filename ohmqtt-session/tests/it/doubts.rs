//! What waits for a client whose rights have changed.

use std::collections::BTreeMap;

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

const GONE: [&str; 0] = [];

impl Script<ServerSession> {
    fn publish_to(&mut self, name: &str, payload: &str, qos: Qos) {
        let mut message = message(qos, payload);
        message.topic = topic(name);
        self.submit(message, 1);
        self.serve();
    }

    /// Answers all doubts there are: these topics are refused. Gives all that were asked about.
    fn answer_doubts(&mut self, refused: &[&str]) -> Vec<String> {
        let topics = self.session.doubted_topics();
        let names = topics.iter().map(ToString::to_string).collect();
        let answer = |topic: TopicName| {
            let is_allowed = !refused.contains(&topic.as_str());
            (topic, is_allowed)
        };
        let answers: BTreeMap<_, _> = topics.into_iter().map(answer).collect();
        self.session.settle_doubts(&answers);
        self.serve();
        names
    }

    fn has_told_of_doubts(&mut self) -> bool {
        let events = self.events_in_full();
        events.contains(&ServerEvent::Doubts)
    }
}

#[test]
fn what_is_refused_later_is_not_sent_and_the_rest_goes_in_its_order() {
    let mut script = ServerSession::open(1);
    for (name, payload) in [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4"), ("b", "5")] {
        script.publish_to(name, payload, QOS1);
    }
    assert_eq!(script.sent().len(), 1, "the window is full");
    script.session.doubt_unsent();
    script.publish_to("b", "6", QOS1);
    assert_eq!(script.exchange([puback(1)]), GONE, "nobody has answered");
    assert_eq!(script.answer_doubts(&["b"]), ["a", "b", "c"]);
    assert!(script.session.doubted_topics().is_empty());
    let mut sent = script.sent();
    let mut payloads = Vec::new();
    for n in 2.. {
        let Some(publish) = sent.pop() else { break };
        payloads.push(publish.rsplit(' ').next().unwrap().to_owned());
        sent = script.exchange([puback(n)]);
    }
    assert_eq!(
        payloads,
        ["3", "4", "6"],
        "what came later was not in doubt"
    );
    assert_eq!(script.session.queued(), (0, 0));
    assert_eq!(script.session.counters().lost(), 2);
}

#[test]
fn what_waits_at_qos_0_is_taken_back_too() {
    let mut script = Script::accepted();
    let mut refused = message(QOS0, "x");
    refused.topic = topic("a");
    let mut allowed = refused.clone();
    allowed.topic = topic("b");
    script.submit(refused, 1);
    script.submit(allowed, 2);
    script.session.doubt_unsent();
    assert_eq!(script.answer_doubts(&["a"]), ["a", "b"]);
    assert_eq!(script.sent().len(), 1);
    assert_eq!(script.session.queued(), (0, 0));
}

#[test]
fn what_lies_in_the_store_alone_is_asked_about_when_it_comes_from_there() {
    let mut script = ServerSession::durable_with(|outbox| outbox.window.messages = 2);
    script.cut();
    for (n, name) in ["a", "b", "a", "b", "a", "b"].into_iter().enumerate() {
        script.publish_to(name, &n.to_string(), QOS1);
    }
    script.session.doubt_unsent();
    assert_eq!(script.answer_doubts(&["b"]), ["a", "b"]);
    script.events();
    let mut sent = ServerSession::resume(&mut script, 1);
    let mut payloads = Vec::new();
    let mut told = 0;
    loop {
        if script.has_told_of_doubts() {
            told += 1;
            script.answer_doubts(&["b"]);
            sent.append(&mut script.sent());
            continue;
        }
        let Some(publish) = sent.pop() else { break };
        let (_, rest) = publish.split_once('#').unwrap();
        let (id, payload) = rest.split_once(' ').unwrap();
        payloads.push(payload.to_owned());
        sent = script.exchange([puback(id.parse().unwrap())]);
    }
    assert_eq!(payloads, ["0", "2", "4"]);
    assert!(told > 0);
    assert_eq!(script.session.queued(), (0, 0));
    assert!(script.store.kept.is_empty(), "{:?}", script.store.kept);
}
