//! One connection: the task that serves it, and what becomes of each event its session tells.

use std::future::{Future, poll_fn};
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use ohmqtt_codec::{
    Binary, ConnAckProperties, Connect, Disconnect, MqttString, PacketId, Qos, ReasonCode,
    ReasonCodes, Subscribe, SubscriptionId, SubscriptionOptions, TopicFilter, Unsubscribe,
};
use ohmqtt_driver::{Cell, Driver, Events, Handle, StoreLink};
use ohmqtt_session::{
    Instant, Message, OutboxLimits, Overflow, Receipt, ServerConfig, ServerEvent, ServerSession,
    Subscription, Window,
};
use ohmqtt_store::StoreError;
use ohmqtt_transport::{Accepted, Peer, PeerAddress};

use crate::access::{Login, Said, User, Way, converse};
use crate::connections::ConnectionId;
use crate::core::{Asking, Client, Core, State};
use crate::limits::{Limits, WhenFull};
use crate::routing::RetainedWanted;
use crate::session::SessionKey;
use crate::store::reason_of;
use crate::traffic::Counted;

/// Takes an accepted connection and serves it in a task of its own. `listener` is where it came to.
pub(crate) fn spawn(core: &Arc<Core>, accepted: Accepted, listener: &Arc<str>) {
    let mut state = core.lock();
    let config = session_config(&core.limits, state.store.is_some());
    let handle = Handle::new(ServerSession::new(core.clock.now(), config), core.clock);
    if state.closing {
        return;
    }
    state.connections.make_room(core.limits.half_open);
    let id = state.connections.next_id();
    let connection = Connection {
        core: Arc::clone(core),
        handle: handle.clone(),
        link: Arc::default(),
        owed: Arc::default(),
        packet_size: Arc::new(before_connect(&core.limits).get().into()),
        id,
        listener: Arc::clone(listener),
        peer: OnceLock::new(),
        said: Cell::new(None),
        client: OnceLock::new(),
    };
    let timeout = core.limits.connect_timeout;
    // The task waits for the lock that is held here before it does anything with its place among the connections.
    let task = tokio::spawn(serve(connection, accepted, timeout));
    state.connections.insert(id, task.abort_handle(), handle);
}

/// The largest packet of a connection that has no client.
fn before_connect(limits: &Limits) -> NonZeroU32 {
    limits.connect_packet_size.min(limits.packet_size)
}

/// Of what waits for a client, so much is in memory when there is a store: there are many clients.
const WINDOW: Window = Window {
    messages: 64,
    bytes: 256 * 1024,
};

/// What sessions are told; `durable`: that there is a store.
pub(crate) fn session_config(limits: &Limits, durable: bool) -> ServerConfig {
    let mut config = ServerConfig::default();
    config.connect_timeout = limits.connect_timeout;
    config.receive_maximum = limits.receive_maximum;
    config.maximum_packet_size = Some(limits.packet_size);
    config.topic_alias_maximum = limits.topic_aliases;
    config.outbox.limits = OutboxLimits {
        messages: limits.session_queue,
        bytes: limits.session_queue_bytes,
    };
    config.outbox.window = WINDOW;
    if limits.when_full == WhenFull::DropOldest {
        config.outbox.overflow = Overflow::DropOldest;
    }
    config.durable = durable;
    // The message itself is stored in one step with the record of its identifier.
    config.refuse_unstored = true;
    config
}

async fn serve(connection: Connection, accepted: Accepted, timeout: Duration) {
    let connection = Arc::new(connection);
    let place = Place {
        core: Arc::clone(&connection.core),
        id: connection.id,
    };
    let limits = ohmqtt_codec::Limits::default();
    let packet_size = Arc::clone(&connection.packet_size);
    let traffic = Arc::clone(&place.core.traffic);
    let handle = connection.handle.clone();
    let link = Arc::clone(&connection.link);
    let owed = Arc::clone(&connection.owed);
    let events = Arc::clone(&connection);
    let on_events = move |all: Events<'_, ServerEvent>| all.for_each(|event| events.handle(event));
    let mut driver = Driver::with_store_later(handle, link, limits, on_events);
    driver.wait_for_room(owed);
    driver.bound_packets(packet_size);
    driver.count_packets(Arc::clone(&traffic.packets));
    let mut running = Running { driver, place };
    let address = accepted.address;
    match tokio::time::timeout(timeout, accepted.handshake).await {
        Ok(Ok((stream, peer))) => {
            tracing::debug!(%address, "connection");
            let counted = Counted::new(stream, traffic);
            // There is one handshake.
            let _ = connection.peer.set(peer);
            let deadline = tokio::time::Instant::now() + timeout;
            let mut asking = pin!(converse(&connection, deadline, timeout));
            let mut serving = pin!(running.driver.run(Box::new(counted)));
            let asks = connection.core.access.asks();
            let ended = poll_fn(|cx| {
                if let Poll::Ready(ended) = serving.as_mut().poll(cx) {
                    return Poll::Ready(ended);
                }
                if asks {
                    // It never ends; its answers wake the driver.
                    let Poll::Pending = asking.as_mut().poll(cx);
                }
                Poll::Pending
            });
            let ended = ended.await;
            tracing::debug!(%address, error = ended.err().map(tracing::field::display), "connection ended");
        }
        Ok(Err(error)) => tracing::debug!(%address, %error, "handshake failed"),
        Err(_) => tracing::debug!(%address, "handshake not finished in time"),
    }
}

