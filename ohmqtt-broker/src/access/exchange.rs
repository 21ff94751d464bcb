//! How a connection finds out who its client is, beside the driver and on the same task.
//!
//! The driver's events are heard in [`Said`]; whoever is asked may take its time, and the answer goes to the session. What an answer means
//! to the broker is the connection's business.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ohmqtt_codec::{Binary, Connect, ReasonCode};
use tokio::time::{Instant, timeout_at};

use super::{AuthStep, EnhancedAuthenticate, Login, User, Way};
use crate::connection::Connection;

/// What the client said that needs an answer. There is one at a time, because the session waits for it.
pub(crate) enum Said {
    /// It asks to connect.
    Connect(Box<Connect>, Way),
    /// It sent AUTH.
    Auth(Option<Binary>),
}

/// What came of asking.
enum Verdict {
    User(User, Option<Binary>),
    Refused(ReasonCode, Option<Binary>),
}

/// Answers what the client says, for as long as its connection lasts. Asking may take until `deadline` at the connect, and `timeout` later.
pub(crate) async fn converse(
    connection: &Connection,
    deadline: Instant,
    timeout: Duration,
) -> Infallible {
    let mut method = None;
    loop {
        match next(connection).await {
            Said::Connect(connect, way) => {
                let login = connection.login(&connect);
                match ask(connection, &connect, &way, &login, deadline).await {
                    Verdict::User(user, data) => connection.admit(&connect, user, data),
                    Verdict::Refused(reason, data) => connection.refuse(&connect, reason, data),
                }
                if let Way::Exchange(used) = way {
                    method = Some((used, login));
                }
            }
            Said::Auth(data) => {
                let Some((method, login)) = &method else {
                    continue;
                };
                let data = data.map(|data| data.to_bytes());
                let end = Instant::now() + timeout;
                // [MQTT-4.12.1-2] A failed re-authentication ends the connection.
                match exchange(connection, method, login, data, end).await {
                    Verdict::User(user, data) => connection.admit_again(&user, data.as_ref()),
                    Verdict::Refused(..) => connection.expel(),
                }
            }
        }
    }
}

async fn ask(
    connection: &Connection,
    connect: &Connect,
    way: &Way,
    login: &Login,
    deadline: Instant,
) -> Verdict {
    match way {
        Way::Known(user) => Verdict::User(user.clone(), None),
        Way::Ask(authenticate) => {
            match timeout_at(deadline, authenticate.authenticate(login)).await {
                Ok(Ok(user)) => Verdict::User(user, None),
                Ok(Err(reason)) => Verdict::Refused(reason, None),
                Err(_) => Verdict::Refused(ReasonCode::ServerUnavailable, None),
            }
        }
        Way::Exchange(method) => {
            let data = connect.properties.authentication_data();
            let data = data.map(Bytes::copy_from_slice);
            exchange(connection, method, login, data, deadline).await
        }
    }
}

/// One exchange, from what the client begins it with to its end.
async fn exchange(
    connection: &Connection,
    method: &Arc<dyn EnhancedAuthenticate>,
    login: &Login,
    mut data: Option<Bytes>,
    deadline: Instant,
) -> Verdict {
    let mut exchange = method.begin();
    let whole = async {
        loop {
            data = match exchange.step(login, data).await {
                AuthStep::More { data } => match binary(data) {
                    Ok(data) => {
                        connection.challenge(data.as_ref());
                        answer(connection).await
                    }
                    Err(refused) => return refused,
                },
                AuthStep::Accept { user, data } => {
                    return binary(data)
                        .map_or_else(|refused| refused, |data| Verdict::User(user, data));
                }
                AuthStep::Refuse { reason, data } => {
                    return binary(data)
                        .map_or_else(|refused| refused, |data| Verdict::Refused(reason, data));
                }
            };
        }
    };
    let verdict = timeout_at(deadline, whole).await;
    verdict.unwrap_or(Verdict::Refused(ReasonCode::ServerUnavailable, None))
}

/// What a method says, if MQTT can carry it.
fn binary(data: Option<Bytes>) -> Result<Option<Binary>, Verdict> {
    let data = data.map(Binary::try_from).transpose();
    data.map_err(|error| {
        tracing::error!(%error, "a method of authentication says more than a packet holds");
        Verdict::Refused(ReasonCode::ImplementationSpecificError, None)
    })
}

/// What the client says next that needs an answer.
async fn next(connection: &Connection) -> Said {
    connection.said.until(Option::take).await
}

/// What it answers when it was asked for more.
async fn answer(connection: &Connection) -> Option<Bytes> {
    loop {
        // A CONNECT comes once.
        if let Said::Auth(data) = next(connection).await {
            return data.map(|data| data.to_bytes());
        }
    }
}
