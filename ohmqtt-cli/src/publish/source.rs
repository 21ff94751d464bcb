//! Where the messages come from: the command line, a file, or the lines of standard input.

use std::collections::VecDeque;
use std::io::BufRead;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{PubArgs, PublishProperties, Qos, TopicName};
use crate::args::unhex;
use crate::failure::Failure;
use crate::json;

/// How many lines are read ahead.
const AHEAD: usize = 256;

/// A message to be published.
pub(super) struct Item {
    pub(super) topic: TopicName,
    pub(super) payload: Bytes,
    pub(super) qos: Qos,
    pub(super) retain: bool,
    pub(super) properties: PublishProperties,
}

/// Messages one after another.
pub(super) struct Source {
    kind: Kind,
    topics: Vec<TopicName>,
    qos: Qos,
    retain: bool,
    properties: PublishProperties,
    hex: bool,
    /// What is ready.
    ready: VecDeque<Item>,
}

enum Kind {
    /// The same payload, so many times more.
    Same {
        payload: Bytes,
        left: u64,
        delay: Duration,
        first: bool,
    },
    Lines(mpsc::Receiver<Result<Vec<u8>, String>>),
    Json(mpsc::Receiver<Result<Vec<u8>, String>>, u64),
}

impl Source {
    /// What the options ask for. Reads a file, or all of standard input, at once.
    pub(super) fn new(
        args: &PubArgs,
        topics: &[String],
        properties: PublishProperties,
    ) -> Result<Self, Failure> {
        let ways = args.message.ways() + usize::from(args.stdin_line) + usize::from(args.json);
        if ways != 1 {
            let what = if ways == 0 {
                "nothing to publish"
            } else {
                "more than one payload"
            };
            return Err(Failure::usage(format!(
                "{what}: give one of -m TEXT, -f FILE, -s, -l, -n or --json"
            )));
        }
        if topics.is_empty() && !args.json {
            return Err(Failure::usage(
                "no topic to publish to: give one with -t TOPIC",
            ));
        }
        let topics: Result<Vec<_>, _> = topics.iter().map(TopicName::new).collect();
        let topics = topics.map_err(|error| Failure::usage(format!("publish: {error}")))?;
        let kind = if args.json {
            Kind::Json(lines()?, 0)
        } else if args.stdin_line {
            Kind::Lines(lines()?)
        } else {
            Kind::Same {
                payload: args.message.payload(args.hex)?.into(),
                left: args.repeat,
                delay: args.repeat_delay,
                first: true,
            }
        };
        Ok(Self {
            kind,
            topics,
            qos: args.qos,
            retain: args.retain,
            properties,
            hex: args.hex,
            ready: VecDeque::new(),
        })
    }

    /// The next message; `None` when there is none any more.
    pub(super) async fn next(&mut self) -> Result<Option<Item>, Failure> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            let payload = match &mut self.kind {
                Kind::Same { left: 0, .. } => return Ok(None),
                Kind::Same {
                    payload,
                    left,
                    delay,
                    first,
                } => {
                    *left -= 1;
                    if !std::mem::take(first) && !delay.is_zero() {
                        tokio::time::sleep(*delay).await;
                    }
                    payload.clone()
                }
                Kind::Lines(lines) => {
                    let Some(line) = lines.recv().await else {
                        return Ok(None);
                    };
                    let line = line.map_err(Failure::usage)?;
                    if self.hex {
                        unhex(&line)?.into()
                    } else {
                        line.into()
                    }
                }
                Kind::Json(lines, number) => {
                    let Some(line) = lines.recv().await else {
                        return Ok(None);
                    };
                    *number += 1;
                    let (line, number) = (line.map_err(Failure::usage)?, *number);
                    self.take_json(&line, number)?;
                    continue;
                }
            };
            for topic in &self.topics {
                self.ready.push_back(Item {
                    topic: topic.clone(),
                    payload: payload.clone(),
                    qos: self.qos,
                    retain: self.retain,
                    properties: self.properties.clone(),
                });
            }
        }
    }

    fn take_json(&mut self, line: &[u8], number: u64) -> Result<(), Failure> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let wrong = |error| Failure::usage(format!("--json: line {number}: {error}"));
        let parsed = json::parse(line).map_err(wrong)?;
        let topics = match parsed.topic {
            None => self.topics.clone(),
            Some(topic) => {
                vec![TopicName::new(topic).map_err(|error| wrong(error.to_string()))?]
            }
        };
        if topics.is_empty() {
            return Err(wrong(
                "it has no topic, and there is no -t TOPIC".to_owned(),
            ));
        }
        let payload = Bytes::from(parsed.payload);
        for topic in topics {
            let says_nothing = parsed.properties.iter().next().is_none();
            self.ready.push_back(Item {
                topic,
                payload: payload.clone(),
                qos: parsed.qos.unwrap_or(self.qos),
                retain: parsed.retain.unwrap_or(self.retain),
                properties: if says_nothing {
                    self.properties.clone()
                } else {
                    parsed.properties.clone()
                },
            });
        }
        Ok(())
    }
}

/// The lines of standard input, read by a thread of its own: nothing else could give up waiting for one.
fn lines() -> Result<mpsc::Receiver<Result<Vec<u8>, String>>, Failure> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let read = move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let line = match input.read_until(b'\n', &mut line) {
                Ok(0) => return,
                Ok(_) => {
                    if line.last() == Some(&b'\n') {
                        line.pop();
                    }
                    Ok(line)
                }
                Err(error) => Err(format!("standard input: {error}")),
            };
            let failed = line.is_err();
            if sender.blocking_send(line).is_err() || failed {
                return;
            }
        }
    };
    thread::Builder::new()
        .name("standard input".to_owned())
        .spawn(read)
        .map_err(|error| Failure::new(1, format!("no thread to read standard input: {error}")))?;
    Ok(receiver)
}
