//! What becomes of what a client may not do.

use ohmqtt_broker::Broker;
use ohmqtt_codec::{
    Filters, Packet, Qos, ReasonCode, Subscribe, SubscribeProperties, SubscriptionOptions,
    TopicFilter,
};

use super::{Denied, builder, check};
use crate::client::{Client, connect, resuming, topic, will};

async fn denying(what: &[&str]) -> (Broker, Denied) {
    let denied = Denied::default();
    for what in what {
        denied.deny(what);
    }
    let broker = builder().authorize(denied.clone()).start().await.unwrap();
    (broker, denied)
}

#[tokio::test]
async fn who_may_not_connect_is_refused() {
    let (broker, _) = denying(&["c connect"]).await;
    check(&broker, connect("c"), ReasonCode::NotAuthorized).await;
    check(&broker, connect("d"), ReasonCode::Success).await;
}

#[tokio::test]
async fn a_message_that_may_not_be_published_is_dropped_and_from_qos_1_refused() {
    let (broker, _) = denying(&["c publish secret"]).await;
    let mut subscriber = Client::connect(&broker, "s").await;
    subscriber.subscribe("#", Qos::ExactlyOnce).await;
    let mut client = Client::connect(&broker, "c").await;
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let reason = client.publish("secret", "x", qos).await;
        let want = match qos {
            Qos::AtMostOnce => ReasonCode::Success, // nothing is said
            _ => ReasonCode::NotAuthorized,
        };
        assert_eq!(reason, want);
    }
    assert_eq!(
        client.publish_retained("secret", "x").await,
        ReasonCode::NotAuthorized
    );
    client.publish("open", "y", Qos::AtLeastOnce).await;
    assert_eq!(topic(&subscriber.receive_message().await), "open");
    subscriber.expect_nothing().await;
    assert_eq!(
        subscriber.subscribe("secret", Qos::AtMostOnce).await,
        ReasonCode::GRANTED_QOS_0
    );
    subscriber.expect_nothing().await;
}

#[tokio::test]
async fn a_filter_that_is_not_allowed_is_refused_and_the_others_are_granted() {
    let (broker, _) = denying(&["c subscribe a", "c subscribe $share/g/b"]).await;
    let mut client = Client::connect(&broker, "c").await;
    let options = SubscriptionOptions::new(Qos::AtLeastOnce);
    let filter = |text| TopicFilter::new(text).unwrap();
    let mut filters = Filters::new(&filter("a"), options).unwrap();
    for text in ["b", "$share/g/b", "c"] {
        filters.push(&filter(text), options).unwrap();
    }
    let packet_id = client.next_id();
    let properties = SubscribeProperties::default();
    client
        .send(Packet::Subscribe(Subscribe {
            packet_id,
            properties,
            filters,
        }))
        .await;
    let Packet::SubAck(suback) = client.receive().await else {
        panic!("no SUBACK");
    };
    let (yes, no) = (ReasonCode::GrantedQos1, ReasonCode::NotAuthorized);
    assert_eq!(suback.codes.iter().collect::<Vec<_>>(), [no, yes, no, yes]);
    client.publish("a", "x", Qos::AtMostOnce).await;
    client.publish("b", "x", Qos::AtMostOnce).await;
    assert_eq!(topic(&client.receive_message().await), "b");
    client.expect_nothing().await;
}

#[tokio::test]
async fn what_a_client_may_not_get_is_not_delivered_to_it() {
    let (broker, denied) = denying(&["c deliver a/secret"]).await;
    let mut client = Client::connect(&broker, "c").await;
    let mut other = Client::connect(&broker, "d").await;
    client.subscribe("#", Qos::AtMostOnce).await;
    client.subscribe("a/+", Qos::AtMostOnce).await;
    let mut third = Client::connect(&broker, "e").await;
    third.subscribe("a/secret", Qos::AtMostOnce).await;
    for topic in ["a/secret", "a/open"] {
        other.publish(topic, "x", Qos::AtLeastOnce).await;
    }
    assert_eq!(topic(&client.receive_message().await), "a/open");
    client.expect_nothing().await;
    assert_eq!(topic(&third.receive_message().await), "a/secret");
    // A right that is withdrawn counts from then on.
    denied.deny("c deliver a/open");
    other.publish("a/open", "x", Qos::AtLeastOnce).await;
    client.expect_nothing().await;
}

