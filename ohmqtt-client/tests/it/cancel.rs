//! Futures that are dropped at every await point: what was given stays given, what was not is not half done, and everything goes on.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ohmqtt_broker::Broker;
use ohmqtt_client::{Client, ClientBuilder, ConnectionState, Qos, Subscription};

use crate::support::script::Script;
use crate::support::{accepted, broker, client, eventually, next, soon, text};

/// How many polls are tried: more than any of these futures takes.
const POLLS: usize = 12;

/// Polls a future as often as it asks for it, but at most so many times, and drops it then.
struct Cancelled<F> {
    future: Option<Pin<Box<F>>>,
    polls: usize,
}

impl<F: Future> Future for Cancelled<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        if self.polls == 0 {
            self.future = None;
            return Poll::Ready(None);
        }
        self.polls -= 1;
        let Some(future) = &mut self.future else {
            return Poll::Ready(None);
        };
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.polls == 0 => {
                self.future = None;
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

/// The result, when it took no more than so many polls. What waits for something that does not come is dropped after a moment.
async fn cancelled<F: IntoFuture>(future: F, polls: usize) -> Option<F::Output> {
    let cancelled = Cancelled {
        future: Some(Box::pin(future.into_future())),
        polls,
    };
    let moment = Duration::from_millis(20);
    tokio::time::timeout(moment, cancelled).await.ok().flatten()
}

/// Publishing, receiving and closing work, nothing is queued and nothing waits for an acknowledgement.
async fn check_whole(client: &Client) {
    let topic = format!("check/{}", client.client_id());
    let mut inbox = soon(client.subscribe(&topic)).await.unwrap();
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let publication = soon(client.publish(topic.as_str(), "x").qos(qos))
            .await
            .unwrap();
        soon(publication.acked()).await.unwrap();
        assert_eq!(next(&mut inbox).await.qos, qos);
    }
    eventually(|| {
        let metrics = client.metrics();
        metrics.queued_messages == 0 && metrics.in_flight == 0 && metrics.unacknowledged == 0
    })
    .await;
    drop(inbox);
    let closed = soon(client.close(Duration::from_secs(30))).await;
    assert_eq!(closed.unacknowledged, 0);
}

/// Runs a check with every number of polls after which its future is dropped.
async fn each(mut check: impl AsyncFnMut(usize)) {
    for polls in 0..POLLS {
        soon(check(polls)).await;
    }
}

async fn named(broker: &Broker, id: &str) -> Client {
    soon(builder(broker, id).connect()).await.unwrap()
}

fn builder(broker: &Broker, id: &str) -> ClientBuilder {
    Client::builder(broker.url()).client_id(id)
}

#[tokio::test]
async fn connect_may_be_dropped() {
    let broker = &broker().await;
    each(async |polls| {
        let connected = cancelled(builder(broker, "c").connect(), polls).await;
        // The same name again: whatever is left of the first attempt is no obstacle.
        drop(connected);
        check_whole(&named(broker, "c").await).await;
    })
    .await;
}

#[tokio::test]
async fn publish_may_be_dropped_and_the_message_is_there_once_or_not_at_all() {
    let broker = &broker().await;
    let reader = client(broker).await;
    let mut inbox = soon(reader.subscribe("t/+")).await.unwrap();
    each(async |polls| {
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
            let client = client(broker).await;
            let topic = format!("t/{polls}");
            let taken = cancelled(client.publish(topic.as_str(), "x").qos(qos), polls).await;
            let mark = client.publish(topic.as_str(), "mark").qos(Qos::AtLeastOnce);
            soon(soon(mark).await.unwrap().acked()).await.unwrap();
            let mut came = 0;
            while text(&next(&mut inbox).await) != "mark" {
                came += 1;
            }
            assert!(came <= 1);
            assert!(came == 1 || taken.is_none(), "taken and lost");
            check_whole(&client).await;
        }
    })
    .await;
}

#[tokio::test]
async fn publish_waiting_for_room_may_be_dropped_and_others_have_their_turn() {
    each(async |polls| {
        let script = Script::start().await;
        let (client, mut conn) = script.pair_of(script.client().outbox(1, 1000)).await;
        accepted(&client, "t", "0", Qos::AtLeastOnce);
        let waits = client.publish("t", "given up").qos(Qos::AtLeastOnce);
        assert!(cancelled(waits, polls).await.is_none());
        let waits = tokio::spawn({
            let client = client.clone();
            async move { client.publish("t", "1").qos(Qos::AtLeastOnce).await }
        });
        for n in 0..2 {
            let publish = conn.publish().await;
            assert_eq!(publish.payload, n.to_string());
            conn.ack(&publish).await;
        }
        soon(soon(waits).await.unwrap().unwrap().acked())
            .await
            .unwrap();
        assert_eq!(client.metrics().queued_messages, 0);
    })
    .await;
}

