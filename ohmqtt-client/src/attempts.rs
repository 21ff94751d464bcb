//! From one connection to the next: connecting to one server after the other, running the driver, waiting. Which server is next is
//! decided in `servers`, what may not be tried again in `error`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ohmqtt_driver::{Driver, Events};
use ohmqtt_session::{Backoff, ClientEvent, ClientSession, DisconnectCause, ProtocolError};
use ohmqtt_transport::{Endpoint, Phase, Transport, TransportError, TransportErrorKind};
use tokio::time::Instant;
use tracing::Instrument;

use crate::auth::{converse, explain};
use crate::builder::Settings;
use crate::client::Shared;
use crate::error::{ConnectError, ConnectErrorKind};
use crate::events::Event;
use crate::servers::{Step, Stood};
use crate::state::ConnectionState;
use crate::task::{drain, leaving_time, unstick};

/// A connection that stood this long makes the next wait short again.
const STABLE: Duration = Duration::from_secs(10);

/// Connects and connects again until the client is closed or nothing is worth trying.
pub(crate) async fn attempts<F: FnMut(Events<'_, ClientEvent>)>(
    shared: &Shared,
    settings: &mut Settings,
    driver: &mut Driver<ClientSession, F>,
) -> ConnectError {
    let mut backoff = Backoff::new(settings.backoff, settings.seed);
    let mut last_error = None;
    let mut attempt = 0;
    let mut step = settings.servers.next();
    let mut wait = Duration::ZERO;
    loop {
        let server = match step {
            Step::Try(server) => server,
            Step::Stop => {
                return last_error.unwrap_or_else(|| shared.error(ConnectErrorKind::Closed));
            }
            Step::Wait => {
                shared.status.update(|status| status.tried = true);
                tokio::select! {
                    () = Box::pin(tokio::time::sleep(wait)) => {
                        step = settings.servers.next();
                        continue;
                    }
                    never = driver.idle() => match never {},
                    () = leaving_time(shared) => return shared.error(ConnectErrorKind::Closed),
                }
            }
        };
        attempt += 1;
        let address = server.to_string();
        shared.status.update(|status| {
            status.server.clone_from(&address);
            status.next_attempt = None;
            status.turn(ConnectionState::Connecting {
                attempt,
                last_error: last_error.clone(),
            });
        });
        let span = tracing::info_span!("connection", %address);
        span.in_scope(|| tracing::debug!(attempt, "connecting"));
        let Ended { kind, stood } = connection(shared, settings, driver, &server)
            .instrument(span)
            .await;
        let mut error = ConnectError { kind, address };
        if let ConnectErrorKind::Closed = error.kind {
            return error;
        }
        let mends = settings.login.may_mend(&error, stood) || error.is_retryable();
        if let Some(kind) = settings.servers.ended(&server, &error, stood, mends) {
            error.kind = kind;
        }
        if stood != Stood::Never {
            attempt = 0;
        }
        if stood == Stood::Long {
            backoff.reset();
        }
        step = match settings.servers.next() {
            Step::Wait if settings.one_connection => Step::Stop,
            step => step,
        };
        wait = match step {
            Step::Wait => backoff.next_wait(),
            Step::Try(_) | Step::Stop => Duration::ZERO,
        };
        let retry_in = (!matches!(step, Step::Stop)).then_some(wait);
        tracing::info!(%error, ?retry_in, "not connected");
        shared.status.update(|status| {
            status.next_attempt = retry_in.map(|wait| Instant::now() + wait);
            status.turn(ConnectionState::Connecting {
                attempt,
                last_error: Some(error.clone()),
            });
        });
        shared.auth.ended(&error);
        shared.core.events.ring(match stood {
            Stood::Never => Event::ConnectFailed {
                error: error.clone(),
                retry_in,
            },
            Stood::Briefly | Stood::Long => Event::Disconnected {
                error: error.clone(),
                retry_in,
            },
        });
        last_error = Some(error);
    }
}

/// How a connection, or an attempt at one, ended.
struct Ended {
    kind: ConnectErrorKind,
    stood: Stood,
}

