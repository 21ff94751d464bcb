//! Callbacks: what they are given and when that is acknowledged, what their panics do, and what they cost.

use std::collections::BTreeSet;
use std::panic::panic_any;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use ohmqtt_client::{Event, Events, Message, Qos, ReasonCode};
use ohmqtt_codec::{Ack, Packet, PacketId};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::support::script::Script;
use crate::support::{eventually, next, soon, text};

/// What callbacks were given, in order. It ends with the last of them.
type Given = UnboundedReceiver<String>;

/// A callback that tells what it is given.
fn teller() -> (impl FnMut(Message) + Send + 'static, Given) {
    let (sender, given) = unbounded_channel();
    (tell(sender), given)
}

fn tell(sender: UnboundedSender<String>) -> impl FnMut(Message) + Send + 'static {
    move |message| {
        let _ = sender.send(text(&message).to_owned());
    }
}

/// A callback that tells what it is given, and then waits to be let go.
fn waiter() -> (impl FnMut(Message) + Send + 'static, Given, Sender<()>) {
    let (mut tell, given) = teller();
    let (go, gone) = channel();
    let wait = move |message| {
        tell(message);
        wait(&gone);
    };
    (wait, given, go)
}

fn wait(gone: &Receiver<()>) {
    gone.recv_timeout(Duration::from_secs(60)).unwrap();
}

async fn takes(given: &mut Given, wanted: &str) {
    assert_eq!(soon(given.recv()).await.as_deref(), Some(wanted));
}

/// The callbacks that could tell more are gone.
async fn ended(mut given: Given) {
    assert_eq!(soon(given.recv()).await, None);
}

fn puback(id: u16) -> Packet {
    Packet::PubAck(Ack::new(PacketId::new(id).unwrap()))
}

#[tokio::test]
async fn messages_that_waited_come_first_and_in_order() {
    let script = Script::start().await;
    let (_client, mut conn, inbox) = script.subscribed("t").await;
    conn.deliver("t", "1", Qos::AtLeastOnce, 1).await;
    conn.deliver("t", "2", Qos::AtMostOnce, 0).await;
    conn.deliver("t", "3", Qos::ExactlyOnce, 2).await;
    assert_eq!(conn.before_echo().await, []);
    let (tell, mut given) = teller();
    let _callback = inbox.on_message(tell).unwrap();
    conn.deliver("t", "4", Qos::AtMostOnce, 0).await;
    for n in ["1", "2", "3", "4"] {
        takes(&mut given, n).await;
    }
    // PUBACK and PUBREC each have an order of their own.
    let answers = [conn.recv().await, conn.recv().await];
    let received = Ack::new(PacketId::new(2).unwrap());
    assert!(answers.contains(&puback(1)), "{answers:?}");
    assert!(answers.contains(&Packet::PubRec(received)), "{answers:?}");
}

#[tokio::test]
async fn a_message_is_acknowledged_after_its_callback_has_returned() {
    let script = Script::start().await;
    let (_client, mut conn, inbox) = script.subscribed("t").await;
    let (wait, mut given, go) = waiter();
    let _callback = inbox.on_message(wait).unwrap();
    conn.deliver("t", "1", Qos::AtLeastOnce, 1).await;
    takes(&mut given, "1").await;
    assert_eq!(conn.before_echo().await, []);
    go.send(()).unwrap();
    assert_eq!(conn.puback(1).await, ReasonCode::Success);
}

#[tokio::test]
async fn a_callback_may_acknowledge_by_itself_at_once_or_later() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let inbox = client.subscribe("t").manual_ack().send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    let (sender, mut kept) = unbounded_channel();
    let (go, gone) = channel();
    let act = move |message: Message| match text(&message) {
        "at once" => {
            message.ack();
            wait(&gone);
        }
        "never" => message.reject(ReasonCode::NotAuthorized),
        _ => sender.send(message).unwrap(),
    };
    let _callback = inbox.on_message(act).unwrap();
    conn.deliver("t", "at once", Qos::AtLeastOnce, 1).await;
    // While the callback runs.
    assert_eq!(conn.puback(1).await, ReasonCode::Success);
    go.send(()).unwrap();
    conn.deliver("t", "later", Qos::AtLeastOnce, 2).await;
    conn.deliver("t", "never", Qos::AtLeastOnce, 3).await;
    let message = soon(kept.recv()).await.unwrap();
    assert_eq!(conn.before_echo().await, []);
    message.ack();
    assert_eq!(conn.puback(2).await, ReasonCode::Success);
    assert_eq!(conn.puback(3).await, ReasonCode::NotAuthorized);
    assert_eq!(client.metrics().abandoned, 0);
}