#[tokio::test]
async fn waits_on_a_publication_may_be_dropped() {
    each(async |polls| {
        let script = Script::start().await;
        let (client, mut conn) = script.pair().await;
        let publication = accepted(&client, "t", "x", Qos::AtLeastOnce);
        cancelled(publication.accepted(), polls).await;
        cancelled(publication.sent(), polls).await;
        assert!(cancelled(publication.acked(), polls).await.is_none());
        let publish = conn.publish().await;
        conn.ack(&publish).await;
        soon(publication.acked()).await.unwrap();
        soon(publication.sent()).await.unwrap();
        soon(publication.accepted()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn subscribe_may_be_dropped_and_leaves_no_subscription() {
    each(async |polls| {
        let script = Script::start().await;
        let (client, mut conn) = script.pair().await;
        let dropped = cancelled(client.subscribe("t"), polls).await;
        assert!(dropped.is_none(), "nobody answered");
        let packets = conn.before_echo().await;
        // Nothing was asked, or it was taken back.
        assert!(packets.len() == 2 || packets.is_empty(), "{packets:?}");
        let inbox = client.subscribe("t").send().unwrap();
        let subscribe = conn.subscribe().await;
        conn.grant(&subscribe).await;
        soon(inbox.granted()).await.unwrap();
        assert_eq!(client.metrics().unacknowledged, 0);
    })
    .await;
}

#[tokio::test]
async fn granted_may_be_dropped() {
    let broker = &broker().await;
    each(async |polls| {
        let client = client(broker).await;
        let inbox = client.subscribe("t").send().unwrap();
        cancelled(inbox.granted(), polls).await;
        soon(inbox.granted()).await.unwrap();
        check_whole(&client).await;
    })
    .await;
}

#[tokio::test]
async fn recv_may_be_dropped_and_no_message_is_lost() {
    let broker = &broker().await;
    let writer = &client(broker).await;
    each(async |polls| {
        let reader = client(broker).await;
        let mut inbox = soon(reader.subscribe("t")).await.unwrap();
        let publish = async |text: &'static str| {
            let publish = writer.publish("t", text).qos(Qos::ExactlyOnce);
            soon(soon(publish).await.unwrap().acked()).await.unwrap();
        };
        // Before there is a message, while it comes, and when it is there.
        let mut came = Vec::new();
        came.extend(cancelled(inbox.recv(), polls).await);
        let (message, ()) = tokio::join!(cancelled(inbox.recv(), polls), publish("1"));
        came.extend(message);
        publish("2").await;
        came.extend(cancelled(inbox.recv(), polls).await);
        while came.len() < 2 {
            came.push(soon(inbox.recv()).await);
        }
        let texts: Vec<_> = came.iter().flatten().map(text).collect();
        assert_eq!(texts, ["1", "2"]);
        assert!(inbox.try_recv().is_none());
        drop(inbox);
        check_whole(&reader).await;
    })
    .await;
}

#[tokio::test]
async fn recv_of_the_unclaimed_may_be_dropped_and_no_message_is_lost() {
    each(async |polls| {
        let script = Script::start().await;
        let (client, mut conn) = script.pair().await;
        let mut unclaimed = client.unclaimed();
        assert!(cancelled(unclaimed.recv(), polls).await.is_none());
        conn.deliver("t", "x", Qos::AtLeastOnce, 1).await;
        conn.before_echo().await;
        let message = match cancelled(unclaimed.recv(), polls).await {
            Some(message) => message,
            None => soon(unclaimed.recv()).await,
        };
        assert_eq!(text(&message.unwrap()), "x");
        conn.puback(1).await;
    })
    .await;
}

#[tokio::test]
async fn wait_for_may_be_dropped() {
    let broker = &broker().await;
    each(async |polls| {
        let client = builder(broker, "c").start().unwrap();
        let connected =
            |state: &ConnectionState| matches!(state, ConnectionState::Connected { .. });
        cancelled(client.wait_for(connected), polls).await;
        soon(client.wait_for(connected)).await;
        check_whole(&client).await;
    })
    .await;
}

#[tokio::test]
async fn close_may_be_dropped_and_the_client_closes_all_the_same() {
    let broker = &broker().await;
    each(async |polls| {
        let client = client(broker).await;
        let publication = accepted(&client, "t", "x", Qos::ExactlyOnce);
        cancelled(client.close(Duration::from_secs(30)), polls).await;
        if polls == 0 {
            // It was never polled, so nothing was asked for.
            return check_whole(&client).await;
        }
        let closed = |state: &ConnectionState| matches!(state, ConnectionState::Closed { .. });
        soon(client.wait_for(closed)).await;
        soon(publication.acked()).await.unwrap();
        assert_eq!(soon(client.close(Duration::ZERO)).await.unacknowledged, 0);
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_not_read_on_loses_nothing() {
    let broker = &broker().await;
    let writer = &client(broker).await;
    each(async |polls| {
        let reader = client(broker).await;
        let mut inbox: Subscription = soon(reader.subscribe("t")).await.unwrap();
        let item =
            std::future::poll_fn(|cx| futures_core::Stream::poll_next(Pin::new(&mut inbox), cx));
        assert!(cancelled(item, polls).await.is_none());
        soon(writer.publish("t", "x").qos(Qos::AtLeastOnce))
            .await
            .unwrap();
        assert_eq!(text(&next(&mut inbox).await), "x");
        drop(inbox);
        check_whole(&reader).await;
    })
    .await;
}
