//! The examples, each as the process that a newcomer starts, against the embedded broker.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use ohmqtt_broker::{Broker, Durability, MemoryStore};
use ohmqtt_client::{Client, Qos, Subscription};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::support::{broker, client, free_port, next, soon, text};

/// An example that runs. It is killed when it is dropped.
struct Example {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// What it has printed so far.
    printed: Vec<String>,
}

impl Example {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let program = program(name);
        let mut command = Command::new(&program);
        command.args(arguments).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| {
            let program = program.display();
            panic!("{program}: {error}; `cargo test -p ohmqtt-client` builds it, with `--test` it is not")
        });
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            lines,
            printed: Vec::new(),
        }
    }

    /// The next line that begins so; those before it are passed over.
    async fn line(&mut self, begin: &str) -> String {
        loop {
            let line = soon(self.lines.next_line()).await.unwrap();
            let Some(line) = line else {
                let error = self.error().await;
                panic!("no line '{begin}' but {:?}; {error}", self.printed);
            };
            self.printed.push(line.clone());
            if line.starts_with(begin) {
                return line;
            }
        }
    }

    /// All that it prints until it ends, and how it ends.
    async fn end(mut self) -> (ExitStatus, Vec<String>, String) {
        drop(self.child.stdin.take());
        while let Some(line) = soon(self.lines.next_line()).await.unwrap() {
            self.printed.push(line);
        }
        let error = self.error().await;
        let status = soon(self.child.wait()).await.unwrap();
        (status, self.printed, error)
    }

    /// All that it prints until it ends, as it should.
    async fn succeed(self) -> Vec<String> {
        let (status, printed, error) = self.end().await;
        assert!(status.success(), "{status}: {printed:?}; {error}");
        printed
    }

    /// What it says of its failure.
    async fn error(&mut self) -> String {
        let mut said = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            soon(stderr.read_to_string(&mut said)).await.unwrap();
        }
        said
    }

    /// Without a chance to say anything.
    async fn kill(mut self) {
        soon(self.child.kill()).await.unwrap();
    }

    /// Ctrl-C.
    #[cfg(unix)]
    async fn interrupt(&self) {
        let id = self.child.id().expect("it runs").to_string();
        let kill = Command::new("kill").args(["-INT", &id]).status();
        assert!(soon(kill).await.unwrap().success());
    }
}

/// Where cargo has built it: beside this test's own folder.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    profile.join("examples").join(file)
}

/// Somebody else who hears what arrives at a broker. The client is to be kept.
async fn listen(broker: &Broker, filter: &str) -> (Client, Subscription) {
    let client = client(broker).await;
    let inbox = soon(client.subscribe(filter)).await.unwrap();
    (client, inbox)
}

/// The payloads that have arrived, up to and without a message of our own.
async fn arrived(inbox: &mut Subscription, from: &Client, topic: &str) -> Vec<String> {
    let end = from.publish(topic, "the end").qos(Qos::AtLeastOnce);
    soon(end).await.unwrap();
    let mut payloads = Vec::new();
    loop {
        let message = next(inbox).await;
        if message.payload == "the end" {
            return payloads;
        }
        payloads.push(text(&message).to_owned());
    }
}

/// From 1 to this one.
fn numbers(last: usize) -> Vec<String> {
    (1..=last).map(|number| number.to_string()).collect()
}

fn readings() -> Vec<String> {
    (1..=10)
        .map(|n| format!("{:.1}", 20.0 + f64::from(n) / 10.0))
        .collect()
}

#[tokio::test]
async fn publish_tells_what_the_broker_said_of_each_message() {
    let broker = broker().await;
    let url = broker.url();
    let printed = Example::start("publish", &[url, "alone"]).succeed().await;
    assert_eq!(printed[0], "alone: 20.1: No matching subscribers (0x10)");

    let (client, mut inbox) = listen(&broker, "a/b").await;
    let printed = Example::start("publish", &[url, "a/b"]).succeed().await;
    let mut want: Vec<_> = readings()
        .iter()
        .map(|n| format!("a/b: {n}: Success (0x00)"))
        .collect();
    want.push("closed, 0 messages left".to_owned());
    assert_eq!(printed, want);
    assert_eq!(arrived(&mut inbox, &client, "a/b").await, readings());
}

