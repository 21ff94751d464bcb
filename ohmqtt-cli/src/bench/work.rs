//! What is done over and over, by each of the clients.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ohmqtt_client::{Client, ConnectionState, Message, Publication, Subscription, TopicName};

use super::recorder::Recorder;
use super::{BenchArgs, Kind};
use crate::failure::{Failure, lost_code};

/// How long a client may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// What a payload of `bench pub` begins with, the time behind it.
const STAMP: &[u8; 8] = b"ohmqtt1\0";

/// A client that is connected and has what it needs.
pub(super) struct Worker {
    args: Arc<BenchArgs>,
    recorder: Arc<Recorder>,
    topic: TopicName,
    client: Option<Client>,
    messages: Option<Subscription>,
}

/// Connects, and subscribes where that is needed.
pub(super) async fn prepare(
    args: Arc<BenchArgs>,
    number: usize,
    recorder: Arc<Recorder>,
) -> Result<Worker, Failure> {
    let mut topic = args.topic.clone();
    if args.kind == Kind::Pingpong {
        // Each its own, so that it hears itself alone.
        topic = format!("{topic}/{}-{number}", std::process::id());
    }
    let mut client = None;
    let mut messages = None;
    if args.kind != Kind::Conn {
        let connected = args.builder(number)?.connect().await?;
        if matches!(args.kind, Kind::Sub | Kind::Pingpong) {
            messages = Some(connected.subscribe(&topic).qos(args.qos).await?);
        }
        client = Some(connected);
    }
    let topic = match args.kind {
        // A filter, which is not published to.
        Kind::Sub | Kind::Conn => TopicName::new("none"),
        Kind::Pub | Kind::Pingpong => TopicName::new(&topic),
    };
    let topic = topic.map_err(|error| Failure::usage(format!("publish: {error}")))?;
    Ok(Worker {
        args,
        recorder,
        topic,
        client,
        messages,
    })
}

impl BenchArgs {
    /// A client of its own name.
    fn builder(&self, number: usize) -> Result<ohmqtt_client::ClientBuilder, Failure> {
        let mut builder = self.connection.target()?.builder;
        if let Some(prefix) = &self.connection.id_prefix {
            builder = builder.client_id(&format!("{prefix}{}-{number}", std::process::id()));
        }
        Ok(builder)
    }
}

impl Worker {
    /// Works until the deadline, and says goodbye.
    pub(super) async fn work(mut self, deadline: Instant) -> Result<(), Failure> {
        let result = match (&self.client, &mut self.messages) {
            (None, _) => return self.connecting(deadline).await,
            (Some(client), None) => self.publishing(client, deadline).await,
            (Some(client), Some(messages)) => {
                let (args, recorder) = (&self.args, &self.recorder);
                if args.kind == Kind::Sub {
                    taking(client, messages, recorder, deadline).await
                } else {
                    let payload = payload(args.size);
                    let publish = || {
                        client
                            .publish(self.topic.clone(), payload.clone())
                            .qos(args.qos)
                    };
                    loop {
                        let began = Instant::now();
                        if began >= deadline {
                            break Ok(());
                        }
                        publish().await?;
                        match until(deadline, messages.recv()).await {
                            None => break Ok(()),
                            Some(None) => break Err(closed(client)),
                            Some(Some(message)) => {
                                recorder.record(message.payload.len(), Some(began.elapsed()));
                            }
                        }
                    }
                }
            }
        };
        if let Some(client) = &self.client {
            client.close(GOODBYE).await;
        }
        result
    }

    /// As many on their way as may be; each is over when it is acknowledged, at QoS 0 when it is sent.
    async fn publishing(&self, client: &Client, deadline: Instant) -> Result<(), Failure> {
        let mut under_way: VecDeque<(Instant, Publication)> = VecDeque::new();
        let size = self.args.size;
        loop {
            while under_way.len() < self.args.inflight.into() && Instant::now() < deadline {
                let publish = client.publish(self.topic.clone(), payload(size));
                let began = Instant::now();
                under_way.push_back((began, publish.qos(self.args.qos).await?));
            }
            let Some((began, publication)) = under_way.pop_front() else {
                return Ok(());
            };
            // What is under way at the end is waited for, but not for long.
            let patience = deadline + GOODBYE;
            match until(patience, publication.acked()).await {
                None => return Ok(()),
                Some(Ok(acked)) if acked.reason.is_error() => {
                    let what = format!("publish to '{}'", self.topic);
                    return Err(Failure::refused(what, acked.reason));
                }
                Some(Ok(_)) => self.recorder.record(size, Some(began.elapsed())),
                Some(Err(lost)) => {
                    if let ConnectionState::Closed { error } = client.state() {
                        return Err(Failure::from(&error));
                    }
                    let what = format!("publish to '{}': {lost}", self.topic);
                    return Err(Failure::new(lost_code(lost), what));
                }
            }
        }
    }

    async fn connecting(&self, deadline: Instant) -> Result<(), Failure> {
        let mut number = 0;
        while Instant::now() < deadline {
            let builder = self.args.builder(number)?;
            number += 1;
            let began = Instant::now();
            let client = builder.connect().await?;
            self.recorder.record(0, Some(began.elapsed()));
            client.close(GOODBYE).await;
        }
        Ok(())
    }
}

/// Takes what comes; what `bench pub` has sent tells how long it took, by the clocks of both machines.
async fn taking(
    client: &Client,
    messages: &mut Subscription,
    recorder: &Recorder,
    deadline: Instant,
) -> Result<(), Failure> {
    loop {
        match until(deadline, messages.recv()).await {
            None => return Ok(()),
            Some(None) => return Err(closed(client)),
            Some(Some(message)) => recorder.record(message.payload.len(), age(&message)),
        }
    }
}

fn closed(client: &Client) -> Failure {
    match client.state() {
        ConnectionState::Closed { error } => Failure::from(&error),
        _ => Failure::new(1, "the connection has ended"),
    }
}

/// The answer of the future, unless the time is up before.
async fn until<T>(deadline: Instant, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout_at(deadline.into(), future).await.ok()
}

/// A payload that says when it was made, where it has room for that.
fn payload(size: usize) -> Bytes {
    let mut payload = vec![b'x'; size];
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    if let Some(stamp) = payload.first_chunk_mut::<16>() {
        let (name, time) = stamp.split_at_mut(STAMP.len());
        name.copy_from_slice(STAMP);
        time.copy_from_slice(&now.to_be_bytes());
    }
    payload.into()
}

/// How long ago it was made.
fn age(message: &Message) -> Option<Duration> {
    let (name, time) = message.payload.first_chunk::<16>()?.split_at(STAMP.len());
    let time = u64::from_be_bytes(time.try_into().ok()?);
    if name != STAMP {
        return None;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    now.checked_sub(Duration::from_nanos(time))
}
