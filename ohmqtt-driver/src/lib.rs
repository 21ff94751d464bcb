//! The one loop that joins a session, a store and a transport. Internal to ohmqtt: client and broker share it, nobody else should.
//!
//! It moves packets, operations, events and time between the parts. It knows no rule of MQTT, and holds no lock while it waits.

mod cell;
mod clock;
mod counts;
mod driver;
mod handle;
mod spare;
mod store_link;
mod timer;

pub use cell::{Cell, Until};
pub use clock::Clock;
pub use counts::PacketCounts;
pub use driver::Driver;
pub use handle::Handle;
pub use store_link::{Gathered, Health, Held, StoreLink, StoreLinks};
