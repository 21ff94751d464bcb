//! rumqttc's adapter: its client of MQTT 5, with the event loop polled again after each error, as its documentation has it.
//!
//! The loop tells of packets, not of messages that the application has named: which message a packet identifier is, is known from the
//! order in which they go out.

use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::time::Duration;

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::SubscribeReasonCode;
use rumqttc::v5::{
    AsyncClient, ConnectionError, Event, EventLoop, Incoming, MqttOptions, StateError,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin, stdin};

/// The version that Cargo.lock names.
const VERSION: &str = "0.25.1";

/// So many requests may wait for the loop.
const CAPACITY: usize = 100;

/// The wait after an error.
const PAUSE: Duration = Duration::from_millis(50);

/// How long the loop may take to say DISCONNECT.
const GOODBYE: Duration = Duration::from_secs(2);

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// What the application has asked for and was not told of.
#[derive(Default)]
struct Asked {
    /// Messages of QoS 1 and 2 that have not gone out.
    published: VecDeque<Message>,
    subscribed: VecDeque<String>,
    /// By packet identifier.
    messages: HashMap<u16, Message>,
    filters: HashMap<u16, String>,
    stands: bool,
}

/// A message that is not acknowledged yet.
struct Message {
    name: String,
    /// Which packet ends its exchange well: PUBACK, PUBREC and then PUBCOMP.
    awaits: Awaits,
}

#[derive(Clone, Copy, PartialEq)]
enum Awaits {
    PubAck,
    PubRec,
    PubComp,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    report(json!({"is": "ready", "name": "rumqttc", "version": VERSION}));
    let mut commands = BufReader::new(stdin()).lines();
    let Some(connect) = next(&mut commands).await? else {
        return Ok(());
    };
    let (client, mut events) = AsyncClient::new(options(&connect), CAPACITY);
    let mut asked = Asked::default();
    loop {
        tokio::select! {
            command = next(&mut commands) => match command? {
                Some(command) => act(&client, &command, &mut asked).await?,
                None => break,
            },
            () = turn(&mut events, &mut asked) => {}
        }
    }
    // What is left to be done by the loop is not waited for longer than that.
    let _ = client.try_disconnect();
    let goodbye = async { while events.poll().await.is_ok() {} };
    let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    Ok(())
}

/// The next command; none when it is to close.
async fn next(commands: &mut Lines<BufReader<Stdin>>) -> Result<Option<Value>> {
    let Some(line) = commands.next_line().await? else {
        return Ok(None);
    };
    let command: Value = serde_json::from_str(&line)?;
    Ok(Some(command).filter(|command| command["do"] != "close"))
}

fn report(words: Value) {
    println!("{words}");
}

fn number(command: &Value, name: &str) -> Option<u64> {
    command[name].as_u64()
}

fn short(command: &Value, name: &str) -> Option<u16> {
    number(command, name).and_then(|number| u16::try_from(number).ok())
}

/// A field as text, whether it looks like a number or not.
fn text(command: &Value, name: &str) -> String {
    match &command[name] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn options(command: &Value) -> MqttOptions {
    let url = text(command, "url");
    let address = url.trim_start_matches("mqtt://");
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "1883"));
    let mut options = MqttOptions::new("kit", host, port.parse().unwrap_or(1883));
    // There is one setting for all connections, and the later ones are to go on with the session.
    options.set_clean_start(false);
    options.set_session_expiry_interval(Some(300));
    if let Some(seconds) = number(command, "keep_alive") {
        options.set_keep_alive(Duration::from_secs(seconds.max(5)));
    }
    if let Some(seconds) = number(command, "connect_timeout") {
        options.set_connection_timeout(seconds);
    }
    if let Some(maximum) = short(command, "receive_maximum") {
        options.set_receive_maximum(Some(maximum));
    }
    if let Some(maximum) = short(command, "topic_alias_maximum") {
        options.set_topic_alias_max(Some(maximum));
    }
    if let Some(size) = number(command, "maximum_packet_size") {
        options.set_max_packet_size(u32::try_from(size).ok());
    }
    options
}