/// What the next panic said.
async fn panicked(events: &mut Events) -> String {
    match soon(events.recv()).await {
        Some(Event::CallbackPanicked { topic, panic }) if topic.as_str() == "t" => panic,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_panic_is_told_its_message_refused_and_the_next_one_given() {
    let script = Script::start().await;
    let (client, mut conn, inbox) = script.subscribed("t").await;
    let mut events = client.events();
    let (mut tell, mut given) = teller();
    let act = move |message: Message| match text(&message) {
        "fixed" => panic!("so be it"),
        "formatted" => panic!("{} it is", message.qos as u8),
        "odd" => panic_any(5),
        _ => tell(message),
    };
    let _callback = inbox.on_message(act).unwrap();
    conn.deliver("t", "fixed", Qos::AtLeastOnce, 1).await;
    conn.deliver("t", "formatted", Qos::ExactlyOnce, 2).await;
    conn.deliver("t", "odd", Qos::AtMostOnce, 0).await;
    conn.deliver("t", "good", Qos::AtLeastOnce, 3).await;
    let refused = ReasonCode::ImplementationSpecificError;
    assert_eq!(refused as u8, 0x83);
    let mut answers = Vec::new();
    for _ in 0..3 {
        match conn.recv().await {
            Packet::PubAck(ack) | Packet::PubRec(ack) => {
                answers.push((ack.packet_id.get(), ack.reason));
            }
            other => panic!("{other:?}"),
        }
    }
    // PUBACK and PUBREC each have an order of their own.
    answers.sort_by_key(|(id, _)| *id);
    assert_eq!(
        answers,
        [(1, refused), (2, refused), (3, ReasonCode::Success)]
    );
    takes(&mut given, "good").await;
    assert_eq!(panicked(&mut events).await, "so be it");
    assert_eq!(panicked(&mut events).await, "2 it is");
    assert_eq!(panicked(&mut events).await, "a value that is no text");
    assert_eq!(client.metrics().abandoned, 0);
}

#[tokio::test]
async fn what_a_callback_acknowledged_before_it_panicked_stays_acknowledged() {
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    let inbox = client.subscribe("t").manual_ack().send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    let mut events = client.events();
    let act = |message: Message| {
        message.ack();
        panic!("too late");
    };
    let _callback = inbox.on_message(act).unwrap();
    conn.deliver("t", "x", Qos::AtLeastOnce, 1).await;
    assert_eq!(conn.puback(1).await, ReasonCode::Success);
    assert_eq!(panicked(&mut events).await, "too late");
    assert_eq!(conn.before_echo().await, []);
}

#[tokio::test]
async fn dropping_a_callback_ends_its_calls_and_its_subscription() {
    let script = Script::start().await;
    let (client, mut conn, inbox) = script.subscribed("t").await;
    let (tell, mut given) = teller();
    let callback = inbox.on_message(tell).unwrap();
    conn.deliver("t", "1", Qos::AtLeastOnce, 1).await;
    takes(&mut given, "1").await;
    conn.puback(1).await;
    drop(callback);
    let unsubscribe = conn.unsubscribe().await;
    let left: Vec<_> = unsubscribe.filters.iter().collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].as_str(), "t");
    // What was under way comes to nobody's callback.
    conn.deliver("t", "2", Qos::AtLeastOnce, 2).await;
    let message = soon(client.unclaimed().recv()).await.unwrap();
    assert_eq!(text(&message), "2");
    // The function is gone, and with it what it held.
    ended(given).await;
}

#[tokio::test]
async fn dropping_a_callback_does_not_wait_for_a_call_that_runs() {
    let script = Script::start().await;
    let (client, mut conn, inbox) = script.subscribed("t").await;
    let (wait, mut given, go) = waiter();
    let callback = inbox.on_message(wait).unwrap();
    conn.deliver("t", "1", Qos::AtLeastOnce, 1).await;
    conn.deliver("t", "2", Qos::AtLeastOnce, 2).await;
    takes(&mut given, "1").await;
    conn.before_echo().await;
    drop(callback);
    conn.unsubscribe().await;
    go.send(()).unwrap();
    conn.puback(1).await;
    ended(given).await;
    // What the callback was not given waits for another reader.
    assert_eq!(conn.before_echo().await, []);
    let message = soon(client.unclaimed().recv()).await.unwrap();
    assert_eq!(text(&message), "2");
    conn.puback(2).await;
}

