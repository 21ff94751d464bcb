//! `ohmqtt pub`: publishes, and ends when the broker has what was published.

mod source;
mod tally;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use ohmqtt_client::{Client, ConnectionState, PublishProperties, Qos, TopicName};

use self::source::{Item, Source};
use self::tally::Tally;
use crate::args::{ConnectionArgs, MessageArgs, Place, qos, seconds};
use crate::connect::LINGER;
use crate::failure::{Failure, INTERRUPTED, say};
use crate::{events, signal, store};

/// Publish messages
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:
  ohmqtt pub -t sensors/1 -m 21.5                       one message, QoS 0
  ohmqtt pub -h broker.example -t a -t b -m on -q 1 -r  one for each topic, acknowledged, retained
  tail -f log | ohmqtt pub -t log -l -q 1               a message for each line
  ohmqtt pub --store outbox.redb -i gate -t x -m 1 -q 1 kept in the file until the broker has it
  ohmqtt sub --json -t '#' -C 9 | ohmqtt pub --json -h other.example"
)]
pub(crate) struct PubArgs {
    /// The topic to publish to; may be given again
    #[arg(short = 't', long, value_name = "TOPIC", env = "OHMQTT_TOPIC")]
    topic: Vec<String>,
    #[command(flatten)]
    message: MessageArgs,
    /// A message for each line of standard input
    #[arg(short = 'l', long, help_heading = "Payload")]
    stdin_line: bool,
    /// Messages as `ohmqtt sub --json` prints them, a line each, from standard input; -t, -q and -r count where they say nothing
    #[arg(long, help_heading = "Payload")]
    json: bool,
    /// Payloads are given in hexadecimal: two digits a byte
    #[arg(long, help_heading = "Payload")]
    hex: bool,
    /// How surely it is delivered: 0, 1 or 2
    #[arg(short = 'q', long, value_name = "QOS", default_value = "0", value_parser = qos, env = "OHMQTT_QOS")]
    qos: Qos,
    /// Let the broker keep it for later subscribers
    #[arg(short = 'r', long)]
    retain: bool,
    /// Publish it so many times
    #[arg(long, value_name = "TIMES", default_value = "1")]
    repeat: u64,
    /// How long to wait between two times
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds, requires = "repeat")]
    repeat_delay: Duration,
    /// How many messages may be on their way and not acknowledged [default: 1000, or what the broker takes]
    #[arg(short = 'M', long, value_name = "MESSAGES")]
    max_inflight: Option<usize>,
    /// Keep messages of QoS 1 and 2 in this file until the broker has them (.redb or .sqlite); what an earlier run left there is
    /// sent too. Needs -i
    #[arg(long, value_name = "FILE", env = "OHMQTT_STORE")]
    store: Option<PathBuf>,
    /// Give up after so long, with exit code 27 [default: never]
    #[arg(short = 'W', long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// Publishes until all is acknowledged, the time is up, or Ctrl-C.
pub(crate) async fn run(args: PubArgs) -> Result<(), Failure> {
    let properties = &args.connection.properties;
    properties.only_for(&[Place::Connect, Place::Publish, Place::Will])?;
    let mut target = args.connection.target()?;
    let mut topics = args.topic.clone();
    topics.extend(target.topic.take());
    let source = Source::new(&args, &topics, properties.of()?)?;
    if let Some(file) = &args.store {
        if args.connection.session_expiry_interval.is_none() {
            // What was sent and not acknowledged is known to the broker for a day.
            target.builder = target.builder.session_expiry(Duration::from_secs(86_400));
        }
        target.builder = store::for_client(target.builder, file)?;
    }
    let quiet = args.connection.quiet;
    let watching = events::tell(target.builder.events(), quiet);
    let client = if args.store.is_some() {
        target.builder.clean_start(false).start()?
    } else {
        target.builder.connect().await?
    };
    let limit = args.max_inflight.unwrap_or(1000).max(1);
    let mut tally = Tally::new(limit, quiet);
    let worked = tokio::select! {
        worked = publish_all(&client, source, &mut tally, args.store.is_some()) => worked,
        () = signal::asked_to_stop() => Err(Failure::silent(INTERRUPTED)),
        () = signal::after(args.timeout) => Err(time_is_up(args.timeout)),
    };
    let ended = match worked {
        Ok(()) => finish(&client, &args).await,
        Err(failure) => {
            client.close(Duration::from_secs(1)).await;
            if failure.code == INTERRUPTED && !quiet {
                say(format_args!("interrupted: {tally}"));
            }
            Err(failure)
        }
    };
    watching.abort();
    ended?;
    tally.verdict()
}

/// Publishes what the source has, and waits until all of it is acknowledged.
async fn publish_all(
    client: &Client,
    mut source: Source,
    tally: &mut Tally,
    is_stored: bool,
) -> Result<(), Failure> {
    while let Some(item) = source.next().await? {
        let Item {
            topic,
            payload,
            qos,
            retain,
            properties,
        } = item;
        let name = topic.clone();
        let publish = client.publish(topic, payload).qos(qos).retain(retain);
        let publish = publish.keep_offline(true);
        let publication = publish.properties(|all| *all = properties).await?;
        tally.sent(name, publication);
        if is_stored {
            tally.look();
        } else {
            tally.make_room(client).await?;
        }
    }
    if is_stored {
        connected(client).await?;
    }
    tally.wait(client).await
}

/// Waits for the first connection. What was accepted is in the store if there is none.
async fn connected(client: &Client) -> Result<(), Failure> {
    let state = client
        .wait_for(|state| {
            !matches!(
                state,
                ConnectionState::Connecting {
                    last_error: None,
                    ..
                }
            )
        })
        .await;
    let (ConnectionState::Connecting {
        last_error: Some(error),
        ..
    }
    | ConnectionState::Closed { error }) = state
    else {
        return Ok(());
    };
    let left = client.metrics().queued_messages;
    let failure = Failure::from(&error);
    Err(failure.and(format!(
        "{left} messages are kept in the store, and go out with the next run"
    )))
}

/// Says goodbye once everything is acknowledged, what an earlier run left among it.
async fn finish(client: &Client, args: &PubArgs) -> Result<(), Failure> {
    let patience = match (&args.store, args.timeout) {
        (_, Some(timeout)) => timeout,
        (Some(_), None) => Duration::MAX,
        (None, None) => LINGER,
    };
    let closed = tokio::select! {
        closed = client.close(patience) => closed,
        () = signal::asked_to_stop() => client.close(Duration::ZERO).await,
    };
    if closed.unacknowledged > 0 {
        let left = closed.unacknowledged;
        return Err(Failure::timed_out(format!(
            "{left} messages were not acknowledged"
        )));
    }
    Ok(())
}

fn time_is_up(timeout: Option<Duration>) -> Failure {
    let timeout = timeout.unwrap_or_default();
    Failure::timed_out(format!(
        "publish: not done within {timeout:?}; is the broker busy? Give it more time with -W"
    ))
}
