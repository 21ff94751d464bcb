//! `ohmqtt sub`: subscribes, and prints what comes.

mod wanted;

use std::time::Duration;

use clap::{Args, ValueEnum};
use ohmqtt_client::{
    Client, ConnectionState, Qos, RetainHandling, Subscription, SubscriptionOptions, TopicFilter,
};
use ohmqtt_codec::SubscribeProperties;

use self::wanted::Wanted;
use crate::args::{ConnectionArgs, Place, qos, seconds};
use crate::failure::{Failure, INTERRUPTED, say};
use crate::print::{PrintArgs, Printer};
use crate::{events, signal};

/// How long the goodbye to the broker may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Subscribe, and print the messages that come
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:
  ohmqtt sub -v -t 'sensors/#'                          topics and payloads, until Ctrl-C
  ohmqtt sub -t jobs -C 1 -W 10                         one message, for ten seconds at most
  ohmqtt sub -t '#' -T '$SYS/#' -F '%I %t %x'           time, topic, payload in hexadecimal
  ohmqtt sub --json -t '#' --url quic://broker.example  everything there is to know of each message
  ohmqtt sub -t '$share/workers/jobs' -q 1              every second worker gets every second job"
)]
pub(crate) struct SubArgs {
    /// A topic filter to subscribe to; may be given again
    #[arg(short = 't', long, value_name = "FILTER", env = "OHMQTT_TOPIC")]
    topic: Vec<String>,
    /// The highest QoS that messages may come with: 0, 1 or 2
    #[arg(short = 'q', long, value_name = "QOS", default_value = "0", value_parser = qos, env = "OHMQTT_QOS")]
    qos: Qos,
    /// End after so many messages
    #[arg(short = 'C', value_name = "MESSAGES")]
    count: Option<u64>,
    /// End after so long, with exit code 27
    #[arg(short = 'W', long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// End as soon as the broker has taken the subscriptions
    #[arg(short = 'E')]
    exit_when_subscribed: bool,
    /// Unsubscribe from this filter, which the session has from before; may be given again
    #[arg(short = 'U', long, value_name = "FILTER")]
    unsubscribe: Vec<String>,
    #[command(flatten)]
    wanted: Wanted,
    /// Remove retained messages that come from the broker
    #[arg(long)]
    remove_retained: bool,
    /// Leave out what this client publishes itself
    #[arg(long)]
    no_local: bool,
    /// Show the retain flag as it was published
    #[arg(long)]
    retain_as_published: bool,
    /// Which retained messages the broker is to send
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    retain_handling: Handling,
    #[command(flatten)]
    print: PrintArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// When retained messages are sent (section 3.8.3.1).
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Handling {
    /// When it is subscribed
    #[default]
    Always,
    /// When the subscription is new to the session
    New,
    /// Not at all
    Never,
}

impl From<Handling> for RetainHandling {
    fn from(handling: Handling) -> Self {
        match handling {
            Handling::Always => Self::SendAtSubscribe,
            Handling::New => Self::SendIfNew,
            Handling::Never => Self::DoNotSend,
        }
    }
}

/// What a run has come to.
#[derive(Default)]
struct Done {
    printed: u64,
    /// Kept until the connection is closed: a session that outlives it keeps its subscription, which would end with this.
    messages: Option<Subscription>,
}

/// Subscribes and prints until there is enough, the time is up, or Ctrl-C.
pub(crate) async fn run(args: SubArgs) -> Result<(), Failure> {
    let properties = &args.connection.properties;
    properties.only_for(&[Place::Connect, Place::Subscribe, Place::Will])?;
    let mut target = args.connection.target()?;
    let mut filters = args.topic.clone();
    filters.extend(target.topic.take());
    if filters.is_empty() && args.unsubscribe.is_empty() {
        return Err(Failure::usage(
            "no topic to subscribe to: give one with -t FILTER",
        ));
    }
    for filter in filters.iter().chain(&args.unsubscribe) {
        TopicFilter::new(filter).map_err(|error| Failure::usage(format!("subscribe: {error}")))?;
    }
    let watching = events::tell(target.builder.events(), args.connection.quiet);
    let client = target.builder.connect().await?;
    let mut done = Done::default();
    let ended = tokio::select! {
        ended = work(&client, &args, &filters, &mut done) => ended,
        () = signal::asked_to_stop() => Err(Failure::silent(INTERRUPTED)),
        () = signal::after(args.timeout) => Err(time_is_up(&args)),
    };
    client.close(GOODBYE).await;
    watching.abort();
    if let (Err(failure), false) = (&ended, args.connection.quiet)
        && failure.code == INTERRUPTED
    {
        say(format_args!("interrupted: {} messages", done.printed));
    }
    ended
}

/// Without messages to wait for it is what was asked for; mosquitto's command says the same by its exit code alone.
fn time_is_up(args: &SubArgs) -> Failure {
    match args.count {
        Some(count) => {
            let timeout = args.timeout.unwrap_or_default();
            Failure::timed_out(format!(
                "subscribe: not {count} messages within {timeout:?}; is anything published there?"
            ))
        }
        None => Failure::silent(crate::failure::TIMED_OUT),
    }
}

async fn work(
    client: &Client,
    args: &SubArgs,
    filters: &[String],
    done: &mut Done,
) -> Result<(), Failure> {
    for filter in &args.unsubscribe {
        // The session has it from before; this client can end what it has itself.
        let subscribe = client
            .subscribe(filter)
            .retain_handling(RetainHandling::DoNotSend);
        subscribe.await?.unsubscribe().await?;
    }
    done.messages = subscribe(client, args, filters)?;
    let Some(messages) = &mut done.messages else {
        return Ok(());
    };
    granted(messages, args, filters).await?;
    if args.exit_when_subscribed {
        return Ok(());
    }
    let filter = args.wanted.filter()?;
    let mut printer = Printer::new(&args.print);
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let message = if let Some(message) = messages.try_recv() {
            message
        } else {
            printer.flush()?;
            let Some(message) = messages.recv().await else {
                return Err(closed(client));
            };
            message
        };
        if filter.is_the_end(&message) {
            break;
        }
        if !filter.takes(&message) {
            continue;
        }
        if args.remove_retained && message.retain {
            let removal = client.publish(message.topic.clone(), "").retain(true);
            removal.qos(Qos::AtLeastOnce).await?;
        }
        if filter.is_picked() {
            printer.print(&message)?;
            done.printed += 1;
        }
        left -= 1;
    }
    printer.flush()
}

