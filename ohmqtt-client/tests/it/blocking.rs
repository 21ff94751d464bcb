//! The blocking client: the same facts, from threads.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use ohmqtt_broker::Broker;
use ohmqtt_client::blocking::Client;
use ohmqtt_client::{
    Connect, ConnectionState, Connector, Endpoint, Event, PublishError, Qos, ReasonCode,
    SubscribeError, Transport, TransportError, WaitError,
};
use tokio::runtime::Runtime;

const PATIENCE: Duration = Duration::from_secs(60);

/// An embedded broker and the runtime it runs on.
fn broker() -> (Runtime, Broker) {
    let runtime = Runtime::new().unwrap();
    let broker = runtime.block_on(crate::support::broker());
    (runtime, broker)
}

#[test]
fn messages_go_out_and_come_in_at_each_qos() {
    let (_runtime, broker) = broker();
    let client = Client::connect(broker.url()).unwrap();
    let mut inbox = client.subscribe("t").send().unwrap();
    assert_eq!(inbox.granted().unwrap(), [ReasonCode::GrantedQos2]);
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let publication = client.publish("t", "x").qos(qos).send().unwrap();
        publication.wait_accepted(PATIENCE).unwrap();
        publication.wait_sent(PATIENCE).unwrap();
        let ack = publication.wait_acked(PATIENCE).unwrap();
        assert_eq!(ack.reason, ReasonCode::Success);
        assert_eq!(inbox.recv_timeout(PATIENCE).unwrap().qos, qos);
    }
    assert!(inbox.try_recv().is_none());
    assert!(inbox.recv_timeout(Duration::from_millis(1)).is_none());
    assert_eq!(client.close(PATIENCE).unacknowledged, 0);
    assert!(matches!(client.state(), ConnectionState::Closed { .. }));
    assert!(inbox.recv().is_none());
}

#[test]
fn options_arrive_and_states_and_unclaimed_messages_are_waited_for() {
    let (_runtime, broker) = broker();
    let client = Client::connect(broker.url()).unwrap();
    let mut inbox = client.subscribe("t").send().unwrap();
    let publish = client.publish("t", "x").qos(Qos::AtLeastOnce);
    let publish = publish.content_type("text/plain").user_property("a", "b");
    let publish = publish.response_topic("r").correlation_data("c");
    publish.expiry(PATIENCE).send().unwrap();
    let properties = inbox.recv_timeout(PATIENCE).unwrap().properties;
    assert_eq!(properties.content_type(), Some("text/plain"));
    assert_eq!(properties.user_properties().next(), Some(("a", "b")));
    assert_eq!(properties.response_topic(), Some("r"));
    assert_eq!(properties.correlation_data(), Some(&b"c"[..]));
    assert!(properties.message_expiry_interval().is_some());
    assert_eq!((inbox.dropped(), client.store_error().is_none()), (0, true));
    let mut unclaimed = client.unclaimed();
    assert!(unclaimed.recv_timeout(Duration::from_millis(1)).is_none());
    let is_closed = |state: &ConnectionState| matches!(state, ConnectionState::Closed { .. });
    assert!(!is_closed(
        &client.wait_for(Duration::from_millis(1), is_closed)
    ));
    let closer = client.clone();
    thread::spawn(move || closer.close(PATIENCE));
    assert!(is_closed(&client.wait_for(PATIENCE, is_closed)));
}

#[test]
fn a_subscription_is_an_iterator_that_ends_with_the_client() {
    let (_runtime, broker) = broker();
    let client = Client::connect(broker.url()).unwrap();
    let inbox = client.subscribe("t").send().unwrap();
    for n in 0..10 {
        let publish = client.publish("t", n.to_string());
        publish.qos(Qos::AtLeastOnce).send().unwrap();
    }
    let reader = thread::spawn(move || {
        let texts = inbox.map(|message| String::from_utf8(message.payload.to_vec()).unwrap());
        texts.collect::<Vec<_>>()
    });
    // The reader has had them all when nothing waits for its acknowledgement.
    until(|| client.metrics().received == 10 && client.metrics().unacknowledged == 0);
    client.close(PATIENCE);
    let want: Vec<_> = (0..10).map(|n| n.to_string()).collect();
    assert_eq!(reader.join().unwrap(), want);
}