/// A connection's place among the others, given back however its task ends.
struct Place {
    core: Arc<Core>,
    id: ConnectionId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.core.lock();
        state.connections.remove(self.id);
        if state.connections.is_empty() {
            self.core.idle.notify_one();
        }
    }
}

/// A driver that tells of the end of its stream also when its task is cut off. Its events come before the place is given back.
struct Running<F: FnMut(Events<'_, ServerEvent>)> {
    driver: Driver<ServerSession, F>,
    #[expect(dead_code, reason = "it is there to be dropped")]
    place: Place,
}

impl<F: FnMut(Events<'_, ServerEvent>)> Drop for Running<F> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.driver.disconnected();
        }
    }
}

/// What the events of a connection act on.
pub(crate) struct Connection {
    core: Arc<Core>,
    handle: Handle<ServerSession>,
    /// The way to the store, once it is known whose session this is.
    link: Arc<OnceLock<StoreLink>>,
    /// How many requests of this connection the store is busy with. While that is behind, no more of them are read.
    owed: Arc<AtomicUsize>,
    /// The largest packet that is read, in bytes.
    packet_size: Arc<AtomicU32>,
    id: ConnectionId,
    /// The URL of the listener it came to.
    listener: Arc<str>,
    /// Known when the handshakes below MQTT are done.
    peer: OnceLock<Peer>,
    /// What the client said that somebody is to be asked about.
    pub(crate) said: Cell<Option<Said>>,
    /// Who it is, once CONNECT is accepted.
    client: OnceLock<Client>,
}

impl Connection {
    fn handle(&self, event: ServerEvent) {
        match event {
            ServerEvent::Connect(_) if self.redirects() => {}
            ServerEvent::Connect(connect) => self.handle_connect(connect),
            ServerEvent::Authenticate { data } => {
                self.said.update(|said| *said = Some(Said::Auth(data)));
            }
            ServerEvent::Message { message, receipt } => self.handle_message(&message, receipt),
            ServerEvent::Subscribe(subscribe) => self.handle_subscribe(&subscribe),
            ServerEvent::Unsubscribe(unsubscribe) => self.handle_unsubscribe(&unsubscribe),
            ServerEvent::Disconnected {
                cause,
                will,
                session_expiry_interval,
            } => {
                let Some(client) = self.client.get() else {
                    return;
                };
                tracing::debug!(client = %client.id, %cause, "client disconnected");
                self.core.with(|state, now| {
                    let will = will.as_deref();
                    state.disconnected(now, self.id, client, will, session_expiry_interval);
                });
            }
            ServerEvent::Doubts => {
                if let Some(client) = self.client.get() {
                    self.core.with(|state, _| state.review(client.session));
                }
            }
            // Deliveries have no ticket, because nobody here waits for them.
            _ => {}
        }
    }

    /// Refuses the client if it is to go elsewhere: tells whether that is so.
    fn redirects(&self) -> bool {
        let Some(server) = self.core.lock().elsewhere.clone() else {
            return false;
        };
        let mut properties = ConnAckProperties::default();
        properties.set_server_reference(&server);
        self.handle
            .with(|session, _| session.refuse(ReasonCode::UseAnotherServer, properties));
        true
    }

    fn handle_connect(&self, connect: Box<Connect>) {
        let access = &self.core.access;
        let way = self.peer.get().ok_or(ReasonCode::UnspecifiedError);
        match way.and_then(|peer| access.way(&connect, peer)) {
            Ok(Way::Known(user)) => self.admit(&connect, user, None),
            Ok(way) => self
                .said
                .update(|said| *said = Some(Said::Connect(connect, way))),
            Err(reason) => self.refuse(&connect, reason, None),
        }
    }

    /// What is known of the client that asks to connect.
    pub(crate) fn login(&self, connect: &Connect) -> Login {
        let peer = self.peer.get().cloned();
        let peer = peer.unwrap_or_else(|| Peer::new(PeerAddress::Local));
        Login::new(connect, peer, Arc::clone(&self.listener))
    }

