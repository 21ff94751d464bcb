//! `ohmqtt check`: what a broker supports, and what it limits.

mod features;

use std::io::Write;
use std::time::{Duration, Instant};

use clap::Args;
use ohmqtt_client::{Client, ConnAck, Event, Events};
use serde_json::{Map, Value};

use self::features::{Feature, Required};
use crate::args::{ConnectionArgs, Place};
use crate::failure::{FAILED, Failure, INTERRUPTED};
use crate::signal;

/// How long the goodbye to the broker may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Ask a broker what it supports and limits
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:
  ohmqtt check mqtts://broker.example
  ohmqtt check mqtt://localhost --require shared --require packet-size=1000000 && echo fit
  ohmqtt check --json mqtt://localhost

Features to require: qos=N, retain, wildcard, shared, identifiers, and what is to be at least so much: aliases=N, receive-maximum=N,
packet-size=BYTES, session-expiry=SECONDS, keep-alive=SECONDS. Where one is missing the exit code is 1."
)]
pub(crate) struct CheckArgs {
    /// The broker
    #[arg(value_name = "URL")]
    address: Option<String>,
    /// A feature that the broker is to have; may be given again
    #[arg(long, value_name = "FEATURE", value_parser = Required::parse)]
    require: Vec<Required>,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// Connects, prints what the broker said, and looks whether it is enough.
pub(crate) async fn run(mut args: CheckArgs) -> Result<(), Failure> {
    args.connection
        .properties
        .only_for(&[Place::Connect, Place::Will])?;
    if let Some(address) = args.address.take() {
        args.connection.url = vec![address];
        args.connection.by_host = false;
    }
    let connection = &args.connection;
    let mut builder = connection.target()?.builder;
    if connection.session_expiry_interval.is_none() {
        // For ever is asked for, so that the broker says what it gives.
        builder = builder.session_expiry(Duration::from_secs(u32::MAX.into()));
    }
    let events = builder.events();
    let began = Instant::now();
    let (client, address, connack) = tokio::select! {
        answered = connected(builder, events) => answered?,
        () = signal::asked_to_stop() => return Err(Failure::silent(INTERRUPTED)),
    };
    let took = began.elapsed();
    // The session was asked for to learn of its end alone.
    let mut goodbye =
        ohmqtt_client::Disconnect::new(ohmqtt_client::ReasonCode::NORMAL_DISCONNECTION);
    goodbye.properties.set_session_expiry_interval(0);
    client.close_with(GOODBYE, goodbye).await;
    let features = features::of(&connack, connection.keepalive);
    let text = if args.json {
        as_json(&address, took, &features, &connack)
    } else {
        as_table(&address, took, &features, &connack)
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure::output(&error))?;
    verdict(&address, &args.require, &features)
}

async fn connected(
    builder: ohmqtt_client::ClientBuilder,
    mut events: Events,
) -> Result<(Client, String, Box<ConnAck>), Failure> {
    let client = builder.connect().await?;
    while let Some(event) = events.recv().await {
        if let Event::Connected {
            address, connack, ..
        } = event
        {
            return Ok((client, address, connack));
        }
    }
    Err(Failure::new(FAILED, "the connection has ended"))
}

fn verdict(address: &str, required: &[Required], features: &[Feature]) -> Result<(), Failure> {
    let missing: Vec<_> = required
        .iter()
        .filter_map(|required| required.missing(features))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    Err(Failure::new(
        FAILED,
        format!(
            "check {address}: required and not there: {missing}; raise the broker's limits or use another one"
        ),
    ))
}

fn as_table(address: &str, took: Duration, features: &[Feature], connack: &ConnAck) -> String {
    let mut text = format!(
        "{address}: MQTT 5.0, connected in {:.1} ms\n",
        took.as_secs_f64() * 1000.0
    );
    let mut row = |name: &str, value: &str| {
        text.push_str("  ");
        text.push_str(name);
        text.extend(std::iter::repeat_n(
            ' ',
            26_usize.saturating_sub(name.len()),
        ));
        text.push_str(value);
        text.push('\n');
    };
    for feature in features {
        row(feature.title, &feature.shown);
    }
    for (name, value) in said(connack) {
        row(&name, &value);
    }
    text
}

fn as_json(address: &str, took: Duration, features: &[Feature], connack: &ConnAck) -> String {
    let mut object = Map::new();
    object.insert("address".to_owned(), address.into());
    object.insert("connect_seconds".to_owned(), took.as_secs_f64().into());
    for feature in features {
        object.insert(feature.name.to_owned(), feature.value.into());
    }
    for (name, value) in said(connack) {
        object.insert(name.replace(' ', "-"), value.into());
    }
    format!("{}\n", Value::Object(object))
}

/// What else the broker had to say, in words.
fn said(connack: &ConnAck) -> Vec<(String, String)> {
    let properties = &connack.properties;
    let texts = [
        (
            "assigned identifier",
            properties.assigned_client_identifier(),
        ),
        ("response information", properties.response_information()),
        ("server reference", properties.server_reference()),
        ("reason", properties.reason_string()),
    ];
    let texts = texts
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), text?.to_owned())));
    let users = properties
        .user_properties()
        .map(|(name, value)| (format!("user property {name}"), value.to_owned()));
    texts.chain(users).collect()
}
