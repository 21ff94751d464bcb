//! The client's one task: it runs the driver on one connection after the other, passes events on, and closes.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use ohmqtt_codec::{Disconnect, Limits};
use ohmqtt_driver::{Driver, Events, StoreLink};
use ohmqtt_session::{ClientEvent, Instant};
use tracing::Instrument;

use crate::attempts::{attempts, is_connected};
use crate::auth::Heard;
use crate::builder::Settings;
use crate::client::Shared;
use crate::error::{ConnectError, ConnectErrorKind};
use crate::events::Event;
use crate::parking::Leave;
use crate::publication::Acknowledgement;
use crate::routes::Routes;
use crate::state::ConnectionState;

/// So long may messages that nobody claims hold up others: time enough to declare subscriptions one after another.
const STUCK: Duration = Duration::from_secs(10);

/// Runs the client until it is closed, or until an error that no waiting mends.
///
/// Without settings it is parked first.
pub(crate) fn run(
    shared: Arc<Shared>,
    first: Option<Box<Settings>>,
    store: Option<StoreLink>,
) -> impl Future<Output = ()> {
    let client_id = shared
        .core
        .handle
        .read(|session| session.client_id().clone());
    let span = tracing::info_span!("mqtt", client_id = client_id.as_str());
    let error = shared.error(ConnectErrorKind::Closed);
    let mut end = End { shared, error };
    let run = async move {
        end.error = serve(&end.shared, first, store).await;
        drop(end);
    };
    run.instrument(span)
}

/// Tells everyone who waits that the task has ended. A runtime that is shut down drops the task wherever it stands.
struct End {
    shared: Arc<Shared>,
    error: ConnectError,
}

impl Drop for End {
    fn drop(&mut self) {
        self.shared.end(self.error.clone());
    }
}

async fn serve(
    shared: &Shared,
    first: Option<Box<Settings>>,
    store: Option<StoreLink>,
) -> ConnectError {
    let on_events = |events: Events<'_, ClientEvent>| handle_events(shared, events);
    let handle = shared.core.handle.clone();
    let mut driver = Driver::new(handle, store, Limits::default(), on_events);
    let packet_size = Arc::new(AtomicU32::default());
    driver.bound_packets(Arc::clone(&packet_size));
    let mut parks = first.is_none();
    let mut next = first;
    let error = loop {
        if let Some(mut settings) = next.take() {
            packet_size.store(settings.max_packet_size, Ordering::Relaxed);
            let error = attempts(shared, &mut settings, &mut driver).await;
            let asked = shared.parking.has_left();
            parks |= asked || settings.one_connection;
            if shared.core.is_closing() || !parks {
                break error;
            }
            shared.parked((!asked).then_some(error));
        }
        next = tokio::select! {
            settings = shared.parking.resumed() => Some(settings),
            never = driver.idle() => match never {},
            // What is accepted stays where it is: nobody is going to deliver it.
            _ = shared.core.closing.until(|closing| *closing) => {
                break shared.error(ConnectErrorKind::Closed);
            }
        };
    };
    // What was accepted is kept, whatever the process does next.
    driver.settle().await;
    error
}

/// Ends when the client is asked to close and has nothing to deliver, or has waited long enough.
pub(crate) async fn closing_time(shared: &Shared) {
    let deadline = shared.core.closing.until(|closing| *closing).await;
    // While nobody asks for the end, there is to be no room for it.
    Box::pin(closing(shared, deadline)).await;
}

async fn closing(shared: &Shared, mut deadline: Instant) {
    loop {
        // A second call may shorten the wait.
        let sooner = |closing: &mut Option<Instant>| closing.filter(|other| *other != deadline);
        tokio::select! {
            () = shared.core.delivered() => return,
            () = tokio::time::sleep_until(shared.core.handle.clock().deadline(deadline)) => return,
            other = shared.core.closing.until(sooner) => deadline = other,
        }
    }
}

/// Ends when the client is asked to park and has nothing to deliver, or has waited long enough; at once where there is no connection.
/// Returns the DISCONNECT to be said.
async fn parking_time(shared: &Shared) -> Disconnect {
    let Leave {
        deadline,
        disconnect,
    } = *shared.parking.asked().await;
    if is_connected(shared) {
        let end = shared.core.handle.clock().deadline(deadline);
        let delivered = tokio::time::timeout_at(end, shared.core.delivered());
        // Done or not, it is time.
        let _ = Box::pin(delivered).await;
    }
    disconnect
}

/// Ends when it is time to close, or to park.
pub(crate) async fn leaving_time(shared: &Shared) {
    tokio::select! {
        () = closing_time(shared) => {}
        _ = parking_time(shared) => {}
    }
}

