//! `ohmqtt rr`: publishes a request, and prints the answer to it.

use std::time::Duration;

use clap::Args;
use ohmqtt_client::{
    Client, ConnectionState, Message, PublishProperties, Qos, RetainHandling, TopicName,
};

use crate::args::{ConnectionArgs, MessageArgs, Place, qos, seconds};
use crate::failure::{Failure, INTERRUPTED};
use crate::print::{PrintArgs, Printer};
use crate::{events, signal};

/// How long the goodbye to the broker may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Publish a request, and print the answer to it
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:
  ohmqtt rr -t time/now -n -W 5                 the answer, or exit code 27 after five seconds
  ohmqtt rr -t lamp/get -e lamp/state -m '?'    with a response topic of your own

Without -e answers come to a topic of this client alone, and are told apart by correlation data."
)]
pub(crate) struct RrArgs {
    /// The topic of the request
    #[arg(short = 't', long, value_name = "TOPIC", env = "OHMQTT_TOPIC")]
    topic: Option<String>,
    /// The topic that the answer is to be published to [default: one of this client's own]
    #[arg(short = 'e', long, value_name = "TOPIC")]
    response_topic: Option<String>,
    #[command(flatten)]
    message: MessageArgs,
    /// How surely the request is delivered: 0, 1 or 2
    #[arg(short = 'q', long, value_name = "QOS", default_value = "0", value_parser = qos, env = "OHMQTT_QOS")]
    qos: Qos,
    /// Leave out answers that are retained
    #[arg(short = 'R')]
    no_retained: bool,
    /// How long to wait for the answer, then end with exit code 27 [default: as long as it takes]
    #[arg(short = 'W', long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    #[command(flatten)]
    print: PrintArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// Asks, and prints the answer.
pub(crate) async fn run(args: RrArgs) -> Result<(), Failure> {
    let properties = &args.connection.properties;
    properties.only_for(&[Place::Connect, Place::Publish, Place::Will])?;
    if args.message.ways() != 1 {
        return Err(Failure::usage(
            "a request has one payload: give one of -m TEXT, -f FILE, -s or -n",
        ));
    }
    let payload = args.message.payload(args.print.hex)?;
    let mut target = args.connection.target()?;
    let topic = args.topic.clone().or_else(|| target.topic.take());
    let topic =
        topic.ok_or_else(|| Failure::usage("no topic to ask at: give one with -t TOPIC"))?;
    let topic =
        TopicName::new(topic).map_err(|error| Failure::usage(format!("request: {error}")))?;
    let watching = events::tell(target.builder.events(), args.connection.quiet);
    let client = target.builder.connect().await?;
    let answered = tokio::select! {
        answered = ask(&client, &args, topic.clone(), payload) => answered,
        () = signal::asked_to_stop() => Err(Failure::silent(INTERRUPTED)),
        () = signal::after(args.timeout) => Err(no_answer(&topic, args.timeout)),
    };
    client.close(GOODBYE).await;
    watching.abort();
    let mut printer = Printer::new(&args.print);
    printer.print(&answered?)?;
    printer.flush()
}

fn no_answer(topic: &TopicName, timeout: Option<Duration>) -> Failure {
    let timeout = timeout.unwrap_or_default();
    Failure::timed_out(format!(
        "request to '{topic}': no answer within {timeout:?}; does somebody answer there?"
    ))
}

async fn ask(
    client: &Client,
    args: &RrArgs,
    topic: TopicName,
    payload: Vec<u8>,
) -> Result<Message, Failure> {
    let properties: PublishProperties = args.connection.properties.of()?;
    let Some(answers) = &args.response_topic else {
        let timeout = args.timeout.unwrap_or(Duration::from_secs(u32::MAX.into()));
        let request = client.request(topic, payload, timeout).qos(args.qos);
        let request = request.with(|publish| publish.properties(|all| *all = properties));
        return Ok(request.await?);
    };
    let answers =
        TopicName::new(answers).map_err(|error| Failure::usage(format!("-e: {error}")))?;
    let handling = if args.no_retained {
        RetainHandling::DoNotSend
    } else {
        RetainHandling::SendAtSubscribe
    };
    let subscribe = client.subscribe(answers.as_str()).qos(args.qos);
    let mut replies = subscribe.retain_handling(handling).await?;
    let name = topic.clone();
    let publish = client.publish(topic, payload).qos(args.qos);
    let publication = publish
        .properties(|all| {
            *all = properties;
            all.set_response_topic(&answers);
        })
        .await?;
    let acked = async {
        match publication.acked().await {
            Ok(acked) if acked.reason.is_error() => {
                Failure::refused(format!("request to '{name}'"), acked.reason)
            }
            // The answer is what is waited for.
            Ok(_) => std::future::pending().await,
            Err(lost) => Failure::new(
                crate::failure::lost_code(lost),
                format!("request to '{name}': {lost}"),
            ),
        }
    };
    tokio::select! {
        biased;
        reply = replies.recv() => reply.ok_or_else(|| match client.state() {
            ConnectionState::Closed { error } => Failure::from(&error),
            _ => Failure::new(1, "the connection has ended"),
        }),
        failure = acked => Err(failure),
    }
}