    /// It is known who asks to connect. `data` is what a method of authentication says at the end.
    pub(crate) fn admit(&self, connect: &Connect, user: User, data: Option<Binary>) {
        let asking = Asking {
            connection: self.id,
            handle: &self.handle,
            link: &self.link,
            user,
            data,
        };
        let result = self.core.with_then(
            |state, now| {
                let result = check_will(&state.limits, connect);
                match result.and_then(|()| state.connect(now, &asking, connect)) {
                    Ok((client, begun)) => (Ok(client), begun),
                    Err(reason) => (Err(reason), None),
                }
            },
            |state, _, begun, stored| {
                if let Some(begun) = begun {
                    state.accept(begun, stored);
                }
            },
        );
        match result {
            Ok(client) => {
                tracing::debug!(client = %client.id, user = client.user.name(), "client connected");
                let packet_size = self.core.limits.packet_size.get();
                self.packet_size.store(packet_size, Ordering::Relaxed);
                // It connects once.
                let _ = self.client.set(client);
            }
            Err(reason) => self.refuse(connect, reason, None),
        }
    }

    /// Refuses the client that asks to connect. `data` is what a method of authentication says of it.
    pub(crate) fn refuse(&self, connect: &Connect, reason: ReasonCode, data: Option<Binary>) {
        tracing::debug!(client = %connect.client_id, %reason, "client refused");
        let mut properties = ConnAckProperties::default();
        let method = connect.properties.authentication_method();
        if let (Some(Ok(method)), Some(data)) = (method.map(MqttString::try_from), data) {
            properties.set_authentication(&method, Some(&data));
        }
        // [MQTT-3.1.4-6] The session ends the connection behind this, and takes nothing more.
        self.handle
            .with(|session, _| session.refuse(reason, properties));
    }

    /// A method of authentication asks the client for more.
    pub(crate) fn challenge(&self, data: Option<&Binary>) {
        self.handle.with(|session, _| session.authenticate(data));
    }

    /// The client has authenticated itself again: as the user it was, or not at all.
    pub(crate) fn admit_again(&self, user: &User, data: Option<&Binary>) {
        if self.client.get().is_some_and(|client| client.user == *user) {
            self.handle.with(|session, _| session.authenticated(data));
        } else {
            self.expel();
        }
    }

    /// The client has not authenticated itself again.
    pub(crate) fn expel(&self) {
        // [MQTT-4.12.1-2] That ends the connection.
        let disconnect = Disconnect::new(ReasonCode::NotAuthorized);
        self.handle
            .with(|session, _| session.disconnect(disconnect));
    }

    fn handle_message(&self, message: &Message, receipt: Option<Receipt>) {
        let Some(client) = self.client.get() else {
            return;
        };
        let session = client.session;
        self.change(
            |state, now| {
                let properties = &message.properties;
                let (bytes, user) = (properties.as_bytes(), properties.user_properties());
                let reason = if state.limits.allow_properties(bytes, user) {
                    state.publish(now, client, message)
                } else {
                    ReasonCode::QuotaExceeded
                };
                let receipt = receipt?;
                // That the message has come is stored in one step with what becomes of it, so that it comes once: the session holds PUBREC
                // back until then. Who has no stored session is answered when the message is.
                if message.qos == Qos::ExactlyOnce && state.is_durable(session) {
                    state.acknowledge(session, receipt, reason);
                    state.touch(session);
                    return None;
                }
                Some((receipt, reason))
            },
            move |state, _, answer, stored| {
                if let Some((receipt, reason)) = answer {
                    let reason = stored.map_or_else(|error| reason_of(&error), |()| reason);
                    state.acknowledge(session, receipt, reason);
                }
            },
        );
    }

    fn handle_subscribe(&self, subscribe: &Subscribe) {
        let Some(client) = self.current() else {
            return;
        };
        let maximum = self.core.limits.maximum_qos;
        // [MQTT-3.2.2-10] Any QoS may be asked for; more than the maximum is not granted.
        let up_to = |(filter, mut options): (TopicFilter, SubscriptionOptions)| {
            options.qos = options.qos.min(maximum);
            (filter, options)
        };
        let mut asked = Subscribing {
            handle: self.handle.clone(),
            session: client.session,
            packet_id: subscribe.packet_id,
            filters: subscribe.filters.iter().map(up_to).collect(),
            allowed: Vec::new(),
            identifier: subscribe.properties.subscription_identifier(),
        };
        self.change(
            |state, _| {
                // Asked once, so that what is granted is what is stored.
                asked.allowed = state.may_subscribe(asked.session, &asked.filters);
                state.keep_subscriptions(asked.session, asked.allowed(), asked.identifier);
                asked
            },
            |state, now, asked, stored| asked.grant(state, now, stored),
        );
    }

