//! Requests and their answers: each finds its own, and what becomes of those that find none.

use std::time::Duration;

use ohmqtt_client::{
    Client, LostMessage, PublishError, Qos, ReasonCode, RequestError, SubscribeError,
};
use ohmqtt_codec::{
    Ack, Binary, ConnAckProperties, Delivery, Packet, Publish, PublishTopic, TopicName,
};
use tokio::task::JoinHandle;

use crate::support::script::{Conn, Script};
use crate::support::{broker, client, eventually, next, soon, text};

const PATIENCE: Duration = Duration::from_secs(30);

type Answer = Result<ohmqtt_client::Message, RequestError>;

/// Makes a request in the background.
fn ask(client: &Client, payload: &'static str) -> JoinHandle<Answer> {
    let client = client.clone();
    tokio::spawn(async move { client.request("service", payload, PATIENCE).await })
}

/// The next request that reaches the server; it is acknowledged.
async fn asked(conn: &mut Conn) -> Publish {
    let publish = conn.publish().await;
    conn.ack(&publish).await;
    publish
}

/// The first request subscribes to this topic, which is granted.
async fn grant(conn: &mut Conn) -> String {
    let subscribe = conn.subscribe().await;
    let (filter, options) = subscribe.filters.iter().next().unwrap();
    assert_eq!(options.qos, Qos::AtLeastOnce);
    conn.grant(&subscribe).await;
    filter.as_str().to_owned()
}

/// A message at QoS 0 with this correlation data.
fn correlated(topic: &str, payload: &str, data: &[u8]) -> Packet {
    let mut publish = Publish::new(TopicName::new(topic).unwrap(), payload.to_owned());
    let data = Binary::try_from(data.to_vec()).unwrap();
    publish.properties.set_correlation_data(&data);
    Packet::Publish(publish)
}

/// The answer that a request asks for.
fn answer(request: &Publish, payload: &str) -> Packet {
    let topic = request.properties.response_topic().unwrap();
    let data = request.properties.correlation_data().unwrap();
    correlated(topic, payload, data)
}

#[tokio::test]
async fn a_request_is_answered_by_another_client_at_each_qos() {
    let broker = broker().await;
    let (service, client) = (client(&broker).await, client(&broker).await);
    let mut requests = soon(service.subscribe("service")).await.unwrap();
    let answers = tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            let payload = format!("{} to you", text(&request));
            request.reply(payload).await.unwrap();
        }
    });
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let request = client.request("service", "hello", PATIENCE).qos(qos);
        let request = request.with(|publish| publish.content_type("text/plain"));
        assert_eq!(text(&soon(request).await.unwrap()), "hello to you");
    }
    assert_eq!(client.metrics().late_replies, 0);
    soon(service.close(PATIENCE)).await;
    soon(answers).await.unwrap();
}

#[tokio::test]
async fn a_thousand_requests_at_once_get_their_own_answers() {
    let broker = broker().await;
    let (service, client) = (client(&broker).await, client(&broker).await);
    let mut requests = soon(service.subscribe("service")).await.unwrap();
    tokio::spawn(async move {
        let mut waiting = Vec::new();
        // The last is answered first.
        while let Some(request) = requests.recv().await {
            waiting.push(request);
            if waiting.len() == 100 {
                for request in waiting.drain(..).rev() {
                    request.reply(request.payload.clone()).await.unwrap();
                }
            }
        }
    });
    let asking: Vec<_> = (0..1000)
        .map(|n: u32| {
            let client = client.clone();
            let answer = async move { client.request("service", n.to_string(), PATIENCE).await };
            (n, tokio::spawn(answer))
        })
        .collect();
    for (n, answer) in asking {
        assert_eq!(text(&soon(answer).await.unwrap().unwrap()), n.to_string());
    }
    assert_eq!(client.metrics().late_replies, 0);
}

