//! Nothing a user does with a client inside a callback, inside the loop over a stream, or on another thread waits for itself: on
//! either runtime of tokio, and with the blocking client.

use std::future::Future;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use ohmqtt_broker::Broker;
use ohmqtt_client::{Client, Message, Qos, Subscription, blocking};
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::support::text;

/// What is done in less than a second has hung after this time.
const HUNG: Duration = Duration::from_secs(60);

/// How many messages a test publishes where the outbox has room for two.
const MANY: usize = 20;

/// Runs it on a thread of its own, and says what hung.
fn runs<R: Send + 'static>(what: &str, run: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, finished) = channel();
    let thread = thread::spawn(move || {
        let _ = done.send(run());
    });
    match finished.recv_timeout(HUNG) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("hung: {what}"),
        Err(RecvTimeoutError::Disconnected) => {
            let panic = thread.join().expect_err("it has not finished");
            std::panic::resume_unwind(panic)
        }
    }
}

/// A broker on a runtime of its own, so that what hangs is the client.
struct Served {
    url: String,
    _stop: oneshot::Sender<()>,
}

fn served() -> Served {
    let (ready, url) = channel();
    let (stop, stopped) = oneshot::channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let broker = Broker::builder().listen("mqtt://127.0.0.1:0");
            let broker = broker.start().await.unwrap();
            ready.send(broker.url().to_owned()).unwrap();
            let _ = stopped.await;
        });
    });
    let url = url.recv_timeout(HUNG).unwrap();
    Served { url, _stop: stop }
}

/// Runs it with a client whose outbox has room for two messages, on either runtime of tokio.
fn on_each_runtime<F: Future<Output = ()>>(
    what: &str,
    run: impl FnOnce(Client) -> F + Clone + Send + 'static,
) {
    for name in ["current-thread", "multi-thread"] {
        let (served, run) = (served(), run.clone());
        let act = move || {
            let mut builder = match name {
                "current-thread" => Builder::new_current_thread(),
                _ => Builder::new_multi_thread(),
            };
            let runtime = builder.worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let client = Client::builder(served.url.as_str()).outbox(2, 10_000);
                run(client.connect().await.unwrap()).await;
            });
            // What still runs has its own test; a hung callback is not to hang the end of the runtime.
            runtime.shutdown_background();
        };
        runs(&format!("{what}, on a {name} runtime"), act);
    }
}

/// Runs it with the same client for programs without a runtime.
fn blocking(what: &str, run: impl FnOnce(blocking::Client) + Send + 'static) {
    let served = served();
    let act = move || {
        let builder = Client::builder(served.url.as_str()).outbox(2, 10_000);
        run(blocking::Client::with(builder).unwrap());
    };
    runs(&format!("{what}, with the blocking client"), act);
}

/// Publishes more than the outbox has room for, then waits for the last acknowledgement.
async fn publish(client: &Client) {
    let mut last = None;
    for n in 0..MANY {
        let publish = client.publish("other", n.to_string());
        last = Some(publish.qos(Qos::ExactlyOnce).await.unwrap());
    }
    let last = last.unwrap();
    assert!(!last.acked().await.unwrap().reason.is_error());
}

/// Makes a subscription, and receives on it.
async fn subscribe(client: &Client) {
    let mut inbox = client.subscribe("new").await.unwrap();
    let publish = client.publish("new", "hello").qos(Qos::AtLeastOnce);
    publish.await.unwrap();
    assert_eq!(text(&inbox.recv().await.unwrap()), "hello");
}

/// Has a message come for the callback or the stream of a test.
async fn wake(client: &Client, text: &'static str) {
    let publish = client.publish("t", text).qos(Qos::AtLeastOnce);
    publish.await.unwrap();
}

#[test]
fn a_loop_over_a_stream_may_use_the_client() {
    on_each_runtime("in the loop over a stream", |client| async move {
        let mut inbox = client.subscribe("t").await.unwrap();
        wake(&client, "publish").await;
        while let Some(message) = inbox.recv().await {
            match text(&message) {
                "publish" => {
                    publish(&client).await;
                    wake(&client, "subscribe").await;
                }
                "subscribe" => {
                    subscribe(&client).await;
                    wake(&client, "task").await;
                }
                "task" => {
                    let task = tokio::spawn({
                        let client = client.clone();
                        async move { publish(&client).await }
                    });
                    task.await.unwrap();
                    wake(&client, "close").await;
                }
                _ => {
                    client.close(HUNG).await;
                }
            }
        }
    });
}

