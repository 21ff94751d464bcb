//! A client over a plain `std::net::TcpStream`: no async runtime, no thread. It connects, subscribes, publishes at QoS 2 to itself, receives
//! that, disconnects, and prints what happened.
//!
//! `cargo run -p ohmqtt-session --example sans_io -- 127.0.0.1:1883`
//!
//! The loop is the one that the crate's front page tells; a real client would also reconnect.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use ohmqtt_codec::{
    Disconnect, EncodeBuf, Filters, Limits, Qos, ReasonCode, SubscribeProperties,
    SubscriptionOptions, TopicFilter, TopicName, decode,
};
use ohmqtt_session::{
    ClientConfig, ClientEvent, ClientSession, DisconnectCause, Instant, Message, PublishOptions,
    Session, Ticket,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PATIENCE: Duration = Duration::from_secs(10);
const SUBSCRIBED: Ticket = Ticket(1);
const PUBLISHED: Ticket = Ticket(2);

fn main() -> Result<()> {
    let Some(address) = std::env::args().nth(1) else {
        return Err("say where the broker is, such as 127.0.0.1:1883".into());
    };
    let stream = TcpStream::connect(&address).map_err(|error| format!("{address}: {error}"))?;
    stream.set_nodelay(true)?;
    let clock = Clock::new()?;
    let name = format!("sans-io-{}", clock.now().unix_micros());
    let topic = TopicName::new(format!("ohmqtt/{name}"))?;
    let mut link = Link {
        session: ClientSession::new(ClientConfig::new(name.as_str().try_into()?)),
        stream,
        clock,
        read: BytesMut::new(),
        write: EncodeBuf::new(),
        ended: false,
    };

    link.session.handle_connected(link.clock.now());
    link.until("the server accepts the connection", |event| {
        matches!(event, ClientEvent::Connected(_))
    })?;

    let filter = TopicFilter::new(topic.as_str())?;
    let filters = Filters::new(&filter, SubscriptionOptions::new(Qos::ExactlyOnce))?;
    link.session
        .subscribe(filters, SubscribeProperties::default(), SUBSCRIBED)?;
    link.until("the subscription is answered", |event| {
        matches!(event, ClientEvent::Subscribed { .. })
    })?;

    let mut message = Message::new(topic, "once, and only once");
    message.qos = Qos::ExactlyOnce;
    let options = PublishOptions {
        ticket: PUBLISHED,
        ..PublishOptions::default()
    };
    link.session.publish(link.clock.now(), message, options)?;
    let (mut acked, mut received) = (false, false);
    link.until("the message is acknowledged, and here", |event| {
        acked |= matches!(event, ClientEvent::Acked { .. });
        received |= matches!(event, ClientEvent::Message { .. });
        acked && received
    })?;

    link.session
        .disconnect(Disconnect::new(ReasonCode::NORMAL_DISCONNECTION));
    link.until("the connection ends", |event| {
        matches!(event, ClientEvent::Disconnected(DisconnectCause::Requested))
    })?;
    println!("sans_io: ok");
    Ok(())
}

/// A session, its stream, and what is on its way between them.
struct Link {
    session: ClientSession,
    stream: TcpStream,
    clock: Clock,
    read: BytesMut,
    write: EncodeBuf,
    ended: bool,
}

impl Link {
    /// Goes round the loop until an event is the one that is awaited.
    fn until(
        &mut self,
        what: &str,
        mut is_awaited: impl FnMut(&ClientEvent) -> bool,
    ) -> Result<()> {
        let give_up = self.clock.now() + PATIENCE;
        loop {
            // There is no store, so nothing is polled for one.
            while let Some(packet) = self.session.poll_packet(self.clock.now()) {
                println!("> {}", packet.packet_type());
                packet.encode(&mut self.write)?;
            }
            self.flush()?;
            while let Some(event) = self.session.poll_event() {
                self.handle(&event);
                if is_awaited(&event) {
                    return Ok(());
                }
                if let ClientEvent::Disconnected(cause) = event {
                    return Err(format!("waiting until {what}: {cause}").into());
                }
            }
            let now = self.clock.now();
            if self.session.poll_close() || self.ended {
                self.session.handle_disconnected(now);
            } else if now >= give_up {
                return Err(format!("waited {PATIENCE:?} until {what}").into());
            } else {
                self.wait(give_up)?;
            }
        }
    }

    /// What an application does with an event.
    fn handle(&mut self, event: &ClientEvent) {
        match event {
            ClientEvent::Message { message, receipt } => {
                let text = String::from_utf8_lossy(&message.payload);
                println!("  message on {}: {text}", message.topic.as_str());
                if let Some(receipt) = *receipt {
                    self.session.acknowledge(receipt, ReasonCode::Success);
                }
            }
            ClientEvent::Acked { reason, .. } => println!("  acknowledged: {reason}"),
            ClientEvent::Subscribed { suback, .. } => {
                let codes: Vec<_> = suback.codes.iter().map(ReasonCode::name).collect();
                println!("  subscribed: {}", codes.join(", "));
            }
            ClientEvent::Connected(_) => println!("  connected"),
            ClientEvent::Disconnected(cause) => println!("  {cause}"),
            _ => {}
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.write.is_empty() {
            let piece = self.write.slices().next().unwrap_or_default();
            let written = self.stream.write(piece)?;
            self.write.advance(written);
        }
        Ok(())
    }

    /// Waits for bytes or for the session's next deadline, and passes on what came.
    fn wait(&mut self, give_up: Instant) -> Result<()> {
        let now = self.clock.now();
        let deadline = self.session.poll_timeout().unwrap_or(give_up).min(give_up);
        // A timeout of zero would be none.
        let timeout = deadline.since(now).max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(timeout))?;
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(0) => self.ended = true,
            Ok(n) => self.read.extend_from_slice(&chunk[..n]),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock
                        | io::ErrorKind::TimedOut
                        | io::ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error.into()),
        }
        let now = self.clock.now();
        while self.session.is_ready() {
            match decode(&mut self.read, &Limits::default()) {
                Ok(Some(packet)) => {
                    println!("< {}", packet.packet_type());
                    self.session.handle_packet(now, packet);
                }
                Ok(None) => break,
                Err(error) => {
                    self.session.handle_malformed(now, error);
                    break;
                }
            }
        }
        self.session.handle_timeout(now);
        Ok(())
    }
}

/// The wall clock as it was read once, carried on by a monotonic one.
struct Clock {
    wall: u64,
    start: std::time::Instant,
}

impl Clock {
    fn new() -> Result<Self> {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH)?;
        Ok(Self {
            wall: u64::try_from(wall.as_micros())?,
            start: std::time::Instant::now(),
        })
    }

    fn now(&self) -> Instant {
        Instant::from_unix_micros(self.wall) + self.start.elapsed()
    }
}
