//! What all connections share: the sessions, the subscriptions, the retained messages, and what is due when.
//!
//! One lock guards all of it. It is taken before the lock of a session's handle, never the other way, and never held across an await.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ohmqtt_codec::{Binary, ConnAckProperties, Connect, MqttString, ReasonCode, Will};
use ohmqtt_driver::{Clock, Handle, StoreLink, StoreLinks};
use ohmqtt_session::{Accept, Instant, ServerSession};
use ohmqtt_store::{Prefix, StoreError};
use tokio::sync::Notify;

use crate::access::{Access, Action, User};
use crate::connections::{ConnectionId, Connections};
use crate::identifier::Identifiers;
use crate::limits::Limits;
use crate::redelivery::{HandedOn, Leaving};
use crate::retained::Retained;
use crate::session::{Entry, SessionKey, Sessions};
use crate::store::Unsaved;
use crate::survey::Survey;
use crate::sys::Sys;
use crate::traffic::Traffic;
use crate::tree::{Matches, Tree};
use crate::will::{delay_of, message_of, standing_of};

/// The broker's state, and how its tasks wake each other.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) limits: Limits,
    pub(crate) clock: Clock,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) access: Arc<Access>,
    state: Mutex<State>,
    /// Something is due earlier than before.
    pub(crate) earlier: Notify,
    /// The last connection is gone.
    pub(crate) idle: Notify,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) limits: Limits,
    pub(crate) access: Arc<Access>,
    pub(crate) connections: Connections,
    pub(crate) sessions: Sessions,
    pub(crate) tree: Tree,
    pub(crate) retained: Retained,
    pub(crate) matches: Matches,
    /// Where sessions and retained messages are kept, if anywhere.
    pub(crate) store: Option<StoreLinks>,
    pub(crate) unsaved: Unsaved,
    /// Sessions that have ended and are still to be read for what they leave to others.
    pub(crate) leaving: Leaving,
    pub(crate) handed_on: HandedOn,
    pub(crate) survey: Survey,
    pub(crate) sys: Sys,
    identifiers: Identifiers,
    /// What clients that ask are told to begin their response topics with.
    pub(crate) response_information: Option<MqttString>,
    /// Where clients are sent instead.
    pub(crate) elsewhere: Option<MqttString>,
    /// The broker is being shut down.
    pub(crate) closing: bool,
}

/// A connection that became a client's.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) session: SessionKey,
    pub(crate) id: MqttString,
    pub(crate) user: User,
}

/// What a client that asks to connect is served with.
pub(crate) struct Asking<'a> {
    pub(crate) connection: ConnectionId,
    pub(crate) handle: &'a Handle<ServerSession>,
    /// Where the driver looks for the way to the store.
    pub(crate) link: &'a OnceLock<StoreLink>,
    pub(crate) user: User,
    /// What its method of authentication says at the end.
    pub(crate) data: Option<Binary>,
}

/// What a client that may connect is told once its new session is stored.
#[derive(Debug)]
pub(crate) struct Begun {
    client: Client,
    connection: ConnectionId,
    accept: Accept,
}

/// Longer Client Identifiers are refused: each is kept with its session.
const MAX_CLIENT_ID: usize = 1024;

impl Core {
    pub(crate) fn new(limits: Limits, access: Access, store: Option<StoreLinks>) -> Arc<Self> {
        let clock = Clock::new();
        let traffic = Arc::new(Traffic::default());
        let access = Arc::new(access);
        Arc::new(Self {
            state: Mutex::new(State {
                connections: Connections::default(),
                sessions: Sessions::new(),
                tree: Tree::new(),
                retained: Retained::new(&limits),
                matches: Matches::default(),
                store,
                unsaved: Unsaved::default(),
                leaving: Leaving::default(),
                handed_on: HandedOn::default(),
                survey: Survey::new(clock.now(), Arc::clone(&traffic)),
                sys: Sys::new(clock.now(), limits.sys_interval),
                identifiers: Identifiers::new(),
                response_information: None,
                elsewhere: None,
                closing: false,
                limits: limits.clone(),
                access: Arc::clone(&access),
            }),
            access,
            limits,
            clock,
            traffic,
            earlier: Notify::new(),
            idle: Notify::new(),
        })
    }

    /// Locks the state. A panic in the broker is a bug of ours, but no reason to take every client down with it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes wills, ends sessions and drops retained messages when their time has come. Never ends.
    pub(crate) async fn run_timers(self: &Arc<Self>) {
        loop {
            let next = self.with(|state, now| {
                state.handle_due(now);
                state.next_due()
            });
            let earlier = self.earlier.notified();
            match next.map(|at| self.clock.deadline(at)) {
                // An earlier deadline and the one that was slept for are looked at alike.
                Some(at) => drop(tokio::time::timeout_at(at, earlier).await),
                None => earlier.await,
            }
        }
    }
}

