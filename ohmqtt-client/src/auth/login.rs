//! What each connection is begun with: what its CONNECT says of the client, asked for anew each time.

use std::io;

use bytes::Bytes;
use ohmqtt_codec::{Binary, MqttString, ReasonCode};
use ohmqtt_driver::Handle;
use ohmqtt_session::{ClientSession, DisconnectCause};
use tokio::time::{Instant, timeout_at};

use super::{AuthError, AuthenticationError, Authenticator, CredentialsProvider};
use crate::error::{ConnectError, ConnectErrorKind};
use crate::servers::Stood;

/// Refusals in a row, each of other credentials, after which no further are asked for.
const REFUSALS: u32 = 2;

/// Who is asked, and the method that is used.
#[derive(Default)]
pub(crate) struct Login {
    pub(crate) provider: Option<Box<dyn CredentialsProvider>>,
    pub(crate) authenticator: Option<Box<dyn Authenticator>>,
    /// The method that CONNECT names: the authenticator's, or one that stands in the properties without one.
    pub(crate) method: Option<MqttString>,
    /// Refusals of credentials since a connection that was not refused.
    refused: u32,
}

impl Login {
    /// Tells the session what its next CONNECT says.
    pub(crate) async fn prepare(
        &mut self,
        handle: &Handle<ClientSession>,
        deadline: Instant,
    ) -> Result<(), ConnectErrorKind> {
        if let Some(provider) = &mut self.provider {
            let asked = timeout_at(deadline, provider.credentials()).await;
            let asked =
                asked.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()));
            let fields = asked.and_then(|credentials| Ok(credentials.fields()?));
            let (user_name, password) =
                fields.map_err(|error| ConnectErrorKind::Credentials(error.into()))?;
            handle.with(|session, _| session.set_credentials(user_name, Some(password)));
        }
        if self.authenticator.is_some() {
            let data = self.begin(deadline).await;
            let data = data.map_err(|error| self.failed(error))?;
            if let Some(method) = &self.method {
                handle.with(|session, _| session.set_authentication(method, data.as_ref()));
            }
        }
        Ok(())
    }

    /// Whether a refusal may be of the credentials and not of the client, so that the next ones may be taken.
    pub(crate) fn may_mend(&mut self, error: &ConnectError, stood: Stood) -> bool {
        let is_refused = matches!(
            error.reason_code(),
            Some(ReasonCode::BadUserNameOrPassword | ReasonCode::NotAuthorized)
        );
        if stood == Stood::Long || stood == Stood::Briefly && !is_refused {
            self.refused = 0;
        }
        if !is_refused || self.provider.is_none() {
            return false;
        }
        self.refused += 1;
        self.refused < REFUSALS
    }

    /// The first that the authenticator has to say.
    pub(super) async fn begin(&mut self, deadline: Instant) -> Result<Option<Binary>, AuthError> {
        let Some(authenticator) = &mut self.authenticator else {
            return Ok(None);
        };
        in_time(deadline, authenticator.begin()).await
    }

    /// What it says to this.
    pub(super) async fn answer(
        &mut self,
        data: Option<Binary>,
        deadline: Instant,
    ) -> Result<Option<Binary>, AuthError> {
        let Some(authenticator) = &mut self.authenticator else {
            let why =
                "the server asks for more than CONNECT said: give the client an authenticator";
            return Err(AuthError::unable(why));
        };
        let data = data.map(|data| data.to_bytes());
        in_time(deadline, authenticator.answer(data)).await
    }

    /// Whether the server is who it should be. Without an authenticator nobody knows better.
    pub(super) fn finish(&mut self, data: Option<Binary>) -> Result<(), AuthError> {
        match &mut self.authenticator {
            Some(authenticator) => authenticator.finish(data.map(|data| data.to_bytes())),
            None => Ok(()),
        }
    }

    /// With the name of the method.
    pub(super) fn error(&self, error: AuthError) -> AuthenticationError {
        let method = self.method.as_ref().map_or("", MqttString::as_str);
        AuthenticationError::new(method, error)
    }

    pub(super) fn failed(&self, error: AuthError) -> ConnectErrorKind {
        ConnectErrorKind::Authentication(self.error(error).into())
    }

    /// What the method itself says of a refusal, where it says more than the reason code.
    pub(super) fn explain(&mut self, kind: ConnectErrorKind) -> ConnectErrorKind {
        let ConnectErrorKind::Session(DisconnectCause::Refused(connack)) = &kind else {
            return kind;
        };
        let reason = connack.reason;
        let data = connack.properties.authentication_data();
        let Some(data) = data.filter(|_| reason == ReasonCode::NotAuthorized) else {
            return kind;
        };
        let data = Binary::try_from(data).ok();
        match self.finish(data) {
            Err(error @ AuthError::Refused(_)) => {
                let mut error = self.error(error);
                error.reason = Some(reason);
                ConnectErrorKind::Authentication(error.into())
            }
            _ => kind,
        }
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// What an authenticator says, if it says it in time and MQTT can carry it.
async fn in_time(
    deadline: Instant,
    said: impl Future<Output = Result<Option<Bytes>, AuthError>>,
) -> Result<Option<Binary>, AuthError> {
    let said = timeout_at(deadline, said).await;
    let data = said.unwrap_or(Err(AuthError::TimedOut))?;
    let data = data.map(Binary::try_from).transpose();
    data.map_err(AuthError::unable)
}