    fn handle_unsubscribe(&self, unsubscribe: &Unsubscribe) {
        let Some(client) = self.current() else {
            return;
        };
        let (session, handle) = (client.session, self.handle.clone());
        let packet_id = unsubscribe.packet_id;
        let filters: Vec<_> = unsubscribe.filters.iter().collect();
        self.change(
            |state, _| {
                state.forget_subscriptions(session, &filters);
                filters
            },
            move |state, _, filters, stored| {
                // [MQTT-3.10.4-6] [MQTT-3.11.3-1] One code for each filter, in their order.
                let codes = filters.iter().map(|filter| match &stored {
                    Err(_) => ReasonCode::ImplementationSpecificError,
                    Ok(()) if state.unsubscribe(session, filter) => ReasonCode::Success,
                    Ok(()) => ReasonCode::NoSubscriptionExisted,
                });
                if let Some(codes) = ReasonCodes::from_iter_nonempty(codes) {
                    handle.with(|session, _| session.unsuback(packet_id, codes));
                }
            },
        );
    }

    /// Does what the client asks for, and calls `then` when that is stored or has failed.
    fn change<C: Send + 'static>(
        &self,
        call: impl FnOnce(&mut State, Instant) -> C,
        then: impl FnOnce(&mut State, Instant, C, Result<(), StoreError>) + Send + 'static,
    ) {
        let owed = Arc::clone(&self.owed);
        owed.fetch_add(1, Ordering::Relaxed);
        self.core.with_then(
            |state, now| ((), call(state, now)),
            move |state, now, carried, stored| {
                owed.fetch_sub(1, Ordering::Relaxed);
                then(state, now, carried, stored);
            },
        );
    }

    /// The client, unless its session has gone to another connection: then what came over this one is nobody's word any more.
    fn current(&self) -> Option<&Client> {
        let client = self.client.get()?;
        let state = self.core.lock();
        let entry = state.sessions.get(client.session)?;
        (entry.connection == Some(self.id)).then_some(client)
    }
}

/// Whether the will of a client has no more properties than it may.
fn check_will(limits: &Limits, connect: &Connect) -> Result<(), ReasonCode> {
    let properties = connect.will.as_ref().map(|will| &will.properties);
    let allowed = properties
        .is_none_or(|will| limits.allow_properties(will.as_bytes(), will.user_properties()));
    allowed.then_some(()).ok_or(ReasonCode::QuotaExceeded)
}

/// A SUBSCRIBE whose subscriptions are being stored.
struct Subscribing {
    handle: Handle<ServerSession>,
    session: SessionKey,
    packet_id: PacketId,
    filters: Vec<(TopicFilter, SubscriptionOptions)>,
    /// Which of these the client may subscribe to.
    allowed: Vec<bool>,
    identifier: Option<SubscriptionId>,
}

impl Subscribing {
    /// Those of the filters that the client may subscribe to.
    fn allowed(&self) -> impl Iterator<Item = &(TopicFilter, SubscriptionOptions)> {
        let each = self.filters.iter().zip(&self.allowed);
        each.filter_map(|(filter, is_allowed)| is_allowed.then_some(filter))
    }

    /// Subscribes, unless that could not be stored, and says so.
    fn grant(self, state: &mut State, now: Instant, stored: Result<(), StoreError>) {
        let granted = match stored {
            Ok(()) => {
                let each = self.filters.iter().zip(&self.allowed);
                let one = |(filter, is_allowed): (_, &bool)| {
                    if *is_allowed {
                        state.subscribe(self.session, filter, self.identifier)
                    } else {
                        (ReasonCode::NotAuthorized, RetainedWanted::No)
                    }
                };
                each.map(one).collect()
            }
            Err(error) => vec![(reason_of(&error), RetainedWanted::No); self.filters.len()],
        };
        // [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.9.3-1] One code for each filter, in their order.
        let codes = granted.iter().map(|(code, _)| *code);
        if let Some(codes) = ReasonCodes::from_iter_nonempty(codes) {
            self.handle
                .with(|session, _| session.suback(self.packet_id, codes));
        }
        // [MQTT-3.8.4-4] Retained messages as each filter asks.
        for ((filter, options), (_, wanted)) in self.filters.iter().zip(&granted) {
            if *wanted == RetainedWanted::Yes {
                let subscription = Subscription {
                    options: *options,
                    identifier: self.identifier,
                };
                state.deliver_retained(now, self.session, filter, subscription);
            }
        }
    }
}
