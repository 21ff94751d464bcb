//! The client's one task: it connects, runs the driver, passes events on, and connects again.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ohmqtt_codec::{Disconnect, Limits, ReasonCode};
use ohmqtt_driver::Driver;
use ohmqtt_session::{Backoff, ClientEvent, ClientSession, DisconnectCause, Instant};
use ohmqtt_transport::Transport;
use tracing::Instrument;

use crate::builder::Settings;
use crate::client::Shared;
use crate::error::{ConnectError, ConnectErrorKind};
use crate::publication::Acknowledgement;
use crate::state::ConnectionState;

/// So long may messages that nobody claims hold up others: time enough to declare subscriptions one after another.
const STUCK: Duration = Duration::from_secs(10);

/// A connection that stood this long makes the next wait short again.
const STABLE: Duration = Duration::from_secs(10);

/// Runs the client until it is closed, or until an error that no waiting mends.
pub(crate) fn run(shared: Arc<Shared>, settings: Settings) -> impl Future<Output = ()> {
    let span = tracing::info_span!("mqtt", address = %settings.endpoint);
    let error = shared.error(ConnectErrorKind::Closed);
    let mut end = End { shared, error };
    let run = async move {
        end.error = serve(&end.shared, settings).await;
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

async fn serve(shared: &Shared, settings: Settings) -> ConnectError {
    let limits = Limits::new(settings.max_packet_size);
    let on_event = |event| handle_event(shared, event);
    let mut driver = Driver::new(
        shared.handle.clone(),
        settings.store.clone(),
        limits,
        on_event,
    );
    let error = attempts(shared, &settings, &mut driver).await;
    // What was accepted is kept, whatever the process does next.
    driver.settle().await;
    error
}

async fn attempts<F: FnMut(ClientEvent)>(
    shared: &Shared,
    settings: &Settings,
    driver: &mut Driver<ClientSession, F>,
) -> ConnectError {
    let mut backoff = Backoff::new(settings.backoff, settings.seed);
    let mut attempt = 0;
    let mut last_error = None;
    loop {
        attempt += 1;
        let state = ConnectionState::Connecting {
            attempt,
            last_error: last_error.clone(),
        };
        shared.status.update(|status| status.connection = state);
        let connect_deadline = tokio::time::Instant::now() + settings.connect_timeout;
        let stream = tokio::select! {
            stream = connect(settings, connect_deadline) => stream,
            never = driver.idle() => match never {},
            () = closing_time(shared) => return shared.error(ConnectErrorKind::Closed),
        };
        let kind = match stream {
            Err(kind) => kind,
            Ok(stream) => {
                let began = tokio::time::Instant::now();
                let result = tokio::select! {
                    // The session hears of the stream before it is told to leave: to leave means nothing without one.
                    biased;
                    result = driver.run(stream) => result,
                    () = overdue(shared, connect_deadline) => Err(io::ErrorKind::TimedOut.into()),
                    never = drain(shared) => match never {},
                    never = unstick(shared) => match never {},
                };
                driver.disconnected();
                if is_connected(shared) {
                    attempt = 0;
                    if began.elapsed() >= STABLE {
                        backoff.reset();
                    }
                }
                match (shared.take_cause(), result) {
                    (DisconnectCause::Requested, _) => {
                        return shared.error(ConnectErrorKind::Closed);
                    }
                    (DisconnectCause::StreamEnded, Err(error))
                        if error.kind() == io::ErrorKind::TimedOut && !is_connected(shared) =>
                    {
                        ConnectErrorKind::Session(DisconnectCause::ConnectTimeout)
                    }
                    (DisconnectCause::StreamEnded, Err(error)) => {
                        ConnectErrorKind::Stream(Arc::new(error))
                    }
                    (cause, _) => ConnectErrorKind::Session(cause),
                }
            }
        };
        let error = shared.error(kind);
        tracing::info!(%error, "not connected");
        let give_up = !error.is_retryable();
        shared.status.update(|status| {
            status.tried = true;
            let last_error = Some(error.clone());
            status.connection = ConnectionState::Connecting {
                attempt,
                last_error,
            };
        });
        if give_up {
            return error;
        }
        last_error = Some(error);
        tokio::select! {
            () = tokio::time::sleep(backoff.next_wait()) => {}
            never = driver.idle() => match never {},
            () = closing_time(shared) => return shared.error(ConnectErrorKind::Closed),
        }
    }
}

async fn connect(
    settings: &Settings,
    deadline: tokio::time::Instant,
) -> Result<Box<dyn Transport>, ConnectErrorKind> {
    let connect = settings.connector.connect(&settings.endpoint);
    match tokio::time::timeout_at(deadline, connect).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(ConnectErrorKind::Transport(Arc::new(error))),
        Err(_) => Err(ConnectErrorKind::TimedOut),
    }
}

/// Whether the server has accepted the connection that stands, or stood last.
fn is_connected(shared: &Shared) -> bool {
    shared
        .status
        .read(|status| matches!(status.connection, ConnectionState::Connected { .. }))
}

/// Ends when the server has not accepted the connection in time: resolving, connecting and CONNACK share one deadline.
async fn overdue(shared: &Shared, deadline: tokio::time::Instant) {
    tokio::time::sleep_until(deadline).await;
    if is_connected(shared) {
        std::future::pending::<()>().await;
    }
}

/// Ends when the client is asked to close and has nothing to deliver, or has waited long enough.
async fn closing_time(shared: &Shared) {
    let mut deadline = shared.closing.until(|closing| *closing).await;
    loop {
        // A second call may shorten the wait.
        let sooner = |closing: &mut Option<Instant>| closing.filter(|other| *other != deadline);
        tokio::select! {
            () = shared.delivered() => return,
            () = tokio::time::sleep_until(shared.handle.clock().deadline(deadline)) => return,
            other = shared.closing.until(sooner) => deadline = other,
        }
    }
}

/// Waits until it is time to close, says DISCONNECT, and leaves the rest to the driver.
async fn drain(shared: &Shared) -> std::convert::Infallible {
    closing_time(shared).await;
    shared
        .handle
        .with(|session, _| session.disconnect(Disconnect::new(ReasonCode::NORMAL_DISCONNECTION)));
    std::future::pending().await
}

/// Lets messages pass that are held up by others nobody claims, once that has gone on for long.
async fn unstick(shared: &Shared) -> std::convert::Infallible {
    loop {
        shared.stuck.until(|stuck| stuck.then_some(())).await;
        tokio::time::sleep(STUCK).await;
        let mut routes = shared.routes();
        if routes.is_stuck(&shared.handle) {
            routes.let_pass();
        }
        shared.stuck.update(|stuck| *stuck = false);
    }
}

/// Where the session's events go. Runs on the task, with no lock held.
fn handle_event(shared: &Shared, event: ClientEvent) {
    match event {
        ClientEvent::Connected(connack) => {
            let session_present = connack.session_present;
            tracing::info!(session_present, "connected");
            {
                let mut routes = shared.routes();
                routes.connected(session_present);
                shared.reconcile(&mut routes);
            }
            shared.counters.connections.fetch_add(1, Ordering::Relaxed);
            shared.status.update(|status| {
                status.tried = true;
                status.connection = ConnectionState::Connected { session_present };
            });
        }
        ClientEvent::Disconnected(cause) => shared.put_cause(cause),
        ClientEvent::Message { message, receipt } => {
            shared.counters.received.fetch_add(1, Ordering::Relaxed);
            let mut routes = shared.routes();
            routes.dispatch(&shared.handle, message, receipt);
            shared.look_if_stuck(&routes);
        }
        ClientEvent::Accepted { ticket } => {
            shared.publications.accepted(ticket);
            shared.made_room();
        }
        ClientEvent::Sent { ticket } => {
            shared.publications.sent(ticket);
            shared.made_room();
        }
        ClientEvent::Acked {
            ticket,
            reason,
            properties,
        } => {
            shared
                .publications
                .end(ticket, Ok(Acknowledgement { reason, properties }));
            shared.made_room();
        }
        ClientEvent::Lost { ticket, why } => {
            shared.counters.lost.fetch_add(1, Ordering::Relaxed);
            shared.publications.end(ticket, Err(why));
            shared.made_room();
        }
        ClientEvent::Subscribed { ticket, suback } => shared
            .routes()
            .answered(ticket, suback.codes.iter().collect()),
        ClientEvent::RequestLost { ticket } => shared.routes().lost(ticket),
        ClientEvent::Unsubscribed { ticket, .. } => shared.routes().left(ticket),
        other => tracing::debug!(event = ?other, "not handled"),
    }
}
