//! The one loop that joins a session, a store and a transport. Internal to ohmqtt: client and broker share it, nobody else should.
//!
//! It moves packets, operations, events and time between the parts. It knows no rule of MQTT, and holds no lock while it waits.
//!
//! ```
//! use ohmqtt_codec::{Disconnect, Limits, Qos, ReasonCode, TopicName};
//! use ohmqtt_driver::{Clock, Driver, Events, Handle};
//! use ohmqtt_session::*;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Two sessions, a driver each, and a stream between them.
//! let clock = Clock::new();
//! let client = Handle::new(ClientSession::new(ClientConfig::new("sensor".try_into()?)), clock);
//! let server = Handle::new(ServerSession::new(clock.now(), ServerConfig::default()), clock);
//!
//! // Events come on the driver's task, as many as there are at once, with no lock held: they may call the session.
//! let (asked, told) = (client.clone(), server.clone());
//! let serve = move |events: Events<'_, ServerEvent>| {
//!     events.for_each(|event| match event {
//!         ServerEvent::Connect(_) => told.with(|session, now| session.accept(now, Accept::default())),
//!         ServerEvent::Message { receipt: Some(receipt), .. } => {
//!             told.with(|session, _| session.acknowledge(receipt, ReasonCode::Success));
//!         }
//!         _ => {}
//!     });
//! };
//! let ask = move |mut events: Events<'_, ClientEvent>| {
//!     if events.any(|event| matches!(event, ClientEvent::Acked { ticket: Ticket(1), .. })) {
//!         asked.with(|session, _| session.disconnect(Disconnect::new(ReasonCode::NORMAL_DISCONNECTION)));
//!     }
//! };
//! let mut serving = Driver::new(server, None, Limits::default(), serve);
//! let mut driving = Driver::new(client.clone(), None, Limits::default(), ask);
//!
//! let mut message = Message::new(TopicName::new("greeting")?, "hello");
//! message.qos = Qos::ExactlyOnce;
//! let options = PublishOptions { ticket: Ticket(1), ..PublishOptions::default() };
//! client.with(|session, now| session.publish(now, message, options))?;
//!
//! let (near, far) = tokio::io::duplex(1024);
//! let (near, far) = tokio::join!(driving.run(Box::new(near)), serving.run(Box::new(far)));
//! near.and(far)?;
//! # Ok(())
//! # }
//! ```

mod cell;
mod clock;
mod counts;
mod driver;
mod handle;
mod pacing;
mod spare;
mod store_link;
mod timer;

pub use cell::{Cell, Until};
pub use clock::Clock;
pub use counts::PacketCounts;
pub use driver::{Driver, Events};
pub use handle::Handle;
pub use store_link::{Gathered, Health, Held, StoreLink, StoreLinks};
