//! A client that connects when it is told to: parked before, and in between.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ohmqtt_codec::{Disconnect, MqttString};
use ohmqtt_driver::{Cell, StoreLink};
use ohmqtt_session::Instant;
use ohmqtt_store::{Prefix, Store, StoreError};

use crate::builder::{ClientBuilder, Parts, Settings};
use crate::client::{Client, Shared};
use crate::error::{ConfigError, ConnectError};
use crate::events::Event;
use crate::state::ConnectionState;

/// What is kept beside a session whose identifier is not known in advance: the identifier it had last.
const IDENTIFIER: u8 = 0;

/// What the client was told of leaving and of connecting.
pub(crate) struct Parking {
    asked: Cell<Asked>,
}

#[derive(Default)]
struct Asked {
    leave: Option<Box<Leave>>,
    resume: Option<Box<Settings>>,
    /// Until the client has closed.
    store: Option<StoreLink>,
}

/// To be parked.
#[derive(Clone, Debug)]
pub(crate) struct Leave {
    /// Until when messages may be delivered.
    pub(crate) deadline: Instant,
    /// What is said then.
    pub(crate) disconnect: Disconnect,
}

/// A client was not resumed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// The settings are wrong. The client is as it was.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The client has a connection, or tries to have one.
    #[error("resume: the client is not parked: park it first, and wait until it is")]
    NotParked,
    /// The client is closed.
    #[error("resume: the client is closed")]
    Closed,
}

impl Client {
    /// Leaves the server and connects to none before [`resume`](Self::resume). What is queued is delivered first, for at most `timeout`;
    /// an attempt to connect is given up at once. Messages and subscriptions stay, and more may be given to it.
    ///
    /// It returns at once: [`state`](Self::state) is [`ConnectionState::Parked`] when it is done. What is parked or closed already stays so.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = ohmqtt_broker::Broker::builder().listen("mqtt://127.0.0.1:0").start().await?;
    /// use std::time::Duration;
    /// use ohmqtt_client::{Client, ConnectionState, Disconnect, ReasonCode};
    ///
    /// let client = Client::connect(broker.url()).await?;
    /// client.park(Duration::from_secs(5), Disconnect::new(ReasonCode::NORMAL_DISCONNECTION));
    /// client.wait_for(|state| matches!(state, ConnectionState::Parked { .. })).await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn park(&self, timeout: Duration, disconnect: Disconnect) {
        let shared = self.shared();
        let leave = Leave {
            deadline: shared.core.now() + timeout,
            disconnect,
        };
        shared.parking.asked.update(|asked| {
            asked.leave.get_or_insert(leave.into());
        });
    }

    /// Connects as this builder says: its servers, Client Identifier, credentials, will, properties of CONNECT, time limits. What it says
    /// of the store and the outbox counts for nothing, nor does its response prefix.
    ///
    /// With another Client Identifier, or with a clean start, what was accepted under the session so far fares as
    /// [`session_loss`](ClientBuilder::session_loss) said when the client was made. What was accepted before there was a session goes out in this one.
    pub fn resume(&self, with: ClientBuilder) -> Result<(), ResumeError> {
        let Parts {
            session, settings, ..
        } = with.into_parts()?;
        let shared = self.shared();
        if shared.core.is_closing() {
            return Err(ResumeError::Closed);
        }
        let is_parked = shared.status.update(|status| {
            let is_parked = matches!(status.connection, ConnectionState::Parked { .. });
            if is_parked {
                status.tried = false;
                status.turn(ConnectionState::Connecting {
                    attempt: 0,
                    last_error: None,
                });
            }
            is_parked
        });
        if !is_parked {
            return Err(ResumeError::NotParked);
        }
        let client_id = session.connect.client_id.clone();
        let receive_maximum = settings.receive_maximum;
        shared.parking.remember(&client_id);
        shared.core.set_anonymous(client_id.is_empty());
        shared
            .auth
            .set_authenticator(settings.login.authenticator.is_some());
        shared
            .receive_maximum
            .store(receive_maximum, Ordering::Relaxed);
        shared.routes().set_receive_maximum(receive_maximum);
        shared
            .core
            .handle
            .with(|own, _| own.reconfigure(session.connect, session.connect_timeout));
        shared.parking.asked.update(|asked| {
            // It was for what is over.
            asked.leave = None;
            asked.resume = Some(Box::new(settings));
        });
        Ok(())
    }
}

impl Parking {
    pub(crate) fn new(store: Option<StoreLink>) -> Self {
        let asked = Asked {
            store,
            ..Asked::default()
        };
        Self {
            asked: Cell::new(asked),
        }
    }

    /// Waits until the client is asked to leave.
    pub(crate) async fn asked(&self) -> Box<Leave> {
        self.asked.until(|asked| asked.leave.clone()).await
    }

    /// Whether it was asked to, and has now done so.
    pub(crate) fn has_left(&self) -> bool {
        self.asked.update(|asked| asked.leave.take()).is_some()
    }

    /// Waits until the client is told how to connect.
    pub(crate) async fn resumed(&self) -> Box<Settings> {
        self.asked.until(|asked| asked.resume.take()).await
    }

    /// Remembers whose session the store keeps, where its place does not say so.
    fn remember(&self, client_id: &MqttString) {
        self.asked.read(|asked| {
            if let Some(store) = &asked.store
                && *store.prefix() == unnamed()
            {
                store.attach(IDENTIFIER, client_id.as_bytes());
            }
        });
    }

    /// The client has closed: its store closes with its last user.
    pub(crate) fn end(&self) {
        self.asked.update(|asked| *asked = Asked::default());
    }
}

impl Shared {
    /// There is no connection, and none is tried from now on.
    pub(crate) fn parked(&self, error: Option<ConnectError>) {
        let told = error.clone();
        self.status.update(|status| {
            status.tried = true;
            status.next_attempt = None;
            status.turn(ConnectionState::Parked { error });
        });
        self.core.events.ring(Event::Parked { error: told });
    }
}

/// Where the session of a client stands that has no identifier of its own.
fn unnamed() -> Prefix {
    Prefix::session(&MqttString::default())
}

/// The identifier that the session at this place had last; empty: it has had none.
pub(crate) fn remembered(store: &dyn Store, prefix: &Prefix) -> Result<MqttString, StoreError> {
    let key = prefix.attachment(IDENTIFIER, &[]);
    let mut found = MqttString::default();
    store.scan(&key, &key, &mut |_, value| {
        if let Some(id) = std::str::from_utf8(value)
            .ok()
            .and_then(|id| id.try_into().ok())
        {
            found = id;
        }
        ControlFlow::Break(())
    })?;
    Ok(found)
}

impl fmt::Debug for Parking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parking").finish_non_exhaustive()
    }
}