#[tokio::test]
async fn a_request_to_nobody_fails_at_once() {
    let broker = broker().await;
    let client = client(&broker).await;
    let error = soon(client.request("service", "x", Duration::MAX)).await;
    let Err(RequestError::NobodyListens { topic }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(topic, "service");
}

#[tokio::test]
async fn a_late_answer_is_counted_and_given_to_nobody() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let mut unclaimed = client.unclaimed();
    let first = ask(&client, "first");
    grant(&mut conn).await;
    let late = asked(&mut conn).await;
    first.abort();
    assert!(soon(first).await.unwrap_err().is_cancelled());
    let second = ask(&client, "second");
    let request = asked(&mut conn).await;
    conn.send(answer(&late, "late")).await;
    conn.send(answer(&request, "in time")).await;
    conn.send(answer(&request, "once more")).await;
    assert_eq!(text(&soon(second).await.unwrap().unwrap()), "in time");
    eventually(|| client.metrics().late_replies == 2).await;
    let moment = Duration::from_millis(20);
    assert!(
        tokio::time::timeout(moment, unclaimed.recv())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_message_with_other_correlation_data_is_no_answer() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let waiting = ask(&client, "x");
    let topic = grant(&mut conn).await;
    let request = asked(&mut conn).await;
    let own = request.properties.correlation_data().unwrap().to_vec();
    let mut forged = own.clone();
    *forged.last_mut().unwrap() ^= 1;
    let longer = [own.as_slice(), &[0]].concat();
    for data in [
        &forged,
        &longer,
        &own[..own.len() - 1].to_vec(),
        &Vec::new(),
    ] {
        conn.send(correlated(&topic, "forged", data)).await;
    }
    conn.deliver(&topic, "without any", Qos::AtLeastOnce, 7)
        .await;
    assert_eq!(conn.puback(7).await, ReasonCode::Success);
    eventually(|| client.metrics().late_replies == 5).await;
    assert!(!waiting.is_finished());
    conn.send(answer(&request, "true")).await;
    assert_eq!(text(&soon(waiting).await.unwrap().unwrap()), "true");
}

#[tokio::test]
async fn time_runs_out_and_the_request_is_forgotten() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    // The request is to be sent by then, on a busy machine too.
    let timeout = Duration::from_secs(3);
    let asking = client.clone();
    let waiting = tokio::spawn(async move { asking.request("service", "x", timeout).await });
    grant(&mut conn).await;
    let request = asked(&mut conn).await;
    let error = soon(waiting).await.unwrap().unwrap_err();
    assert!(matches!(&error, RequestError::TimedOut { topic, .. } if topic == "service"));
    assert!(error.to_string().contains("3s"), "{error}");
    conn.send(answer(&request, "late")).await;
    eventually(|| client.metrics().late_replies == 1).await;
}

#[tokio::test]
async fn a_request_that_could_not_be_sent_by_its_time_is_not_sent() {
    let script = Script::start().await;
    let client = script.client().start().unwrap();
    let request = client.request("service", "x", Duration::from_millis(20));
    let error = soon(request).await.unwrap_err();
    assert!(matches!(error, RequestError::TimedOut { .. }));
    let mut conn = script.accept().await;
    assert_eq!(conn.before_echo().await, []);
    assert_eq!(client.metrics().queued_messages, 0);
}

/// The server is asked for it, and what it gives stands before the Client Identifier.
#[tokio::test]
async fn response_information_is_asked_for_and_used() {
    let script = Script::start().await;
    let client = script.client().start().unwrap();
    let (mut conn, connect) = script.connect().await;
    assert_eq!(
        connect.properties.request_response_information(),
        Some(true)
    );
    let mut properties = ConnAckProperties::default();
    properties.set_response_information(&"tenants/7/".try_into().unwrap());
    conn.answer(false, ReasonCode::Success, properties).await;
    let waiting = ask(&client, "x");
    assert_eq!(grant(&mut conn).await, "tenants/7/c");
    let request = asked(&mut conn).await;
    assert_eq!(request.properties.response_topic(), Some("tenants/7/c"));
    conn.send(answer(&request, "y")).await;
    assert_eq!(text(&soon(waiting).await.unwrap().unwrap()), "y");
}

#[tokio::test]
async fn one_subscription_serves_all_requests_and_begins_as_it_is_told() {
    let script = Script::start().await;
    let builder = script.client().response_prefix("answers");
    let (client, mut conn) = script.pair_of(builder).await;
    for n in 0..3 {
        let waiting = ask(&client, "x");
        if n == 0 {
            assert_eq!(grant(&mut conn).await, "answers/c");
        }
        let request = asked(&mut conn).await;
        conn.send(answer(&request, "y")).await;
        soon(waiting).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_server_that_forbids_the_response_topic_is_told_and_asked_again() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let waiting = ask(&client, "x");
    let subscribe = conn.subscribe().await;
    conn.suback(subscribe.packet_id, [ReasonCode::NotAuthorized])
        .await;
    let error = soon(waiting).await.unwrap().unwrap_err();
    let RequestError::Subscribe(SubscribeError::Refused { filter, reason }) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(
        (filter.as_str(), *reason),
        ("ohmqtt/replies/c", ReasonCode::NotAuthorized)
    );
    assert!(error.to_string().contains("response_prefix"), "{error}");
    let unsubscribe = conn.unsubscribe().await;
    conn.unsuback(&unsubscribe).await;
    let waiting = ask(&client, "x");
    grant(&mut conn).await;
    let request = asked(&mut conn).await;
    conn.send(answer(&request, "y")).await;
    soon(waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_refuses_the_message_says_why() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let waiting = ask(&client, "x");
    grant(&mut conn).await;
    let Delivery::AtLeastOnce { packet_id, .. } = conn.publish().await.delivery else {
        panic!("requests are QoS 1");
    };
    let mut ack = Ack::new(packet_id);
    ack.reason = ReasonCode::QuotaExceeded;
    conn.send(Packet::PubAck(ack)).await;
    let error = soon(waiting).await.unwrap().unwrap_err();
    assert!(matches!(
        error,
        RequestError::Refused {
            reason: ReasonCode::QuotaExceeded,
            ..
        }
    ));
}

#[tokio::test]
async fn a_request_goes_on_over_a_broken_connection() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let waiting = ask(&client, "x");
    grant(&mut conn).await;
    let request = conn.publish().await;
    drop(conn);
    // Not acknowledged, it comes again; and the answer reaches the third connection.
    let mut conn = script.resume().await;
    let again = asked(&mut conn).await;
    assert_eq!(
        again.topic,
        PublishTopic::Name(TopicName::new("service").unwrap())
    );
    assert_eq!(again.properties, request.properties);
    conn.before_echo().await;
    drop(conn);
    let mut conn = script.resume().await;
    conn.send(answer(&request, "y")).await;
    assert_eq!(text(&soon(waiting).await.unwrap().unwrap()), "y");
}

/// Of what waits to be sent the subscription goes first.
#[tokio::test]
async fn a_new_session_knows_the_response_topic_before_the_next_request_comes() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let waiting = ask(&client, "x");
    let topic = grant(&mut conn).await;
    let request = asked(&mut conn).await;
    conn.send(answer(&request, "y")).await;
    soon(waiting).await.unwrap().unwrap();
    drop(conn);
    let mut conn = script.accept().await;
    assert_eq!(grant(&mut conn).await, topic);
    let waiting = ask(&client, "x");
    let request = asked(&mut conn).await;
    conn.send(answer(&request, "z")).await;
    assert_eq!(text(&soon(waiting).await.unwrap().unwrap()), "z");
}