/// A stream that nobody reads, full of messages whose acknowledgements wait, holds up no message of the client's own.
#[test]
fn publishing_does_not_wait_for_what_is_not_read() {
    on_each_runtime("publishing what is not read", |client| async move {
        let mut inbox = client.subscribe("other").await.unwrap();
        publish(&client).await;
        for n in 0..MANY {
            assert_eq!(text(&inbox.recv().await.unwrap()), n.to_string());
        }
    });
}

/// Gives the messages of a stream to a callback that does this, and says when it was done once.
fn once(inbox: Subscription, act: impl FnOnce(Message) + Send + 'static) -> oneshot::Receiver<()> {
    let (done, finished) = oneshot::channel();
    let mut act = Some((act, done));
    let call = move |message| {
        let (act, done) = act.take().expect("one message");
        act(message);
        let _ = done.send(());
    };
    inbox.on_message(call).unwrap().forget();
    finished
}

/// A callback of the client does this, and nothing hangs.
fn check_callback(what: &str, act: impl FnOnce(Client) + Clone + Send + 'static) {
    on_each_runtime(what, |client| async move {
        let inbox = client.subscribe("t").await.unwrap();
        let own = client.clone();
        let done = once(inbox, move |_| act(own));
        wake(&client, "x").await;
        done.await.unwrap();
    });
}

#[test]
fn a_callback_may_publish_and_wait() {
    check_callback("publishing in a callback", |client| {
        Handle::current().block_on(publish(&client));
        let publication = Handle::current()
            .block_on(async { client.publish("other", "x").qos(Qos::AtLeastOnce).await });
        publication.unwrap().wait_acked(HUNG).unwrap();
    });
}

#[test]
fn a_callback_may_subscribe_and_receive() {
    check_callback("subscribing in a callback", |client| {
        Handle::current().block_on(subscribe(&client));
    });
}

#[test]
fn a_callback_may_have_another_callback_and_drop_it() {
    check_callback("a callback in a callback", |client| {
        let inbox = Handle::current().block_on(async { client.subscribe("new").await });
        let callback = inbox.unwrap().on_message(|_| ()).unwrap();
        Handle::current().block_on(publish(&client));
        drop(callback);
    });
}

#[test]
fn a_callback_may_close_its_client() {
    check_callback("closing in a callback", |client| {
        let closed = Handle::current().block_on(client.close(HUNG));
        assert_eq!(closed.unacknowledged, 0);
    });
}

#[test]
fn a_callback_may_spawn_tasks() {
    check_callback("spawning in a callback", |client| {
        let task = tokio::spawn(async move { publish(&client).await });
        Handle::current().block_on(task).unwrap();
    });
}

#[test]
fn a_callback_may_start_threads_that_use_the_client() {
    check_callback("threads in a callback", |client| {
        let runtime = Handle::current();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (client, runtime) = (client.clone(), runtime.clone());
                thread::spawn(move || runtime.block_on(publish(&client)))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_callback_may_drop_the_last_handle() {
    on_each_runtime("the last handle in a callback", |client| async move {
        let mut events = client.events();
        let inbox = client.subscribe("t").await.unwrap();
        let (give, given) = channel();
        let done = once(inbox, move |_| drop::<Client>(given.recv().unwrap()));
        let publish = client.publish("t", "x").qos(Qos::AtLeastOnce);
        let publication = publish.send().unwrap();
        give.send(client).unwrap();
        done.await.unwrap();
        // It closes, and delivers before.
        while events.recv().await.is_some() {}
        publication.acked().await.unwrap();
    });
}

/// The guard of a callback, dropped by the callback itself.
#[test]
fn a_callback_may_end_itself_and_with_it_the_client() {
    on_each_runtime("a callback that ends itself", |client| async move {
        let mut events = client.events();
        let inbox = client.subscribe("t").await.unwrap();
        let (give, given) = channel();
        let (sender, mut calls) = unbounded_channel();
        let callback = inbox.on_message(end_itself(given, sender)).unwrap();
        give.send(callback).unwrap();
        wake(&client, "1").await;
        wake(&client, "2").await;
        drop(client);
        assert_eq!(calls.recv().await.as_deref(), Some("1"));
        assert_eq!(calls.recv().await, None);
        while events.recv().await.is_some() {}
    });
}

fn end_itself<C: Send + 'static>(
    given: Receiver<C>,
    calls: UnboundedSender<String>,
) -> impl FnMut(Message) + Send + 'static {
    move |message| {
        let _ = calls.send(text(&message).to_owned());
        drop(given.recv_timeout(HUNG).unwrap());
    }
}

#[test]
fn other_threads_may_use_the_client_while_its_runtime_works() {
    on_each_runtime("other threads", |client| async move {
        let mut inbox = client.subscribe("t").await.unwrap();
        let runtime = Handle::current();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (client, runtime) = (client.clone(), runtime.clone());
                let act = move || {
                    runtime.block_on(publish(&client));
                    runtime.block_on(wake(&client, "done"));
                };
                thread::spawn(act)
            })
            .collect();
        for _ in &threads {
            inbox.recv().await.unwrap();
        }
        // A thread that holds up the runtime is the user's affair: these have nothing left to do.
        for thread in threads {
            thread.join().unwrap();
        }
        client.close(HUNG).await;
    });
}