/// One subscription for all filters, so that each message comes once, in the order of arrival.
fn subscribe(
    client: &Client,
    args: &SubArgs,
    filters: &[String],
) -> Result<Option<Subscription>, Failure> {
    let Some((first, others)) = filters.split_first() else {
        return Ok(None);
    };
    let mut options = SubscriptionOptions::new(args.qos);
    options.no_local = args.no_local;
    options.retain_as_published = args.retain_as_published || args.wanted.retained_only();
    options.retain_handling = args.retain_handling.into();
    let mut subscribe = client
        .subscribe(first)
        .qos(options.qos)
        .no_local(options.no_local)
        .retain_as_published(options.retain_as_published)
        .retain_handling(options.retain_handling);
    for filter in others {
        subscribe = subscribe.and_with(filter, options);
    }
    let properties: SubscribeProperties = args.connection.properties.of()?;
    for (name, value) in properties.user_properties() {
        subscribe = subscribe.user_property(name, value);
    }
    Ok(Some(subscribe.send()?))
}

/// Waits for the broker's word. As long as it grants one filter, the others are told and done without.
async fn granted(
    messages: &Subscription,
    args: &SubArgs,
    filters: &[String],
) -> Result<(), Failure> {
    let suback = messages.suback().await?;
    let refused: Vec<_> = suback
        .codes
        .iter()
        .zip(filters)
        .filter(|(reason, _)| reason.is_error())
        .map(|(reason, filter)| Failure::refused(format!("subscribe to '{filter}'"), reason))
        .collect();
    let is_all = refused.len() == filters.len();
    let mut refused = refused.into_iter();
    let first = refused.next().filter(|_| is_all);
    if let Some(failure) = first {
        return Err(failure);
    }
    if !args.connection.quiet {
        for failure in refused {
            failure.tell();
        }
    }
    Ok(())
}

/// Why no message comes any more.
fn closed(client: &Client) -> Failure {
    match client.state() {
        ConnectionState::Closed { error } => Failure::from(&error),
        _ => Failure::new(1, "the connection has ended"),
    }
}