/// Connects to a server and serves the connection until its end.
async fn connection<F: FnMut(Events<'_, ClientEvent>)>(
    shared: &Shared,
    settings: &mut Settings,
    driver: &mut Driver<ClientSession, F>,
    server: &Endpoint,
) -> Ended {
    let never = |kind| Ended {
        kind,
        stood: Stood::Never,
    };
    let timeout = settings.connect_timeout;
    let deadline = Instant::now() + timeout;
    let stream = tokio::select! {
        stream = Box::pin(connect(shared, settings, server, deadline)) => stream,
        never = driver.idle() => match never {},
        () = leaving_time(shared) => return never(ConnectErrorKind::Closed),
    };
    let stream = match stream {
        Ok(stream) => stream,
        Err(kind) => return never(kind),
    };
    let began = Instant::now();
    let result = tokio::select! {
        // The session hears of the stream before it is told to leave: to leave means nothing without one.
        biased;
        result = driver.run(stream) => result,
        never = converse(shared, &mut settings.login, deadline, timeout) => match never {},
        () = overdue(shared, deadline) => Err(io::ErrorKind::TimedOut.into()),
        never = drain(shared) => match never {},
        never = unstick(shared) => match never {},
    };
    driver.disconnected();
    let stood = match is_connected(shared) {
        false => Stood::Never,
        true if began.elapsed() < STABLE => Stood::Briefly,
        true => Stood::Long,
    };
    let kind = reason(server, shared.take_cause(), result, stood);
    let kind = explain(&shared.auth, &mut settings.login, kind);
    Ended { kind, stood }
}

async fn connect(
    shared: &Shared,
    settings: &mut Settings,
    server: &Endpoint,
    deadline: Instant,
) -> Result<Box<dyn Transport>, ConnectErrorKind> {
    settings
        .login
        .prepare(&shared.core.handle, deadline)
        .await?;
    let connect = settings.connector.connect(server);
    match tokio::time::timeout_at(deadline, connect).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(ConnectErrorKind::Transport(Arc::new(error))),
        Err(_) => Err(ConnectErrorKind::TimedOut),
    }
}

/// Why a connection ended, by what the session and the stream say of it.
fn reason(
    server: &Endpoint,
    cause: DisconnectCause,
    result: io::Result<()>,
    stood: Stood,
) -> ConnectErrorKind {
    match (cause, result) {
        (DisconnectCause::Requested, _) => ConnectErrorKind::Closed,
        (DisconnectCause::StreamEnded, Err(error))
            if error.kind() == io::ErrorKind::TimedOut && stood == Stood::Never =>
        {
            ConnectErrorKind::Session(DisconnectCause::ConnectTimeout)
        }
        // What a peer refuses may be known only once the stream stands: in TLS 1.3, that it wants another certificate.
        (DisconnectCause::StreamEnded, Err(error))
            if !TransportErrorKind::of(&error).is_retryable() =>
        {
            let error = TransportError::from_io(Phase::Handshake, server, error);
            ConnectErrorKind::Transport(Arc::new(error))
        }
        (DisconnectCause::StreamEnded, Err(error)) => ConnectErrorKind::Stream(Arc::new(error)),
        (DisconnectCause::Protocol(error), _) if stood == Stood::Never && is_foreign(&error) => {
            ConnectErrorKind::NotMqtt(error)
        }
        (cause, _) => ConnectErrorKind::Session(cause),
    }
}

/// Whether it shows, in answer to CONNECT, that the other side speaks another protocol.
fn is_foreign(error: &ProtocolError) -> bool {
    matches!(
        error,
        ProtocolError::Malformed(_) | ProtocolError::Unexpected { .. }
    )
}

/// Whether the server has accepted the connection that stands, or stood last.
pub(crate) fn is_connected(shared: &Shared) -> bool {
    shared
        .status
        .read(|status| matches!(status.connection, ConnectionState::Connected { .. }))
}

/// Ends when the server has not accepted the connection in time: resolving, connecting and CONNACK share one deadline.
async fn overdue(shared: &Shared, deadline: Instant) {
    let connected = shared.status.until(|status| {
        let is_connected = matches!(status.connection, ConnectionState::Connected { .. });
        is_connected.then_some(())
    });
    if Box::pin(tokio::time::timeout_at(deadline, connected))
        .await
        .is_ok()
    {
        std::future::pending::<()>().await;
    }
}
