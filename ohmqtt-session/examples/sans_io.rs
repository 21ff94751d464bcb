//! A client without any runtime: the session, the codec, and a plain blocking `TcpStream`.
//!
//! ```sh
//! cargo run -p ohmqtt-session --example sans_io -- 127.0.0.1:1883
//! ```
//!
//! It subscribes to a topic of its own, publishes one message there at each QoS, receives them, and says goodbye. The loop in
//! `turn` is the whole of the I/O; everything else is asking the session and answering its events.

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use ohmqtt_codec::{
    Disconnect, EncodeBuf, Filters, Limits, MqttString, Qos, ReasonCode, SubscribeProperties,
    SubscriptionOptions, TopicFilter, TopicName, decode,
};
use ohmqtt_session::{
    ClientConfig, ClientEvent, ClientSession, Instant, Message, PublishOptions, Session, Ticket,
};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// One session on one stream.
struct Connection {
    session: ClientSession,
    stream: TcpStream,
    read: BytesMut,
    write: EncodeBuf,
}

fn main() -> ExitCode {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:1883".to_owned());
    match talk(&address) {
        Ok(()) => {
            println!("sans_io: ok");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("sans_io: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The conversation; ends with an error that says what went wrong.
pub(crate) fn talk(address: &str) -> Result {
    let name = format!("sans-io-{}", std::process::id());
    let topic = TopicName::new(&name)?;
    let config = ClientConfig::new(MqttString::try_from(name.as_str())?);
    let mut connection = Connection {
        session: ClientSession::new(config),
        stream: TcpStream::connect(address)?,
        read: BytesMut::new(),
        write: EncodeBuf::new(),
    };
    connection.session.handle_connected(now());
    // Three messages, and the acknowledgements of the two above QoS 0.
    let mut awaited = 5;
    while awaited > 0 {
        match connection.next_event()? {
            ClientEvent::Connected(_) => {
                let options = SubscriptionOptions::new(Qos::ExactlyOnce);
                let filters = Filters::new(&TopicFilter::new(&name)?, options)?;
                let properties = SubscribeProperties::default();
                connection
                    .session
                    .subscribe(filters, properties, Ticket::NONE)?;
            }
            ClientEvent::Subscribed { .. } => {
                for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
                    let mut message = Message::new(topic.clone(), "hello");
                    message.qos = qos;
                    let options = PublishOptions {
                        ticket: Ticket(1 + u64::from(u8::from(qos))),
                        ..PublishOptions::default()
                    };
                    connection.session.publish(now(), message, options)?;
                }
            }
            ClientEvent::Acked { ticket, reason, .. } => {
                println!("acknowledged at QoS {}: {reason}", ticket.0 - 1);
                awaited -= 1;
            }
            ClientEvent::Message { message, receipt } => {
                println!("received at QoS {}", u8::from(message.qos));
                if let Some(receipt) = receipt {
                    connection.session.acknowledge(receipt, ReasonCode::Success);
                }
                awaited -= 1;
            }
            ClientEvent::Disconnected(cause) => return Err(cause.into()),
            _ => {}
        }
    }
    let goodbye = Disconnect::new(ReasonCode::NORMAL_DISCONNECTION);
    connection.session.disconnect(goodbye);
    while !connection.turn()? {}
    Ok(())
}

impl Connection {
    fn next_event(&mut self) -> Result<ClientEvent> {
        loop {
            if let Some(event) = self.session.poll_event() {
                return Ok(event);
            }
            if self.turn()? {
                self.session.handle_disconnected(now());
            }
        }
    }

    /// Everything that is due, once; true when the stream has ended, or is to end.
    fn turn(&mut self) -> Result<bool> {
        while let Some(packet) = self.session.poll_packet(now()) {
            packet.encode(&mut self.write)?;
        }
        for piece in self.write.slices() {
            self.stream.write_all(piece)?;
        }
        self.write.clear();
        if self.session.poll_close() {
            return Ok(true);
        }
        let patience = match self.session.poll_timeout() {
            Some(deadline) => deadline.since(now()).max(Duration::from_millis(1)),
            None => Duration::from_secs(60),
        };
        self.stream.set_read_timeout(Some(patience))?;
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(0) => return Ok(true),
            Ok(n) => self.read.extend_from_slice(&chunk[..n]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                self.session.handle_timeout(now());
            }
            Err(error) => return Err(error.into()),
        }
        loop {
            match decode(&mut self.read, &Limits::default()) {
                Ok(Some(packet)) => self.session.handle_packet(now(), packet),
                Ok(None) => return Ok(false),
                Err(error) => {
                    self.session.handle_malformed(now(), error);
                    return Ok(false);
                }
            }
        }
    }
}

/// Good enough for a short program; one that runs for long reads the wall clock once and goes on by a monotonic one.
fn now() -> Instant {
    let since_epoch = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Instant::from_unix_micros(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
}
