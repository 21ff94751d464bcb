//! Enhanced authentication whose answers come from Python: `handle_auth` hears the server, `auth` speaks to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use ohmqtt_client::{AuthError, Authenticator, Binary, BoxFuture, MqttString, ReasonCode};
use ohmqtt_codec::{Auth, AuthProperties};
use tokio::sync::oneshot;

use super::events::{Notice, Notices};

/// One method of authentication, for as long as its connection is wanted.
pub(super) struct Exchange {
    method: MqttString,
    /// What CONNECT says.
    first: Option<Bytes>,
    notices: Arc<Notices>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The server waits for an answer.
    asked: Option<oneshot::Sender<Option<Bytes>>>,
    /// What the re-authentication begins with that was asked for.
    anew: Option<Opening>,
    /// That is under way.
    is_anew: bool,
}

/// What an exchange begins with.
struct Opening(Option<Bytes>);

impl Exchange {
    pub(super) fn new(method: MqttString, first: Option<Bytes>, notices: Arc<Notices>) -> Self {
        Self {
            method,
            first,
            notices,
            state: Mutex::default(),
        }
    }

    pub(super) fn method(&self) -> &str {
        self.method.as_str()
    }

    /// Answers the server. False when it has not asked.
    pub(super) fn answer(&self, data: Option<Bytes>) -> bool {
        let asked = self.state().asked.take();
        asked.is_some_and(|asked| asked.send(data).is_ok())
    }

    /// The next exchange is a re-authentication that begins with this.
    pub(super) fn begin_anew(&self, data: Option<Bytes>) {
        self.state().anew = Some(Opening(data));
    }

    fn tell(&self, reason: ReasonCode, data: Option<Bytes>) {
        let data = data.and_then(|data| Binary::try_from(data).ok());
        let mut properties = AuthProperties::default();
        properties.set_authentication(&self.method, data.as_ref());
        self.notices.push(Notice::Auth(Auth { reason, properties }));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The client's end of it.
pub(super) struct Speaker(pub(super) Arc<Exchange>);

impl Authenticator for Speaker {
    fn method(&self) -> &str {
        self.0.method()
    }

    fn begin(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, AuthError>> {
        let data = {
            let mut state = self.0.state();
            let anew = state.anew.take();
            state.is_anew = anew.is_some();
            state.asked = None;
            anew.map_or_else(|| self.0.first.clone(), |Opening(data)| data)
        };
        Box::pin(async { Ok(data) })
    }

    fn answer(&mut self, data: Option<Bytes>) -> BoxFuture<'_, Result<Option<Bytes>, AuthError>> {
        let (asked, answer) = oneshot::channel();
        self.0.state().asked = Some(asked);
        self.0.tell(ReasonCode::ContinueAuthentication, data);
        Box::pin(async { answer.await.map_err(AuthError::unable) })
    }

    fn finish(&mut self, data: Option<Bytes>) -> Result<(), AuthError> {
        // What comes with a CONNACK is read there.
        if std::mem::take(&mut self.0.state().is_anew) {
            self.0.tell(ReasonCode::Success, data);
        }
        Ok(())
    }
}