#[tokio::test]
async fn a_forgotten_callback_goes_on_and_does_not_keep_the_client() {
    let script = Script::start().await;
    let (client, mut conn, inbox) = script.subscribed("t").await;
    let (tell, mut given) = teller();
    inbox.on_message(tell).unwrap().forget();
    conn.deliver("t", "1", Qos::AtLeastOnce, 1).await;
    takes(&mut given, "1").await;
    conn.puback(1).await;
    drop(client);
    conn.goodbye().await;
    drop(conn);
    ended(given).await;
}

#[tokio::test]
async fn a_callback_that_is_held_keeps_its_client() {
    let script = Script::start().await;
    let (client, mut conn, inbox) = script.subscribed("t").await;
    let (tell, mut given) = teller();
    let callback = inbox.on_message(tell).unwrap();
    drop(client);
    conn.deliver("t", "1", Qos::AtLeastOnce, 1).await;
    takes(&mut given, "1").await;
    conn.puback(1).await;
    drop(callback);
    conn.unsubscribe().await;
    conn.goodbye().await;
    drop(conn);
    ended(given).await;
}

#[tokio::test]
async fn a_closed_client_gives_its_callbacks_what_still_waits() {
    let script = Script::start().await;
    let (client, mut conn, inbox) = script.subscribed("t").await;
    let (wait, mut given, go) = waiter();
    let _callback = inbox.on_message(wait).unwrap();
    conn.deliver("t", "1", Qos::AtMostOnce, 0).await;
    conn.deliver("t", "2", Qos::AtMostOnce, 0).await;
    takes(&mut given, "1").await;
    conn.before_echo().await;
    let serve = async {
        conn.goodbye().await;
        drop(conn);
    };
    tokio::join!(soon(client.close(Duration::ZERO)), serve);
    go.send(()).unwrap();
    takes(&mut given, "2").await;
    go.send(()).unwrap();
    ended(given).await;
}

#[tokio::test]
async fn a_slow_callback_holds_up_other_callbacks_and_nothing_else() {
    let script = Script::start().await;
    let builder = script.client().keep_alive(Duration::from_secs(3));
    let (client, mut conn) = script.pair_of(builder).await;
    // On a busy machine some come sooner.
    conn.answers_pings = true;
    let mut inboxes = Vec::new();
    for filter in ["slow", "quick", "stream"] {
        inboxes.push(client.subscribe(filter).send().unwrap());
        let subscribe = conn.subscribe().await;
        conn.grant(&subscribe).await;
    }
    let [slow, quick, mut stream] = <[_; 3]>::try_from(inboxes).unwrap();
    let (wait, mut slow_given, go) = waiter();
    let _slow = slow.on_message(wait).unwrap();
    let (tell, mut quick_given) = teller();
    let _quick = quick.on_message(tell).unwrap();
    conn.deliver("slow", "1", Qos::AtMostOnce, 0).await;
    takes(&mut slow_given, "1").await;
    conn.deliver("quick", "2", Qos::AtMostOnce, 0).await;
    conn.deliver("stream", "3", Qos::AtLeastOnce, 3).await;
    assert_eq!(text(&next(&mut stream).await), "3");
    conn.puback(3).await;
    let publish = client.publish("t", "x").qos(Qos::AtLeastOnce);
    let publication = soon(publish).await.unwrap();
    let published = conn.publish().await;
    conn.ack(&published).await;
    soon(publication.acked()).await.unwrap();
    // The server is asked whether it is there, and told that the client is.
    conn.answers_pings = false;
    assert_eq!(conn.recv().await, Packet::PingReq);
    conn.send(Packet::PingResp).await;
    assert_eq!(conn.recv().await, Packet::PingReq);
    assert!(quick_given.try_recv().is_err());
    go.send(()).unwrap();
    takes(&mut quick_given, "2").await;
}

#[tokio::test]
async fn a_callback_with_much_to_do_leaves_others_their_turn() {
    let script = Script::start().await;
    let (client, mut conn, busy) = script.subscribed("busy").await;
    let rare = client.subscribe("rare").send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    for n in 0..500 {
        conn.deliver("busy", &n.to_string(), Qos::AtMostOnce, 0)
            .await;
    }
    conn.deliver("rare", "rare", Qos::AtMostOnce, 0).await;
    conn.before_echo().await;
    let (sender, mut given) = unbounded_channel();
    let (go, gone) = channel();
    let (mut all, mut first) = (tell(sender.clone()), true);
    let act = move |message| {
        if std::mem::take(&mut first) {
            wait(&gone);
        }
        all(message);
    };
    let _busy = busy.on_message(act).unwrap();
    let _rare = rare.on_message(tell(sender)).unwrap();
    go.send(()).unwrap();
    let mut order = Vec::new();
    for _ in 0..501 {
        order.push(soon(given.recv()).await.unwrap());
    }
    let at = order.iter().position(|text| text == "rare").unwrap();
    assert!(at < 100, "after {at} others");
    order.remove(at);
    let busy: Vec<_> = (0..500).map(|n| n.to_string()).collect();
    assert_eq!(order, busy);
}