#[tokio::test]
async fn what_one_of_a_group_may_not_get_goes_to_another() {
    let (broker, _) = denying(&["c deliver t"]).await;
    let mut client = Client::connect(&broker, "c").await;
    let mut other = Client::connect(&broker, "d").await;
    for member in [&mut client, &mut other] {
        member.subscribe("$share/g/+", Qos::AtLeastOnce).await;
    }
    for _ in 0..3 {
        other.publish("t", "x", Qos::AtMostOnce).await;
        assert_eq!(topic(&other.receive_message().await), "t");
    }
    client.expect_nothing().await;
}

#[tokio::test]
async fn a_client_that_is_away_gets_nothing_queued_that_it_may_not_get() {
    let (broker, _) = denying(&["c deliver secret"]).await;
    let (mut client, _) = Client::resume(&broker, "c", 100).await;
    client.subscribe("#", Qos::AtLeastOnce).await;
    client.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    let mut other = Client::connect(&broker, "d").await;
    for topic in ["secret", "open"] {
        other.publish(topic, "x", Qos::AtLeastOnce).await;
    }
    let (mut client, connack) = Client::connect_with(&broker, resuming("c", 100)).await;
    assert!(connack.session_present);
    assert_eq!(topic(&client.receive_message().await), "open");
    client.expect_nothing().await;
}

#[tokio::test]
async fn a_retained_message_that_may_not_be_got_is_not_delivered() {
    let (broker, denied) = denying(&["c deliver b"]).await;
    let mut client = Client::connect(&broker, "c").await;
    for topic in ["a", "b"] {
        client.publish_retained(topic, "x").await;
    }
    client.subscribe("#", Qos::AtMostOnce).await;
    assert_eq!(topic(&client.receive_message().await), "a");
    denied.deny("c deliver a");
    client.subscribe("+", Qos::AtMostOnce).await;
    client.expect_nothing().await;
}

/// The fault of Mosquitto before 1.5.6: what was retained outlived the right to publish it.
#[tokio::test]
async fn a_retained_message_is_not_delivered_when_its_publisher_has_lost_the_right() {
    let (broker, denied) = denying(&[]).await;
    let mut publisher = Client::connect(&broker, "p").await;
    let mut other = Client::connect(&broker, "o").await;
    publisher.publish_retained("t/p", "x").await;
    other.publish_retained("t/o", "x").await;
    publisher.disconnect(ReasonCode::NORMAL_DISCONNECTION).await;
    denied.deny("p retained t/p");
    let mut client = Client::connect(&broker, "c").await;
    client.subscribe("t/+", Qos::AtMostOnce).await;
    assert_eq!(topic(&client.receive_message().await), "t/o");
    client.expect_nothing().await;
}

#[tokio::test]
async fn a_will_that_is_not_allowed_is_refused_with_its_connect() {
    let (broker, _) = denying(&["c will secret"]).await;
    for (topic, want) in [
        ("secret", ReasonCode::NotAuthorized),
        ("open", ReasonCode::Success),
    ] {
        let mut connect = connect("c");
        connect.will = Some(will(topic, "x"));
        check(&broker, connect, want).await;
    }
}

#[tokio::test]
async fn a_will_whose_right_was_withdrawn_is_not_published() {
    let (broker, denied) = denying(&[]).await;
    let mut subscriber = Client::connect(&broker, "s").await;
    subscriber.subscribe("#", Qos::AtLeastOnce).await;
    for topic in ["secret", "open"] {
        let mut connect = connect("c");
        connect.will = Some(will(topic, "x"));
        let (client, _) = Client::connect_with(&broker, connect).await;
        denied.deny("c will secret");
        let reason = ReasonCode::DisconnectWithWillMessage;
        client.disconnect(reason).await;
    }
    assert_eq!(topic(&subscriber.receive_message().await), "open");
    subscriber.expect_nothing().await;
}