impl State {
    /// A client asks to connect: its session is resumed or begun, and the connection that had it is told to end. One that is begun is
    /// [accepted](Self::accept) behind this.
    pub(crate) fn connect(
        &mut self,
        now: Instant,
        asking: &Asking<'_>,
        connect: &Connect,
    ) -> Result<(Client, Option<Begun>), ReasonCode> {
        let (connection, handle) = (asking.connection, asking.handle);
        self.check(connection, connect)?;
        let mut properties = ConnAckProperties::default();
        self.limits.tell(&mut properties);
        // [MQTT-3.1.2-28] The session tells it only to who asked.
        if let Some(information) = &self.response_information {
            properties.set_response_information(information);
        }
        if let Some(longest) = self.limits.keep_alive
            && !(1..=longest.get()).contains(&connect.keep_alive)
        {
            // [MQTT-3.2.2-21] The client uses this one in place of its own.
            properties.set_server_keep_alive(longest.get());
        }
        let id = if connect.client_id.is_empty() {
            // [MQTT-3.1.3-6] [MQTT-3.1.3-7] A client without an identifier gets one, and is told. [MQTT-3.2.2-16] No session has it.
            let id = self
                .identifiers
                .next(|id| self.sessions.of_client(id).is_none());
            properties.set_assigned_client_identifier(&id);
            id
        } else {
            // What is kept is copied out of the buffer it was read into.
            MqttString::try_from(bytes::Bytes::copy_from_slice(connect.client_id.as_bytes()))
                .map_err(|_| ReasonCode::ClientIdentifierNotValid)?
        };
        self.check_rights(&id, &asking.user, connect)?;
        if let Some(method) = connect.properties.authentication_method()
            && let Ok(method) = MqttString::try_from(method)
        {
            // [MQTT-4.12.0-5] The session sees to the method's name.
            properties.set_authentication(&method, asking.data.as_ref());
        }
        let asked = connect.properties.session_expiry_interval().unwrap_or(0);
        let granted = self.grant(asked);
        if granted != asked {
            // 3.2.2.3.2: what is not as asked is told.
            properties.set_session_expiry_interval(granted);
        }
        // [MQTT-3.1.3-2] The identifier names the session.
        let old = self.sessions.of_client(&id);
        self.check_owner(old, &asking.user)?;
        self.check_room(old)?;
        let resumed = old.filter(|key| !connect.clean_start && self.is_kept(*key));
        let link = match (resumed.and_then(|key| self.sessions.get(key)), &self.store) {
            (Some(entry), _) if entry.link.is_some() => entry.link.clone(),
            (_, Some(store)) => Some(store.link(Prefix::session(&id))),
            (_, None) => None,
        };
        if let Some(link) = &link {
            // A connection asks once.
            let _ = asking.link.set(link.clone());
        }
        let will = connect.will.as_ref().filter(|_| self.store.is_some());
        let standing = will.and_then(standing_of);
        self.connections.promote(connection);
        if let Some(session) = resumed {
            let user = asking.user.clone();
            let entry = self.sessions.get(session);
            let is_another = entry.is_some_and(|entry| entry.user != user);
            let accept = Accept {
                session: self.take_over(session, asking, granted),
                properties,
            };
            if let Some(entry) = self.sessions.get_mut(session) {
                entry.standing = standing;
            }
            handle.with(|server, now| server.accept(now, accept));
            if is_another {
                self.doubt(session);
            } else {
                // What the connection before this one was told to ask about.
                self.review(session);
            }
            return Ok((Client { session, id, user }, None));
        }
        if let Some(key) = old {
            self.end_session(now, key);
        }
        // A session that ends with its connection is not stored.
        let link = link.filter(|_| granted > 0);
        let user = asking.user.clone();
        let mut begun = Entry::begin(id.clone(), handle.clone(), connection, link, granted);
        begun.user = user.clone();
        // [MQTT-3.1.2-7] Its will is, whatever becomes of the broker.
        begun.standing = standing;
        if begun.is_stored() {
            // Nor is anything left of an earlier one.
            self.unsaved.end(&id);
        }
        let session = self.sessions.insert(begun);
        self.touch(session);
        let client = Client { session, id, user };
        let begun = Begun {
            client: client.clone(),
            connection,
            accept: Accept {
                session: None,
                properties,
            },
        };
        Ok((client, Some(begun)))
    }