#[tokio::test]
async fn callbacks_of_two_subscriptions_share_one_acknowledgement() {
    let script = Script::start().await;
    let (client, mut conn, one) = script.subscribed("a/#").await;
    let other = client.subscribe("a/b").send().unwrap();
    let subscribe = conn.subscribe().await;
    conn.grant(&subscribe).await;
    let (wait, mut given, go) = waiter();
    let _one = one.on_message(wait).unwrap();
    let (tell, mut told) = teller();
    let _other = other.on_message(tell).unwrap();
    conn.deliver("a/b", "x", Qos::AtLeastOnce, 1).await;
    takes(&mut given, "x").await;
    assert_eq!(conn.before_echo().await, []);
    go.send(()).unwrap();
    takes(&mut told, "x").await;
    assert_eq!(conn.recv().await, puback(1));
    assert_eq!(conn.before_echo().await, []);
}

/// Tells when its thread ends.
struct Last(Sender<()>);

impl Drop for Last {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

thread_local! {
    static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
}

#[tokio::test]
async fn the_thread_of_callbacks_ends_with_the_last_and_comes_back_with_the_next() {
    let script = Script::start().await;
    let (client, mut conn, inbox) = script.subscribed("t").await;
    let mut inbox = Some(inbox);
    for id in 1..=2 {
        let (sender, last) = channel();
        let (mut tell, mut given) = teller();
        let mark = move |message| {
            LAST.set(Some(Last(sender.clone())));
            tell(message);
        };
        let callback = inbox.take().unwrap().on_message(mark).unwrap();
        conn.deliver("t", "x", Qos::AtLeastOnce, id).await;
        takes(&mut given, "x").await;
        conn.puback(id).await;
        assert!(last.try_recv().is_err());
        drop(callback);
        let end = move || last.recv_timeout(Duration::from_secs(60));
        let ended = tokio::task::spawn_blocking(end).await.unwrap();
        ended.expect("the thread ends");
        let unsubscribe = conn.unsubscribe().await;
        conn.unsuback(&unsubscribe).await;
        inbox = Some(client.subscribe("t").send().unwrap());
        let subscribe = conn.subscribe().await;
        conn.grant(&subscribe).await;
    }
}

/// Says that this process is the other one of the next test, where no other test has callbacks.
#[cfg(target_os = "linux")]
const ALONE: &str = "OHMQTT_TEST_CALLBACKS_ALONE";

/// How many threads of this process run callbacks. The system keeps 15 letters of a name.
#[cfg(target_os = "linux")]
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
    };
    tasks
        .filter_map(name)
        .filter(|name| name.trim() == "ohmqtt-callback")
        .count()
}

#[cfg(target_os = "linux")]
#[test]
fn a_thousand_callbacks_cost_one_thread() {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let this = "callback::counts_the_threads_of_a_thousand_callbacks";
    child.args(["--exact", this]).env(ALONE, "");
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

/// The other process. Unless it is told so it does nothing.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn counts_the_threads_of_a_thousand_callbacks() {
    if std::env::var(ALONE).is_err() {
        return;
    }
    let script = Script::start().await;
    let (client, mut conn) = script.pair().await;
    assert_eq!(threads(), 0);
    let (sender, mut given) = unbounded_channel();
    let mut callbacks = Vec::new();
    for n in 0..1000 {
        let inbox = client.subscribe(format!("t/{n}")).send().unwrap();
        let subscribe = conn.subscribe().await;
        conn.grant(&subscribe).await;
        callbacks.push(inbox.on_message(tell(sender.clone())).unwrap());
    }
    for n in 0..1000 {
        let n = n.to_string();
        conn.deliver(&format!("t/{n}"), &n, Qos::AtMostOnce, 0)
            .await;
    }
    // Each in its turn: a callback that has not had its first one yet may come before others that were woken later.
    let mut told = BTreeSet::new();
    while told.len() < 1000 {
        told.extend(soon(given.recv()).await);
    }
    assert_eq!(told, (0..1000).map(|n: u32| n.to_string()).collect());
    assert_eq!(threads(), 1);
    let last = callbacks.pop();
    callbacks.clear();
    assert_eq!(threads(), 1);
    drop(last);
    eventually(|| threads() == 0).await;
}