async fn act(client: &AsyncClient, command: &Value, asked: &mut Asked) -> Result {
    let qos = match number(command, "qos") {
        Some(1) => QoS::AtLeastOnce,
        Some(2) => QoS::ExactlyOnce,
        _ => QoS::AtMostOnce,
    };
    let name = text(command, "name");
    if command["do"] == "publish" {
        let payload = text(command, "payload");
        let payload = match payload.strip_prefix('*').map(str::parse) {
            Some(Ok(count)) => vec![b'x'; count],
            _ => payload.into_bytes(),
        };
        let retain = number(command, "retain") == Some(1);
        match client.try_publish(text(command, "topic"), qos, retain, payload) {
            Ok(()) => match qos {
                QoS::AtMostOnce => {}
                QoS::AtLeastOnce => asked.published.push_back(Message {
                    name,
                    awaits: Awaits::PubAck,
                }),
                QoS::ExactlyOnce => asked.published.push_back(Message {
                    name,
                    awaits: Awaits::PubRec,
                }),
            },
            Err(why) => report(json!({"is": "refused", "name": name, "why": why.to_string()})),
        }
    } else {
        client.subscribe(text(command, "filter"), qos).await?;
        asked.subscribed.push_back(name);
    }
    Ok(())
}

/// One turn of the loop.
async fn turn(events: &mut EventLoop, asked: &mut Asked) {
    match events.poll().await {
        Ok(Event::Incoming(packet)) => incoming(packet, asked),
        Ok(Event::Outgoing(Outgoing::Publish(id))) if id != 0 => {
            // One that is sent again has its name.
            if !asked.messages.contains_key(&id)
                && let Some(message) = asked.published.pop_front()
            {
                asked.messages.insert(id, message);
            }
        }
        Ok(Event::Outgoing(Outgoing::Subscribe(id))) => {
            if let Some(name) = asked.subscribed.pop_front() {
                asked.filters.insert(id, name);
            }
        }
        Ok(Event::Outgoing(_)) => {}
        Err(error) => {
            let why = error.to_string();
            if let ConnectionError::MqttState(StateError::OutgoingPacketTooLarge { .. }) = error
                && let Some(message) = asked.published.pop_front()
            {
                report(json!({"is": "refused", "name": message.name, "why": why}));
            }
            let what = if asked.stands {
                "disconnected"
            } else {
                "failed"
            };
            asked.stands = false;
            report(json!({"is": what, "why": why}));
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn incoming(packet: Incoming, asked: &mut Asked) {
    let messages = &mut asked.messages;
    match packet {
        Incoming::ConnAck(connack) => {
            asked.stands = true;
            report(json!({"is": "connected", "session": u8::from(connack.session_present)}));
        }
        Incoming::PubAck(ack) => {
            let reason = reason(&format!("{:?}", ack.reason));
            acked(messages, Awaits::PubAck, ack.pkid, reason);
        }
        Incoming::PubRec(ack) => {
            let reason = reason(&format!("{:?}", ack.reason));
            if reason >= 0x80 {
                acked(messages, Awaits::PubRec, ack.pkid, reason);
            } else if let Some(message) = messages.get_mut(&ack.pkid) {
                message.awaits = Awaits::PubComp;
            }
        }
        Incoming::PubComp(ack) => {
            let reason = reason(&format!("{:?}", ack.reason));
            acked(messages, Awaits::PubComp, ack.pkid, reason);
        }
        Incoming::SubAck(suback) => {
            if let Some(name) = asked.filters.remove(&suback.pkid) {
                let reason = match suback.return_codes.first() {
                    Some(SubscribeReasonCode::Success(qos)) => *qos as u8,
                    _ => 0x80,
                };
                report(json!({"is": "subscribed", "name": name, "reason": reason}));
            }
        }
        Incoming::Publish(message) => report(json!({
            "is": "message",
            "topic": String::from_utf8_lossy(&message.topic),
            "payload": String::from_utf8_lossy(&message.payload),
            "qos": message.qos as u8,
            "retain": u8::from(message.retain),
        })),
        _ => {}
    }
}

/// The end of an exchange, if the packet is the one that ends it: the loop tells of packets before it judges them.
fn acked(messages: &mut HashMap<u16, Message>, awaited: Awaits, id: u16, reason: u8) {
    if messages
        .get(&id)
        .is_some_and(|message| message.awaits == awaited)
        && let Some(message) = messages.remove(&id)
    {
        report(json!({"is": "acked", "name": message.name, "reason": reason}));
    }
}

/// The code of a reason, which rumqttc has by its name only.
fn reason(name: &str) -> u8 {
    match name {
        "Success" => 0x00,
        "NoMatchingSubscribers" => 0x10,
        "ImplementationSpecificError" => 0x83,
        "NotAuthorized" => 0x87,
        "TopicNameInvalid" => 0x90,
        "PacketIdentifierInUse" => 0x91,
        "PacketIdentifierNotFound" => 0x92,
        "QuotaExceeded" => 0x97,
        "PayloadFormatInvalid" => 0x99,
        _ => 0x80,
    }
}