    /// Accepts a client whose session has begun, or refuses it if that could not be stored. Another connection may have come meanwhile.
    pub(crate) fn accept(&mut self, begun: Begun, stored: Result<(), StoreError>) {
        let client_id = begun.client.id.clone();
        let Some(begun) = self.leaving.hold(&client_id, begun) else {
            return;
        };
        let key = begun.client.session;
        let Some(entry) = self.sessions.get_mut(key) else {
            return;
        };
        if entry.connection != Some(begun.connection) {
            return;
        }
        match stored {
            Ok(()) => {
                entry.is_accepted = true;
                entry
                    .handle
                    .with(|server, now| server.accept(now, begun.accept));
            }
            Err(error) => {
                tracing::warn!(%error, client = %begun.client.id, "a client's session cannot be stored");
                let entry = self.sessions.remove(key);
                self.connections.demote(begun.connection);
                if let Some(entry) = entry {
                    self.unsaved.end(&entry.client_id);
                    let none = ConnAckProperties::default();
                    entry
                        .handle
                        .with(|server, _| server.refuse(ReasonCode::ServerUnavailable, none));
                }
            }
        }
    }

    /// A session may want something stored.
    pub(crate) fn touch(&mut self, key: SessionKey) {
        if let Some(entry) = self.sessions.get(key) {
            self.unsaved.touch(key, entry);
        }
    }

    /// What does not depend on who the client is.
    ///
    // [MQTT-3.1.4-2] [MQTT-4.12.0-4] A CONNECT that fails here is refused, and the session ends the connection.
    fn check(&self, connection: ConnectionId, connect: &Connect) -> Result<(), ReasonCode> {
        if self.closing {
            return Err(ReasonCode::ServerUnavailable);
        }
        // A connection that was cut to make room must not become a client's.
        if !self.connections.is_half_open(connection) {
            return Err(ReasonCode::ServerBusy);
        }
        // [MQTT-3.1.3-5] [MQTT-3.1.3-8] An identifier of any characters is accepted, to a length; others are refused.
        if connect.client_id.len() > MAX_CLIENT_ID {
            return Err(ReasonCode::ClientIdentifierNotValid);
        }
        let Some(will) = &connect.will else {
            return Ok(());
        };
        self.limits.check_will(will)?;
        if is_reserved(will.topic.as_bytes()) {
            return Err(ReasonCode::NotAuthorized);
        }
        Ok(())
    }

    /// What depends on who the client is.
    fn check_rights(
        &self,
        id: &MqttString,
        user: &User,
        connect: &Connect,
    ) -> Result<(), ReasonCode> {
        let will = connect.will.as_ref().map(|will| Action::Will {
            topic: will.topic.as_str(),
            qos: will.qos,
            retain: will.retain,
        });
        let mut actions = [Action::Connect].into_iter().chain(will);
        if actions.all(|action| self.access.allows(id, user, &action)) {
            Ok(())
        } else {
            Err(ReasonCode::NotAuthorized)
        }
    }

    /// Whether a session may become this user's.
    fn check_owner(&self, old: Option<SessionKey>, user: &User) -> Result<(), ReasonCode> {
        let entry = old.and_then(|key| self.sessions.get(key));
        if entry.is_none_or(|entry| entry.user.name().is_none() || entry.user == *user) {
            Ok(())
        } else {
            Err(ReasonCode::NotAuthorized)
        }
    }

    /// Whether one more client may connect, or one in place of a session's old connection.
    fn check_room(&self, old: Option<SessionKey>) -> Result<(), ReasonCode> {
        let replaces = old
            .and_then(|key| self.sessions.get(key))
            .is_some_and(|entry| entry.connection.is_some());
        if !replaces && self.connections.clients() >= self.limits.connections {
            return Err(ReasonCode::ServerBusy);
        }
        if old.is_none() && self.sessions.len() >= self.limits.sessions {
            return Err(ReasonCode::QuotaExceeded);
        }
        Ok(())
    }

    /// Whether a session outlives the connection it has.
    fn is_kept(&self, key: SessionKey) -> bool {
        self.sessions.get(key).is_some_and(|entry| {
            let connected = || entry.handle.read(ServerSession::session_expiry_interval) > 0;
            entry.is_accepted && (entry.connection.is_none() || connected())
        })
    }

    /// A session goes on over another connection.
    fn take_over(
        &mut self,
        key: SessionKey,
        asking: &Asking<'_>,
        granted: u32,
    ) -> Option<ohmqtt_session::Flows> {
        let entry = self.sessions.get_mut(key)?;
        let flows = entry
            .handle
            .with(|old, _| old.take_flows(ReasonCode::SessionTakenOver));
        entry.handle = asking.handle.clone();
        entry.user = asking.user.clone();
        let old = entry.connection.replace(asking.connection);
        // [MQTT-3.1.3-9] The client is back before the Will Delay Interval has passed: its will is not published.
        entry.set_will(None);
        entry.keep(granted, None);
        self.sessions.schedule(key);
        self.touch(key);
        if let Some(old) = old {
            self.connections.supersede(old);
        }
        Some(flows)
    }

