//! Messages that are to go with a topic alias, or not at all.

use ohmqtt_codec::*;
use ohmqtt_session::*;

use crate::peer::*;

/// A client whose server takes so many aliases.
fn client(maximum: u16) -> Script<ClientSession> {
    let mut connack = connack(false);
    connack.properties.set_topic_alias_maximum(maximum);
    Script::client_with(|_| {}, connack)
}

/// Publishes on a topic at QoS 0.
fn publish_on(
    script: &mut Script<ClientSession>,
    name: &str,
    alias: AliasPolicy,
) -> Result<(), PublishError> {
    let mut options = ticket(1);
    options.alias = alias;
    let message = Message::new(topic(name), "x");
    let result = script.session.publish(script.now, message.clone(), options);
    result.map_err(|rejected| {
        assert_eq!(rejected.message, message, "it is given back");
        rejected.error
    })
}

/// The name and the alias of each PUBLISH that is sent.
fn aliases(script: &mut Script<ClientSession>) -> Vec<(String, Option<u16>)> {
    let packets = script.packets().into_iter();
    let told = packets.map(|packet| {
        let Packet::Publish(publish) = packet else {
            panic!("{packet:?}")
        };
        let name = match &publish.topic {
            PublishTopic::Name(name) => name.to_string(),
            PublishTopic::Alias(_) => String::new(),
        };
        (name, publish.properties.topic_alias().map(TopicAlias::get))
    });
    told.collect()
}

fn said(name: &str, alias: u16) -> (String, Option<u16>) {
    (name.to_owned(), (alias > 0).then_some(alias))
}

#[test]
fn an_alias_that_was_asked_for_stays_with_its_topic() {
    let mut script = client(2);
    publish_on(&mut script, "a", AliasPolicy::Always).unwrap();
    publish_on(&mut script, "a", AliasPolicy::Always).unwrap();
    publish_on(&mut script, "b", AliasPolicy::Try).unwrap();
    // The one that may go is that of `b`, though `a` was used longer ago.
    publish_on(&mut script, "c", AliasPolicy::Try).unwrap();
    publish_on(&mut script, "a", AliasPolicy::Try).unwrap();
    let want = [
        said("a", 1),
        said("", 1),
        said("b", 2),
        said("c", 2),
        said("", 1),
    ];
    assert_eq!(aliases(&mut script), want);
}

/// [MQTT-3.3.2-9]
#[test]
fn a_message_that_has_to_have_an_alias_is_refused_without_one() {
    let mut script = client(2);
    let full = Err(PublishError::NoTopicAlias { maximum: 2 });
    publish_on(&mut script, "a", AliasPolicy::Always).unwrap();
    publish_on(&mut script, "b", AliasPolicy::Always).unwrap();
    assert_eq!(publish_on(&mut script, "c", AliasPolicy::Always), full);
    // Others go without.
    publish_on(&mut script, "c", AliasPolicy::Try).unwrap();
    assert_eq!(
        aliases(&mut script),
        [said("a", 1), said("b", 2), said("c", 0)]
    );

    script.cut();
    let none = Err(PublishError::NoTopicAlias { maximum: 0 });
    assert_eq!(publish_on(&mut script, "a", AliasPolicy::Always), none);
    script.reconnect(connack(false));
    assert_eq!(publish_on(&mut script, "a", AliasPolicy::Always), none);
    assert_eq!(aliases(&mut script), []);
}

#[test]
fn what_may_be_sent_again_cannot_ask_for_an_alias() {
    let mut script = client(2);
    for qos in [QOS1, QOS2] {
        let mut options = ticket(1);
        options.alias = AliasPolicy::Always;
        let result = script
            .session
            .publish(script.now, message(qos, "x"), options);
        assert_eq!(result.unwrap_err().error, PublishError::AliasNotKept);
    }
    assert_eq!(script.sent(), [""; 0]);
}