/// As [`publish`], without a runtime.
fn publish_blocking(client: &blocking::Client) {
    for n in 0..MANY {
        let publish = client.publish("other", n.to_string());
        let publication = publish.qos(Qos::ExactlyOnce).send().unwrap();
        if n + 1 == MANY {
            publication.wait_acked(HUNG).unwrap();
        }
    }
}

/// As [`subscribe`], without a runtime.
fn subscribe_blocking(client: &blocking::Client) {
    let mut inbox = client.subscribe("new").send().unwrap();
    let publish = client.publish("new", "hello").qos(Qos::AtLeastOnce);
    publish.send().unwrap();
    assert_eq!(text(&inbox.recv().unwrap()), "hello");
}

fn wake_blocking(client: &blocking::Client, text: &'static str) {
    let publish = client.publish("t", text).qos(Qos::AtLeastOnce);
    publish.send().unwrap();
}

#[test]
fn a_blocking_loop_over_a_stream_may_use_the_client() {
    blocking("in the loop over a stream", |client| {
        let mut inbox = client.subscribe("t").send().unwrap();
        wake_blocking(&client, "publish");
        for message in &mut inbox {
            match text(&message) {
                "publish" => {
                    publish_blocking(&client);
                    wake_blocking(&client, "subscribe");
                }
                "subscribe" => {
                    subscribe_blocking(&client);
                    wake_blocking(&client, "close");
                }
                _ => {
                    client.close(HUNG);
                }
            }
        }
    });
}

#[test]
fn a_callback_may_use_the_blocking_client() {
    blocking("in a callback", |client| {
        let inbox = client.subscribe("t").send().unwrap();
        let own = client.clone();
        let (done, finished) = channel();
        let call = move |message: Message| {
            match text(&message) {
                "publish" => publish_blocking(&own),
                "subscribe" => subscribe_blocking(&own),
                "task" => drop(tokio::spawn(async {})),
                _ => assert_eq!(own.close(HUNG).unacknowledged, 0),
            }
            done.send(text(&message).to_owned()).unwrap();
        };
        inbox.on_message(call).unwrap().forget();
        for what in ["publish", "subscribe", "task", "close"] {
            wake_blocking(&client, what);
            let did = finished.recv_timeout(HUNG);
            assert_eq!(did.as_deref(), Ok(what), "hung: {what} in a callback");
        }
    });
}

#[test]
fn a_callback_may_end_itself_and_with_it_the_blocking_client() {
    blocking("a callback that ends itself", |client| {
        let mut events = client.events();
        let inbox = client.subscribe("t").send().unwrap();
        let (give, given) = channel();
        let (sender, mut calls) = unbounded_channel();
        let callback = inbox.on_message(end_itself(given, sender)).unwrap();
        give.send(callback).unwrap();
        wake_blocking(&client, "1");
        drop(client);
        assert_eq!(calls.blocking_recv().as_deref(), Some("1"));
        assert_eq!(calls.blocking_recv(), None);
        while events.recv().is_some() {}
    });
}

#[test]
fn threads_may_share_the_blocking_client() {
    blocking("threads", |client| {
        let threads: Vec<_> = (0..4)
            .map(|n| {
                let client = client.clone();
                thread::spawn(move || {
                    let filter = format!("new/{n}");
                    let mut inbox = client.subscribe(&filter).send().unwrap();
                    publish_blocking(&client);
                    let publish = client.publish(filter.as_str(), "x");
                    publish.qos(Qos::AtLeastOnce).send().unwrap();
                    assert_eq!(text(&inbox.recv().unwrap()), "x");
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        client.close(HUNG);
    });
}