/// Waits until it is time to leave the server, says DISCONNECT, and leaves the rest to the driver.
pub(crate) async fn drain(shared: &Shared) -> std::convert::Infallible {
    let last_word = tokio::select! {
        () = closing_time(shared) => shared.core.last_word(),
        last_word = parking_time(shared) => last_word,
    };
    shared
        .core
        .handle
        .with(|session, _| session.disconnect(last_word));
    std::future::pending().await
}

/// Lets messages pass that are held up by others nobody claims, once that has gone on for long.
pub(crate) async fn unstick(shared: &Shared) -> std::convert::Infallible {
    loop {
        shared.stuck.until(|stuck| stuck.then_some(())).await;
        Box::pin(tokio::time::sleep(STUCK)).await;
        let mut routes = shared.routes();
        if routes.is_stuck() {
            routes.let_pass();
        }
        shared.stuck.update(|stuck| *stuck = false);
    }
}

/// Where the session's events go. Runs on the task, with no lock held.
fn handle_events(shared: &Shared, events: Events<'_, ClientEvent>) {
    let mut made_room = false;
    // What is told of messages in a row is noted under one lock, which is not held for anything else.
    let mut hearing = None;
    let hear = || shared.core.publications.hear();
    // So are messages that came, and these are routed.
    let mut routing: Option<MutexGuard<'_, Routes>> = None;
    let settle = |routing: &mut Option<MutexGuard<'_, Routes>>| {
        if let Some(routes) = routing.take() {
            shared.look_if_stuck(&routes);
        }
    };
    for event in events {
        if let ClientEvent::Message { message, receipt } = event {
            hearing = None;
            let routes = routing.get_or_insert_with(|| shared.routes());
            routes.dispatch(message, receipt);
            continue;
        }
        settle(&mut routing);
        match event {
            ClientEvent::Accepted { ticket } => hearing.get_or_insert_with(hear).accepted(ticket),
            ClientEvent::Sent { ticket } => hearing.get_or_insert_with(hear).sent(ticket),
            ClientEvent::Acked {
                ticket,
                packet_id,
                reason,
                properties,
            } => {
                let acknowledgement = Acknowledgement {
                    packet_id: Some(packet_id),
                    reason,
                    properties,
                };
                hearing
                    .get_or_insert_with(hear)
                    .ended(ticket, Ok(acknowledgement));
            }
            ClientEvent::Lost { ticket, why } => {
                shared.core.counters.lost.fetch_add(1, Ordering::Relaxed);
                hearing.get_or_insert_with(hear).ended(ticket, Err(why));
            }
            other => {
                hearing = None;
                if !handle_event(shared, other) {
                    continue;
                }
            }
        }
        made_room = true;
    }
    drop(hearing);
    settle(&mut routing);
    if made_room {
        shared.made_room();
    }
}

/// True when there may be more room in the outbox, or a Packet Identifier.
fn handle_event(shared: &Shared, event: ClientEvent) -> bool {
    match event {
        ClientEvent::Connected(connack) => {
            let session_present = connack.session_present;
            let assigned = connack.properties.assigned_client_identifier();
            tracing::info!(session_present, assigned, "connected");
            let information = connack.properties.response_information();
            shared.requests.connected(information);
            {
                let mut routes = shared.routes();
                routes.connected(session_present);
                shared.reconcile(&mut routes);
            }
            shared
                .core
                .counters
                .connections
                .fetch_add(1, Ordering::Relaxed);
            let address = shared.status.update(|status| {
                status.tried = true;
                status.turn(ConnectionState::Connected { session_present });
                status.server.clone()
            });
            shared.core.events.ring(Event::Connected {
                address,
                session_present,
                connack,
            });
        }
        ClientEvent::Authenticate { data } => shared.auth.hear(Heard::Challenge(data)),
        ClientEvent::Verify { data } => shared.auth.hear(Heard::Accepted(data)),
        ClientEvent::Authenticated { data } => shared.auth.hear(Heard::AcceptedAgain(data)),
        ClientEvent::SessionLost {
            messages,
            bytes,
            sent,
        } => {
            tracing::warn!(messages, bytes, sent, "the server has lost the session");
            shared.core.events.ring(Event::SessionLost {
                messages,
                bytes,
                sent,
            });
        }
        ClientEvent::Disconnected(cause) => shared.put_cause(cause),
        ClientEvent::Subscribed { ticket, suback } => {
            shared.routes().answered(ticket, suback);
            return true;
        }
        ClientEvent::RequestLost { ticket } => shared.routes().lost(ticket),
        ClientEvent::Unsubscribed { ticket, unsuback } => {
            shared.routes().left(ticket, unsuback);
            return true;
        }
        other => tracing::debug!(event = ?other, "not handled"),
    }
    false
}