#[tokio::test]
async fn closing_ends_requests_and_none_are_made_afterwards() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let waiting = ask(&client, "x");
    grant(&mut conn).await;
    asked(&mut conn).await;
    let (_, _) = tokio::join!(soon(client.close(PATIENCE)), conn.goodbye());
    let error = soon(waiting).await.unwrap().unwrap_err();
    assert!(matches!(error, RequestError::Closed), "{error}");
    let error = soon(client.request("service", "x", PATIENCE)).await;
    assert!(matches!(error, Err(RequestError::Closed)));
}

#[tokio::test]
async fn requests_that_were_answered_do_not_keep_the_client_alive() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let waiting = ask(&client, "x");
    grant(&mut conn).await;
    let request = asked(&mut conn).await;
    conn.send(answer(&request, "y")).await;
    soon(waiting).await.unwrap().unwrap();
    drop(client);
    conn.goodbye().await;
}

#[tokio::test]
async fn a_request_that_is_none_is_told_at_once() {
    let broker = broker().await;
    let client = client(&broker).await;
    let error = soon(client.request("a/#", "x", PATIENCE)).await;
    assert!(matches!(
        error,
        Err(RequestError::Publish(PublishError::Topic(_)))
    ));
    let error = soon(client.request("a", "x", PATIENCE).with(|publish| {
        let data = vec![0; 70_000];
        publish.correlation_data(data)
    }))
    .await;
    assert!(matches!(
        error,
        Err(RequestError::Publish(PublishError::Value { .. }))
    ));
    // At QoS 0 nobody is told that nobody listens.
    let short = client.request("a", "x", Duration::from_millis(20));
    let error = soon(short.qos(Qos::AtMostOnce)).await;
    assert!(matches!(error, Err(RequestError::TimedOut { .. })));
}

#[tokio::test]
async fn a_request_whose_session_is_lost_is_lost() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let waiting = ask(&client, "x");
    grant(&mut conn).await;
    conn.publish().await;
    drop(conn);
    let _conn = script.accept().await;
    let error = soon(waiting).await.unwrap().unwrap_err();
    assert!(matches!(
        error,
        RequestError::Lost(LostMessage::SessionLost)
    ));
}

#[tokio::test]
async fn a_client_asks_itself_inside_a_stream() {
    let broker = broker().await;
    let client = client(&broker).await;
    let mut outer = soon(client.subscribe("outer")).await.unwrap();
    let mut inner = soon(client.subscribe("inner")).await.unwrap();
    tokio::spawn(async move {
        while let Some(request) = inner.recv().await {
            request.reply("within").await.unwrap();
        }
    });
    client.publish("outer", "go").await.unwrap();
    next(&mut outer).await;
    let reply = soon(client.request("inner", "x", PATIENCE)).await.unwrap();
    assert_eq!(text(&reply), "within");
}

#[test]
fn a_callback_of_the_blocking_client_makes_requests() {
    use ohmqtt_client::blocking::Client;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let broker = runtime.block_on(broker());
    let service = Client::connect(broker.url()).unwrap();
    let requests = service.subscribe("service").send().unwrap();
    let _answers = requests.on_message(|request| {
        request.reply("answered").send().unwrap();
    });
    let client = Client::connect(broker.url()).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let asking = client.clone();
    let inbox = client.subscribe("go").send().unwrap();
    let _callback = inbox.on_message(move |_| {
        let request = asking.request("service", "x", PATIENCE);
        let request = request.with(|publish| publish.content_type("text/plain"));
        tell.send(request.qos(Qos::ExactlyOnce).send()).unwrap();
    });
    client.publish("go", "").send().unwrap();
    let reply = told.recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!(reply.payload, "answered");
    let nobody = client.request("nowhere", "x", PATIENCE).send();
    assert!(matches!(nobody, Err(RequestError::NobodyListens { .. })));
}
