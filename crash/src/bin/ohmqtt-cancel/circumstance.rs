//! Circumstances: what makes a future wait.

use std::fmt;
use std::num::NonZeroU16;
use std::time::Duration;

use ohmqtt_client::{ClientBuilder, ConnectionState, Durability, Qos};

use crate::subject::{FILLER, Subject};
use crate::world::World;
use crate::{Check, world};

/// What stands in the way of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Circumstance {
    Plain,
    /// The server takes one message at a time, and does not acknowledge that.
    QuotaExhausted,
    /// The outbox holds one message, and that is not acknowledged.
    OutboxFull,
    StoreSlow,
    /// The connection has ended, and there is no other.
    Offline,
    /// The connection ends after so many packets; the next is there at once.
    Cut,
}

/// How long a slow store takes for a batch.
const SLOW: Duration = Duration::from_millis(4);

/// More packets than that do not pass before a cut.
const MOST_PACKETS: usize = 5;

impl Circumstance {
    pub(crate) const ALL: [Self; 6] = [
        Self::Plain,
        Self::QuotaExhausted,
        Self::OutboxFull,
        Self::StoreSlow,
        Self::Offline,
        Self::Cut,
    ];

    /// Whether what was sent may be sent again, and what is QoS 0 may be lost.
    pub(crate) fn ends_connections(self) -> bool {
        matches!(self, Self::Offline | Self::Cut)
    }

    /// What the client is told of it before it is there.
    pub(crate) fn build(self, world: &World, builder: ClientBuilder) -> ClientBuilder {
        match self {
            Self::OutboxFull => builder.outbox(1, 64 * 1024),
            Self::StoreSlow => builder.store(world.store.clone(), Durability::Safe),
            _ => builder,
        }
    }

    /// What the server says before the client connects.
    pub(crate) fn receive_maximum(self) -> Option<NonZeroU16> {
        (self == Self::QuotaExhausted).then_some(NonZeroU16::MIN)
    }

    /// It begins. A client that is there is waited for until it feels it.
    pub(crate) async fn begin(self, world: &World, subject: &mut Subject) -> Check {
        match self {
            Self::Plain => {}
            Self::QuotaExhausted | Self::OutboxFull => {
                world.link.withhold(true);
                if let Some(client) = &subject.client {
                    let filler = client.publish(FILLER, FILLER).qos(Qos::AtLeastOnce);
                    let filler = filler.send().map_err(|error| error.to_string())?;
                    let sent = world::soon("the filler is sent", filler.sent()).await?;
                    sent.map_err(|error| error.to_string())?;
                    subject.filler = Some(filler);
                }
            }
            Self::StoreSlow => world.store.set(SLOW),
            Self::Offline => {
                world.link.refuse(true);
                world.link.cut();
                if let Some(client) = &subject.client {
                    let is_gone = |state: &ConnectionState| {
                        !matches!(state, ConnectionState::Connected { .. })
                    };
                    let gone = client.wait_for(is_gone);
                    world::soon("the connection ends", gone).await?;
                }
            }
            Self::Cut => {
                let passes = world.rng().usize(..=MOST_PACKETS);
                world.link.cut_after(passes);
            }
        }
        Ok(())
    }

    /// It ends.
    pub(crate) fn end(self, world: &World) {
        match self {
            Self::Plain => {}
            Self::QuotaExhausted | Self::OutboxFull => world.link.withhold(false),
            Self::StoreSlow => world.store.set(Duration::ZERO),
            Self::Offline => world.link.refuse(false),
            Self::Cut => world.link.cut_if_still_to_be_cut(),
        }
    }

    /// How long a future that is not woken may be about to be.
    pub(crate) fn patience(self) -> Duration {
        match self {
            Self::StoreSlow => 4 * SLOW,
            _ => Duration::from_millis(8),
        }
    }
}

impl fmt::Display for Circumstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::QuotaExhausted => "quota exhausted",
            Self::OutboxFull => "outbox full",
            Self::StoreSlow => "store slow",
            Self::Offline => "offline",
            Self::Cut => "link cut",
        })
    }
}