fn until(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "this hangs");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn many_threads_use_one_client() {
    let (_runtime, broker) = broker();
    let client = Client::connect(broker.url()).unwrap();
    let threads: Vec<_> = (0..8)
        .map(|n| {
            let client = client.clone();
            thread::spawn(move || {
                let topic = format!("t/{n}");
                let mut inbox = client.subscribe(&topic).send().unwrap();
                for m in 0..50 {
                    let publish = client.publish(topic.as_str(), m.to_string());
                    let publication = publish.qos(Qos::AtLeastOnce).send().unwrap();
                    publication.wait_acked(PATIENCE).unwrap();
                    let message = inbox.recv_timeout(PATIENCE).unwrap();
                    assert_eq!(message.payload, m.to_string());
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(client.metrics().received, 8 * 50);
}

#[test]
fn send_waits_for_room_and_try_send_does_not() {
    let runtime = Runtime::new().unwrap();
    let (script, url) = runtime.block_on(async {
        let script = crate::support::script::Script::start().await;
        let url = script.client().outbox(1, 1000);
        (script, url)
    });
    let (released, release) = channel();
    let server = thread::spawn(move || {
        runtime.block_on(async {
            let mut conn = script.accept().await;
            for n in 0..2 {
                let publish = conn.publish().await;
                assert_eq!(publish.payload, n.to_string());
                let _: () = release.recv().unwrap();
                conn.ack(&publish).await;
            }
            conn.goodbye().await;
        });
    });
    let client = Client::with(url).unwrap();
    let first = client
        .publish("t", "0")
        .qos(Qos::AtLeastOnce)
        .try_send()
        .unwrap();
    let full = client.publish("t", "full").qos(Qos::AtLeastOnce).try_send();
    assert!(matches!(full, Err(PublishError::Full(_))), "{full:?}");
    let short = first.wait_acked(Duration::from_millis(1));
    assert_eq!(short, Err(WaitError::TimedOut));
    let waits = thread::spawn({
        let client = client.clone();
        move || {
            client
                .publish("t", "1")
                .qos(Qos::AtLeastOnce)
                .send()
                .unwrap()
        }
    });
    released.send(()).unwrap();
    first.wait_acked(PATIENCE).unwrap();
    let second = waits.join().unwrap();
    released.send(()).unwrap();
    second.wait_acked(PATIENCE).unwrap();
    client.close(PATIENCE);
    server.join().unwrap();
}

#[test]
fn a_subscription_may_be_declared_before_the_connection() {
    let (_runtime, broker) = broker();
    let client = Client::start(ohmqtt_client::Client::builder(broker.url())).unwrap();
    let mut inbox = client.subscribe("t").and("u").declare().unwrap();
    assert_eq!(inbox.granted().unwrap().len(), 2);
    client
        .publish("u", "x")
        .qos(Qos::AtLeastOnce)
        .send()
        .unwrap();
    assert_eq!(inbox.recv_timeout(PATIENCE).unwrap().payload, "x");
}

#[test]
fn events_are_told_from_the_beginning_on_to_who_asked_before() {
    let (_runtime, broker) = broker();
    let builder = ohmqtt_client::Client::builder(broker.url());
    let beginning = builder.events();
    let client = Client::with(builder).unwrap();
    let mut events = client.events_from(beginning);
    assert!(matches!(
        events.recv_timeout(PATIENCE),
        Some(Event::Connected { .. })
    ));
    let mut late = client.events();
    client.close(PATIENCE);
    for events in [&mut events, &mut late] {
        assert!(matches!(events.next(), Some(Event::Closed { .. })));
        assert!(events.next().is_none());
    }
}

#[test]
fn errors_are_those_of_the_async_client() {
    let (_runtime, broker) = broker();
    let client = Client::connect(broker.url()).unwrap();
    assert!(matches!(
        client.publish("a/#", "x").send(),
        Err(PublishError::Topic(_))
    ));
    assert!(matches!(
        client.subscribe("a#").send(),
        Err(SubscribeError::Filter(_))
    ));
    client.close(PATIENCE);
    assert!(matches!(
        client.publish("t", "x").send(),
        Err(PublishError::Closed(_))
    ));
    assert!(matches!(
        client.subscribe("t").send(),
        Err(SubscribeError::Closed)
    ));
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

/// Tells when its thread ends.
struct Last(Sender<()>);

impl Drop for Last {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// Connects, and leaves word on the thread it was asked on.
struct Marks(Connector, Sender<()>);

impl Connect for Marks {
    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
    ) -> Pin<Box<dyn Future<Output = Result<Box<dyn Transport>, TransportError>> + Send + 'a>> {
        LAST.set(Some(Last(self.1.clone())));
        self.0.connect(to)
    }
}

fn marked(broker: &Broker) -> (Client, Receiver<()>) {
    let (sender, ended) = channel();
    let builder = ohmqtt_client::Client::builder(broker.url());
    let client = Client::with(builder.connector(Marks(Connector::new(), sender))).unwrap();
    (client, ended)
}

#[test]
fn dropping_the_client_ends_its_thread_and_delivers_before() {
    let (_runtime, broker) = broker();
    let (client, ended) = marked(&broker);
    let publication = client
        .publish("t", "x")
        .qos(Qos::ExactlyOnce)
        .try_send()
        .unwrap();
    let clone = client.clone();
    drop(client);
    assert!(ended.try_recv().is_err());
    drop(clone);
    ended.recv_timeout(PATIENCE).unwrap();
    let ack = publication.wait_acked(Duration::ZERO).unwrap();
    assert!(!ack.reason.is_error());
}

#[test]
fn a_subscription_keeps_the_thread_and_may_be_the_last_to_go() {
    let (_runtime, broker) = broker();
    let (client, ended) = marked(&broker);
    let mut inbox = client.subscribe("t").send().unwrap();
    drop(client);
    let writer = Client::connect(broker.url()).unwrap();
    writer
        .publish("t", "x")
        .qos(Qos::AtLeastOnce)
        .send()
        .unwrap();
    assert_eq!(inbox.recv_timeout(PATIENCE).unwrap().payload, "x");
    drop(inbox);
    ended.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn a_failed_connect_leaves_no_thread_behind() {
    let (sender, ended) = channel();
    let builder = ohmqtt_client::Client::builder("mqtt://127.0.0.1:1");
    let error = Client::with(builder.connector(Marks(Connector::new(), sender))).unwrap_err();
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    ended.recv_timeout(PATIENCE).unwrap();
}