    /// A connection has ended that was a client's.
    pub(crate) fn disconnected(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        client: &Client,
        will: Option<&Will>,
        session_expiry_interval: u32,
    ) {
        let interval = self.grant(session_expiry_interval);
        let delay = will.map_or(Duration::ZERO, delay_of);
        let will = will.map(message_of);
        let entry = self.sessions.get_mut(client.session);
        let Some(entry) = entry.filter(|entry| entry.connection == Some(connection)) else {
            // [MQTT-3.1.2-8] If the session has ended, the will is published whatever its delay; [MQTT-3.1.3-9] if it went on over
            // another connection, only one that was not to be delayed is.
            let is_superseded = self.connections.is_superseded(connection);
            if let Some(will) = will.filter(|_| !is_superseded || delay.is_zero()) {
                self.publish_will(now, &client.id, &client.user, &will);
            }
            return;
        };
        // [MQTT-3.1.2-23] The session is kept for its interval, [MQTT-4.1.0-2] and no longer.
        entry.connection = None;
        entry.expire_after(now, interval);
        if !entry.is_accepted {
            // It was not told that it had one.
            entry.expires = Some(now);
        }
        if self.closing && will.is_some() {
            // [MQTT-3.1.2-8] What becomes of both is for the next broker with this store: in it the will stands.
            self.touch(client.session);
            return;
        }
        entry.set_will(will.map(|will| (now + delay, will)));
        entry.standing = None;
        self.sessions.schedule(client.session);
        self.touch(client.session);
        // Without an interval the session ends here, and without a delay the will is published here.
        self.handle_due(now);
    }

    /// Does what is due by now.
    pub(crate) fn handle_due(&mut self, now: Instant) {
        let Self {
            retained, unsaved, ..
        } = self;
        retained.expire(now, |topic| unsaved.release(topic));
        if self.survey.is_due(now) {
            self.survey_sessions(now);
        }
        if self.sys.is_due(now) {
            self.publish_sys(now);
        }
        while let Some(key) = self.sessions.pop_due(now) {
            let Some(entry) = self.sessions.get_mut(key) else {
                continue;
            };
            if self.closing && entry.will.is_some() {
                // It waits in the store for the next broker.
                continue;
            }
            // [MQTT-4.1.0-1] Only a session without a connection has an end.
            if entry.expires.is_some_and(|at| at <= now) {
                self.end_session(now, key);
                continue;
            }
            let will = entry.set_will(None);
            let (client_id, user) = (entry.client_id.clone(), entry.user.clone());
            self.sessions.schedule(key);
            self.touch(key);
            if let Some((_, will)) = will {
                self.publish_will(now, &client_id, &user, &will);
            }
        }
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        let sessions = self.sessions.next_due();
        sessions
            .into_iter()
            .chain(self.retained.next_expiry())
            .chain(self.sys.next())
            .chain((self.sessions.len() > 0).then(|| self.survey.next()))
            .min()
    }

    /// Ends a session: its subscriptions go, its queue goes, but for what others of a group get, its connection ends if there is one, its will is published.
    pub(crate) fn end_session(&mut self, now: Instant, key: SessionKey) {
        let Some(entry) = self.sessions.remove(key) else {
            return;
        };
        let is_stored = entry.is_stored();
        let Entry {
            client_id,
            user,
            handle,
            connection,
            filters,
            will,
            ..
        } = entry;
        for filter in &filters {
            self.tree.unsubscribe(filter, key);
        }
        // [MQTT-3.1.4-3] A client that is there is told. Its will comes when its connection has ended.
        let mut flows = handle.with(|old, _| old.take_flows(ReasonCode::SessionTakenOver));
        if let Some(connection) = connection {
            self.connections.demote(connection);
        }
        let given = flows.give_back(now);
        self.survey.note_end(flows.counters());
        self.hand_on(now, &client_id, is_stored, given);
        // [MQTT-3.1.2-8] A will that was delayed is published when the session ends.
        if let Some((_, will)) = will {
            self.publish_will(now, &client_id, &user, &will);
        }
    }

    /// How long a session is kept of the seconds that were asked for.
    fn grant(&self, asked: u32) -> u32 {
        let longest = self.limits.session_expiry.map_or(u32::MAX, |longest| {
            u32::try_from(longest.as_secs()).unwrap_or(u32::MAX)
        });
        asked.min(longest)
    }
}

/// Topics that only the broker itself publishes to.
pub(crate) fn is_reserved(topic: &[u8]) -> bool {
    topic == b"$SYS" || topic.starts_with(b"$SYS/")
}
