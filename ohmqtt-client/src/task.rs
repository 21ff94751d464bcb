//! The client's one task: it connects, runs the driver, passes events on, and connects again.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ohmqtt_codec::{Disconnect, Limits, ReasonCode};
use ohmqtt_driver::Driver;
use ohmqtt_session::{Backoff, ClientEvent, ClientSession, DisconnectCause};
use ohmqtt_transport::Transport;
use tracing::Instrument;

use crate::builder::Settings;
use crate::client::Shared;
use crate::error::{ConnectError, ConnectErrorKind};
use crate::publication::Acknowledgement;
use crate::state::ConnectionState;

/// A connection that stood this long makes the next wait short again.
const STABLE: Duration = Duration::from_secs(10);

/// Runs the client until it is closed, or until an error that no waiting mends.
pub(crate) fn run(shared: Arc<Shared>, settings: Settings) -> impl Future<Output = ()> {
    let span = tracing::info_span!("mqtt", address = %settings.endpoint);
    let error = shared.error(ConnectErrorKind::Closed);
    let mut end = End { shared, error };
    let run = async move { end.error = attempts(&end.shared, settings).await };
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

async fn attempts(shared: &Arc<Shared>, settings: Settings) -> ConnectError {
    let limits = Limits::new(settings.max_packet_size);
    let on_event = |event| handle_event(shared, event);
    let mut driver = Driver::new(
        shared.handle.clone(),
        settings.store.clone(),
        limits,
        on_event,
    );
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
        let stream = tokio::select! {
            stream = connect(&settings) => stream,
            never = driver.idle() => match never {},
            () = closing_time(shared) => return shared.error(ConnectErrorKind::Closed),
        };
        let kind = match stream {
            Err(kind) => kind,
            Ok(stream) => {
                let began = tokio::time::Instant::now();
                let result = tokio::select! {
                    result = driver.run(stream) => result,
                    never = drain(shared) => match never {},
                };
                if began.elapsed() >= STABLE {
                    attempt = 0;
                    backoff.reset();
                }
                match (shared.take_cause(), result) {
                    (DisconnectCause::Requested, _) => {
                        return shared.error(ConnectErrorKind::Closed);
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

async fn connect(settings: &Settings) -> Result<Box<dyn Transport>, ConnectErrorKind> {
    match tokio::time::timeout(
        settings.connect_timeout,
        settings.connector.connect(&settings.endpoint),
    )
    .await
    {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(ConnectErrorKind::Transport(Arc::new(error))),
        Err(_) => Err(ConnectErrorKind::TimedOut),
    }
}

/// Whether nothing is left to be delivered.
fn is_done(shared: &Shared) -> bool {
    shared.handle.read(ClientSession::queued).0 == 0
}

/// Ends when the client is asked to close and has nothing to deliver, or has waited long enough.
async fn closing_time(shared: &Shared) {
    loop {
        let deadline = shared.status.until(|status| status.closing).await;
        // A second call may have shortened the wait.
        let changed = shared
            .status
            .until(|status| (is_done(shared) || status.closing != Some(deadline)).then_some(()));
        let in_time = tokio::time::timeout_at(shared.handle.clock().deadline(deadline), changed)
            .await
            .is_ok();
        if !in_time || is_done(shared) {
            return;
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

/// Where the session's events go. Runs on the task, with no lock held.
fn handle_event(shared: &Shared, event: ClientEvent) {
    match event {
        ClientEvent::Connected(connack) => {
            let session_present = connack.session_present;
            tracing::info!(session_present, "connected");
            {
                let mut routes = shared.routes();
                routes.connected(session_present);
                routes.reconcile(&shared.handle);
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
            shared.routes().dispatch(&shared.handle, message, receipt);
        }
        ClientEvent::Accepted { ticket } => shared.publications.accepted(ticket),
        ClientEvent::Sent { ticket } => {
            if shared.publications.sent(ticket) {
                shared.made_room();
            }
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
        ClientEvent::Unsubscribed { .. } => {}
        other => tracing::debug!(event = ?other, "not handled"),
    }
}