#[tokio::test]
async fn an_example_without_a_broker_says_where_it_looked() {
    let (status, _, error) = Example::start("publish", &["mqtt://127.0.0.1:1"])
        .end()
        .await;
    assert!(!status.success());
    assert!(error.contains("127.0.0.1:1"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn subscribe_shows_messages_until_ctrl_c() {
    let broker = broker().await;
    let mut example = Example::start("subscribe", &[broker.url(), "a/#"]);
    example.line("connected to ").await;
    let client = client(&broker).await;
    let message = client
        .publish("a/b", "21.5")
        .qos(Qos::AtLeastOnce)
        .retain(true);
    // Whether its subscription stands by then or not, it gets what is retained.
    soon(message.user_property("unit", "K")).await.unwrap();
    assert!(example.line("a/b: 21.5").await.contains("AtLeastOnce"));
    example.line("  unit: K").await;
    example.interrupt().await;
    assert_eq!(example.succeed().await.last().unwrap(), "closed");
}

#[tokio::test]
async fn blocking_reads_on_one_thread_what_it_publishes_on_another() {
    let broker = broker().await;
    let (client, mut inbox) = listen(&broker, "greetings/#").await;
    let mut printed = Example::start("blocking", &[broker.url()]).succeed().await;
    assert_eq!(printed.pop().unwrap(), "closed, 0 messages left");
    let greetings = ["good morning", "good afternoon", "good night"];
    let lines = |begin: &str| {
        let lines = printed.iter().filter_map(|line| line.strip_prefix(begin));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        lines("received "),
        greetings.map(|text| format!("{text}, on greetings/all"))
    );
    assert_eq!(
        lines("published "),
        greetings.map(|text| format!("{text}: Success (0x00)"))
    );
    assert_eq!(
        arrived(&mut inbox, &client, "greetings/all").await,
        greetings
    );
}

#[cfg(feature = "redb")]
#[tokio::test]
async fn durable_queue_loses_nothing_it_accepted_when_it_is_killed() {
    const LINES: usize = 5000;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("queue.redb");
    let broker = broker().await;
    let (client, mut inbox) = listen(&broker, "queue/lines").await;
    let arguments = [broker.url(), file.to_str().unwrap()];

    let mut example = Example::start("durable_queue", &arguments);
    let lines = numbers(LINES).join("\n") + "\n";
    let stdin = example.child.stdin.as_mut().unwrap();
    stdin.write_all(lines.as_bytes()).await.unwrap();
    stdin.flush().await.unwrap();
    example.line("0 lines from before").await;
    example.line("accepted 40").await;
    example.kill().await;

    let printed = Example::start("durable_queue", &arguments).succeed().await;
    let last = printed.last().unwrap();
    assert!(last.starts_with("closed, 0 lines left"), "{last}");

    let arrived = arrived(&mut inbox, &client, "queue/lines").await;
    // It may have accepted more than it came to say. Each has come once and in order.
    assert!(arrived.len() >= 40, "{arrived:?}");
    assert_eq!(arrived, numbers(arrived.len()));
}

#[tokio::test]
async fn shared_workers_do_each_job_once_however_often_they_are_started() {
    let broker = broker().await;
    for _ in 0..2 {
        let mut printed = Example::start("shared_workers", &[broker.url()])
            .succeed()
            .await;
        assert_eq!(printed.pop().unwrap(), "all 12 jobs are done");
        let mut jobs: Vec<_> = printed
            .iter()
            .map(|line| line.rsplit_once(' ').unwrap().1)
            .collect();
        jobs.sort_by_key(|job| job.parse::<u32>().unwrap());
        assert_eq!(jobs, numbers(12));
        for worker in 1..=3 {
            let begin = format!("worker {worker} has done");
            assert!(
                printed.iter().any(|line| line.starts_with(&begin)),
                "{printed:?}"
            );
        }
    }
}

#[tokio::test]
async fn request_reply_gives_each_question_its_own_answer() {
    let broker = broker().await;
    let (client, mut inbox) = listen(&broker, "service/add").await;
    let printed = Example::start("request_reply", &[broker.url()])
        .succeed()
        .await;
    let want = [
        "1 + 1 = 2",
        "1 + 1 + 2 = 4",
        "1 + two + 3 = invalid digit found in string",
        "request to 'service/subtract': nobody has subscribed to that topic; is the service running?",
    ];
    assert_eq!(printed, want);
    let mut asked = arrived(&mut inbox, &client, "service/add").await;
    asked.sort();
    assert_eq!(asked, ["1 + 1", "1 + 1 + 2", "1 + two + 3"]);
}

#[tokio::test]
async fn manual_ack_gets_again_what_it_forgot() {
    let broker = broker().await;
    let (client, mut inbox) = listen(&broker, "orders").await;
    let printed = Example::start("manual_ack", &[broker.url()])
        .succeed()
        .await;
    let want = [
        "ordered: tea",
        "ordered: coffee",
        "ordered: soup",
        "coffee is refused: we have none",
        "tea is served",
        "soup is forgotten",
        "the client says: a message on orders was not acknowledged",
        "ordered: soup",
        "soup is served",
    ];
    assert_eq!(printed, want);
    // It came again from its session: nobody published it twice.
    assert_eq!(
        arrived(&mut inbox, &client, "orders").await,
        ["tea", "coffee", "soup"]
    );
}

#[tokio::test]
async fn last_will_says_of_a_device_that_was_killed_that_it_is_lost() {
    let broker = broker().await;
    let (_client, mut inbox) = listen(&broker, "devices/+/status").await;
    let mut example = Example::start("last_will", &[broker.url(), "lamp"]);
    example.line("devices/lamp/status: online").await;
    assert_eq!(text(&next(&mut inbox).await), "online");
    example.kill().await;
    assert_eq!(text(&next(&mut inbox).await), "lost");
    // Who comes later learns it, too.
    let (_client, mut later) = listen(&broker, "devices/lamp/status").await;
    let message = next(&mut later).await;
    assert_eq!((text(&message), message.retain), ("lost", true));
}

#[tokio::test]
async fn last_will_takes_its_will_with_it_when_it_is_ended_in_order() {
    let broker = broker().await;
    let (client, mut inbox) = listen(&broker, "devices/+/status").await;
    let mut example = Example::start("last_will", &[broker.url(), "lamp"]);
    example.line("Enter ends it").await;
    example.succeed().await;
    let arrived = arrived(&mut inbox, &client, "devices/lamp/status").await;
    assert_eq!(arrived, ["online", "offline"]);
}

#[cfg(feature = "tls")]
mod tls {
    use std::path::Path;

    use ohmqtt_broker::ListenOptions;

    use super::*;
    use crate::support::certs::Authority;

    fn write(folder: &Path, name: &str, pem: &str) -> String {
        let path = folder.join(name);
        std::fs::write(&path, pem).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A broker at `localhost`, whose clients have to show a certificate if it is `strict`.
    async fn secure(authority: &Authority, strict: bool) -> Broker {
        let identity = authority.issue("broker", &["localhost"]).identity();
        let mut options = ListenOptions::from(identity);
        if strict {
            options = options.require_client_certificates(authority.certificates());
        }
        let broker = Broker::builder().listen_with("mqtts://localhost:0", options);
        broker.start().await.unwrap()
    }

    #[tokio::test]
    async fn tls_client_trusts_the_authority_it_is_given_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let broker = secure(&authority, false).await;
        let right = write(folder.path(), "right.pem", &authority.pem);
        let printed = Example::start("tls_client", &[broker.url(), &right])
            .succeed()
            .await;
        assert_eq!(printed.last().unwrap(), "received: nobody else reads this");

        let wrong = write(folder.path(), "wrong.pem", &Authority::new().pem);
        let example = Example::start("tls_client", &[broker.url(), &wrong]);
        let (status, printed, error) = example.end().await;
        assert!(!status.success() && printed.is_empty(), "{printed:?}");
        assert!(error.to_lowercase().contains("certificate"), "{error}");
    }

    #[tokio::test]
    async fn tls_client_shows_the_certificate_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let broker = secure(&authority, true).await;
        let trusted = write(folder.path(), "ca.pem", &authority.pem);
        let issued = authority.issue("client", &[]);
        let certificate = write(folder.path(), "client.pem", &issued.certificate);
        let key = write(folder.path(), "client.key", &issued.key);

        let example = Example::start("tls_client", &[broker.url(), &trusted]);
        let (status, printed, _) = example.end().await;
        assert!(!status.success(), "{printed:?}");
        let arguments = [broker.url(), &trusted, &certificate, &key];
        let printed = Example::start("tls_client", &arguments).succeed().await;
        assert_eq!(printed.last().unwrap(), "received: nobody else reads this");
    }
}

/// A broker that can be stopped and started again with all it knew.
async fn lasting(url: &str, store: &MemoryStore) -> Broker {
    soon(async {
        loop {
            let broker = Broker::builder().listen(url);
            // Its port may still be in the hands of the one before.
            match broker.store(store.clone(), Durability::Safe).start().await {
                Ok(broker) => return broker,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

/// Where such a broker listens: at a port that nobody gets meanwhile.
fn lasting_url() -> String {
    format!("mqtt://127.0.0.1:{}", free_port())
}

/// As [`listen`], for longer than the broker.
async fn listen_on(url: &str, filter: &str) -> (Client, Subscription) {
    let backoff = Duration::from_millis(10);
    let client = Client::builder(url)
        .client_id("listener")
        .backoff(backoff, backoff);
    let client = soon(client.connect()).await.unwrap();
    let inbox = soon(client.subscribe(filter)).await.unwrap();
    (client, inbox)
}

#[cfg(feature = "redb")]
#[tokio::test]
async fn telemetry_gateway_keeps_the_newest_of_each_topic_until_there_is_a_broker() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.redb");
    let store = MemoryStore::default();
    let broker = lasting(&lasting_url(), &store).await;
    let url = broker.url().to_owned();
    let (client, mut inbox) = listen_on(&url, "gateway/#").await;
    broker.shutdown(Duration::ZERO).await;

    let mut example = Example::start("telemetry_gateway", &[&url, file.to_str().unwrap()]);
    let took = example.line("took ").await;
    assert_eq!(
        took,
        "took 301 messages, 281 made room for newer ones, 20 wait"
    );
    assert!(
        example
            .printed
            .iter()
            .any(|line| line.starts_with("still offline: "))
    );

    let _broker = lasting(&url, &store).await;
    example.line("connected to ").await;
    let printed = example.succeed().await;
    assert_eq!(printed.last().unwrap(), "closed, 0 messages left");
    let mut want = vec!["open".to_owned()];
    want.extend((282..=300).map(|minute| format!("21.5 in minute {minute}")));
    assert_eq!(arrived(&mut inbox, &client, "gateway/end").await, want);
}

#[cfg(unix)]
#[tokio::test]
async fn failover_goes_on_at_the_second_broker_and_loses_no_tick() {
    let (store, two) = (MemoryStore::default(), broker().await);
    let one = lasting(&lasting_url(), &store).await;
    let url = one.url().to_owned();
    let (first, mut at_one) = listen_on(&url, "failover/ticks").await;
    let (second, mut at_two) = listen_on(two.url(), "failover/ticks").await;

    let mut example = Example::start("failover", &[&url, two.url()]);
    let line = example.line("connected to ").await;
    assert!(line.ends_with(&url), "{line}");
    let mut ticks = vec![text(&next(&mut at_one).await).to_owned()];
    one.shutdown(Duration::ZERO).await;
    example.line("lost: ").await;
    let line = example.line("connected to ").await;
    assert!(line.ends_with(two.url()), "{line}");
    // The first tick may come once more: its acknowledgement may have died with the first broker.
    while ticks.iter().all(|tick| *tick == ticks[0]) {
        ticks.push(text(&next(&mut at_two).await).to_owned());
    }
    example.interrupt().await;
    let printed = example.succeed().await;

    // What the first had taken and not delivered, it delivers now.
    let _one = lasting(&url, &store).await;
    ticks.extend(arrived(&mut at_one, &first, "failover/ticks").await);
    ticks.extend(arrived(&mut at_two, &second, "failover/ticks").await);
    let last = printed.last().unwrap();
    for number in 1.. {
        if *last == format!("closed after {} ticks, 0 left", number - 1) {
            assert!(number > 2);
            return;
        }
        assert!(
            ticks.contains(&format!("tick {number}")),
            "{number}, {last}: {ticks:?}"
        );
    }
}
