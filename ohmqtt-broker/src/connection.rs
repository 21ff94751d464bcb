//! One connection: the task that serves it, and what becomes of each event its session tells.

use std::sync::Arc;
use std::time::Duration;

use ohmqtt_codec::{ConnAckProperties, Connect, ReasonCode, ReasonCodes, Subscribe, Unsubscribe};
use ohmqtt_driver::{Driver, Handle};
use ohmqtt_session::{
    Message, OutboxLimits, Receipt, ServerConfig, ServerEvent, ServerSession, Subscription,
};
use ohmqtt_transport::Accepted;

use crate::connections::ConnectionId;
use crate::core::{Client, Core};
use crate::limits::Limits;
use crate::routing::RetainedWanted;

/// Takes an accepted connection and serves it in a task of its own.
pub(crate) fn spawn(core: &Arc<Core>, accepted: Accepted) {
    let config = session_config(&core.limits);
    let handle = Handle::new(ServerSession::new(core.clock.now(), config), core.clock);
    let mut state = core.lock();
    if state.closing {
        return;
    }
    state.connections.make_room(core.limits.half_open);
    let id = state.connections.next_id();
    let connection = Connection {
        core: Arc::clone(core),
        handle: handle.clone(),
        id,
        client: None,
    };
    let timeout = core.limits.connect_timeout;
    // The task waits for the lock that is held here before it does anything with its place among the connections.
    let task = tokio::spawn(serve(connection, accepted, timeout));
    state.connections.insert(id, task.abort_handle(), handle);
}

fn session_config(limits: &Limits) -> ServerConfig {
    let mut config = ServerConfig::default();
    config.connect_timeout = limits.connect_timeout;
    config.receive_maximum = limits.receive_maximum;
    config.maximum_packet_size = Some(limits.packet_size);
    config.topic_alias_maximum = limits.topic_aliases;
    config.outbox.limits = OutboxLimits {
        messages: limits.session_queue,
        bytes: limits.session_queue_bytes,
    };
    config
}

async fn serve(mut connection: Connection, accepted: Accepted, timeout: Duration) {
    let place = Place {
        core: Arc::clone(&connection.core),
        id: connection.id,
    };
    let limits = ohmqtt_codec::Limits::new(place.core.limits.packet_size.get());
    let handle = connection.handle.clone();
    let driver = Driver::new(handle, None, limits, move |event| connection.handle(event));
    let mut running = Running { driver, place };
    let address = accepted.address;
    match tokio::time::timeout(timeout, accepted.handshake).await {
        Ok(Ok((stream, _peer))) => {
            tracing::debug!(%address, "connection");
            let ended = running.driver.run(stream).await;
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
struct Running<F: FnMut(ServerEvent)> {
    driver: Driver<ServerSession, F>,
    #[expect(dead_code, reason = "it is there to be dropped")]
    place: Place,
}

impl<F: FnMut(ServerEvent)> Drop for Running<F> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.driver.disconnected();
        }
    }
}

/// What the events of a connection act on.
struct Connection {
    core: Arc<Core>,
    handle: Handle<ServerSession>,
    id: ConnectionId,
    /// Who it is, once CONNECT is accepted.
    client: Option<Client>,
}

impl Connection {
    fn handle(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::Connect(connect) => self.handle_connect(&connect),
            ServerEvent::Message { message, receipt } => self.handle_message(&message, receipt),
            ServerEvent::Subscribe(subscribe) => self.handle_subscribe(&subscribe),
            ServerEvent::Unsubscribe(unsubscribe) => self.handle_unsubscribe(&unsubscribe),
            ServerEvent::Disconnected {
                cause,
                will,
                session_expiry_interval,
            } => {
                let Some(client) = self.client.take() else {
                    return;
                };
                tracing::debug!(client = %client.id, %cause, "client disconnected");
                self.core.with(|state, now| {
                    let will = will.as_deref();
                    state.disconnected(now, self.id, &client, will, session_expiry_interval);
                });
            }
            // Deliveries have no ticket, because nobody here waits for them.
            _ => {}
        }
    }

    fn handle_connect(&mut self, connect: &Connect) {
        let result = self
            .core
            .with(|state, now| state.connect(now, self.id, &self.handle, connect));
        match result {
            Ok(client) => {
                tracing::debug!(client = %client.id, "client connected");
                self.client = Some(client);
            }
            Err(reason) => {
                // [MQTT-3.1.4-6] The session ends the connection behind this, and takes nothing more.
                tracing::debug!(client = %connect.client_id, %reason, "client refused");
                self.handle
                    .with(|session, _| session.refuse(reason, ConnAckProperties::default()));
            }
        }
    }

    fn handle_message(&self, message: &Message, receipt: Option<Receipt>) {
        let Some(client) = &self.client else {
            return;
        };
        self.core.with(|state, now| {
            let reason = state.publish(now, &client.id, message);
            let Some(receipt) = receipt else {
                return;
            };
            // The session may have gone to another connection meanwhile, and the answer is its.
            if let Some(entry) = state.sessions.get(client.session) {
                entry
                    .handle
                    .with(|session, _| session.acknowledge(receipt, reason));
            }
        });
    }

    fn handle_subscribe(&self, subscribe: &Subscribe) {
        let Some(client) = self.current() else {
            return;
        };
        let filters: Vec<_> = subscribe.filters.iter().collect();
        let identifier = subscribe.properties.subscription_identifier();
        self.core.with(|state, now| {
            let granted = state.subscribe(client.session, &filters, identifier);
            // [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.9.3-1] One code for each filter, in their order.
            let codes = granted.iter().map(|(code, _)| *code);
            if let Some(codes) = ReasonCodes::from_iter_nonempty(codes) {
                self.handle
                    .with(|session, _| session.suback(subscribe.packet_id, codes));
            }
            // [MQTT-3.8.4-4] Retained messages as each filter asks.
            for ((filter, options), (_, wanted)) in filters.iter().zip(&granted) {
                if *wanted == RetainedWanted::Yes {
                    let options = *options;
                    let subscription = Subscription {
                        options,
                        identifier,
                    };
                    state.deliver_retained(now, client.session, filter, subscription);
                }
            }
        });
    }

    fn handle_unsubscribe(&self, unsubscribe: &Unsubscribe) {
        let Some(client) = self.current() else {
            return;
        };
        self.core.with(|state, _| {
            // [MQTT-3.10.4-6] [MQTT-3.11.3-1] One code for each filter, in their order.
            let codes = unsubscribe.filters.iter().map(|filter| {
                if state.unsubscribe(client.session, &filter) {
                    ReasonCode::Success
                } else {
                    ReasonCode::NoSubscriptionExisted
                }
            });
            if let Some(codes) = ReasonCodes::from_iter_nonempty(codes) {
                self.handle
                    .with(|session, _| session.unsuback(unsubscribe.packet_id, codes));
            }
        });
    }

    /// The client, unless its session has gone to another connection: then what came over this one is nobody's word any more.
    fn current(&self) -> Option<&Client> {
        let client = self.client.as_ref()?;
        let state = self.core.lock();
        let entry = state.sessions.get(client.session)?;
        (entry.connection == Some(self.id)).then_some(client)
    }
}
