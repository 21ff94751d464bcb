//! Who may do what: who is asked, and what holds when nobody is.
//!
//! `authenticate` and `enhanced` say who a client is, `exchange` is how its connection asks them; `authorize` says what a user may do.
//! `passwords` and `acl` are the files that come with the broker, `scram` a method of its own. Nothing here knows of sessions or routes.

mod acl;
mod authenticate;
mod authorize;
mod enhanced;
mod exchange;
mod file;
#[cfg(feature = "passwords")]
mod passwords;
#[cfg(feature = "scram")]
mod scram;
mod settings;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ohmqtt_codec::{Connect, MqttString, ReasonCode};
use ohmqtt_transport::{Peer, PeerAddress};

use self::acl::AclFile;
pub use self::authenticate::{Authenticate, Login, User};
pub use self::authorize::{Action, Authorize, Principal};
pub use self::enhanced::{AuthStep, EnhancedAuthenticate, Exchange};
pub(crate) use self::exchange::{Said, converse};
pub use self::file::FileError;
use self::file::Reload;
#[cfg(feature = "passwords")]
pub use self::passwords::PasswordFile;
#[cfg(feature = "scram")]
pub use self::scram::ScramSha256;
pub(crate) use self::settings::Settings;

/// What a broker was told of who may do what.
#[derive(Default)]
pub(crate) struct Access {
    /// Clients that say nothing of who they are may come from anywhere.
    pub(crate) anonymous_anywhere: bool,
    /// The first name in a client's certificate is its user.
    pub(crate) certificate_users: bool,
    pub(crate) authenticate: Option<Arc<dyn Authenticate>>,
    pub(crate) methods: Vec<Arc<dyn EnhancedAuthenticate>>,
    pub(crate) authorize: Option<Arc<dyn Authorize>>,
    pub(crate) files: Vec<Arc<dyn Reload>>,
    /// The files are being read again. One after the other, so that nobody puts what it read earlier in the place of what is newer.
    pub(crate) reloading: Mutex<()>,
}

/// How it is found out who a client is.
pub(crate) enum Way {
    /// It is known.
    Known(User),
    /// By what it said in CONNECT.
    Ask(Arc<dyn Authenticate>),
    /// By a method of enhanced authentication.
    Exchange(Arc<dyn EnhancedAuthenticate>),
}

impl Access {
    /// Whether clients are asked who they are.
    pub(crate) fn asks(&self) -> bool {
        self.certificate_users || self.authenticate.is_some() || !self.methods.is_empty()
    }

    /// Whether clients of other machines may come at all.
    pub(crate) fn is_for_others(&self) -> bool {
        self.anonymous_anywhere || self.asks()
    }

    /// Whether a connection from there is taken.
    pub(crate) fn admits(&self, address: &PeerAddress) -> bool {
        self.is_for_others() || address.is_loopback()
    }

    /// How to find out who this client is, or the reason to refuse it at once.
    pub(crate) fn way(&self, connect: &Connect, peer: &Peer) -> Result<Way, ReasonCode> {
        if let Some(name) = connect.properties.authentication_method() {
            // [MQTT-4.12.0-1] A method that is not supported is refused.
            let method = self.methods.iter().find(|method| method.method() == name);
            let method = method.ok_or(ReasonCode::BadAuthenticationMethod)?;
            return Ok(Way::Exchange(Arc::clone(method)));
        }
        if let Some(name) = peer
            .certificate_names
            .first()
            .filter(|_| self.certificate_users)
        {
            return Ok(Way::Known(User::named(name)));
        }
        let says_nothing = connect.user_name.is_none() && connect.password.is_none();
        if !self.asks() || says_nothing && self.anonymous_anywhere {
            return Ok(Way::Known(User::anonymous()));
        }
        match &self.authenticate {
            Some(authenticate) => Ok(Way::Ask(Arc::clone(authenticate))),
            None => Err(ReasonCode::NotAuthorized),
        }
    }

    /// Whether anything is asked what clients may do.
    pub(crate) fn authorizes(&self) -> bool {
        self.authorize.is_some()
    }

    /// Whether a client may do this.
    pub(crate) fn allows(&self, client_id: &MqttString, user: &User, action: &Action<'_>) -> bool {
        let Some(authorize) = &self.authorize else {
            return true;
        };
        let is_allowed = authorize.allows(&Principal::new(client_id, user), action);
        if !is_allowed {
            tracing::debug!(client = %client_id, user = user.name(), ?action, "not allowed");
        }
        is_allowed
    }

    /// Reads all files again, and takes what they say once all are read without a fault. Blocks the thread for the disk.
    pub(crate) fn reload(&self) -> Result<(), FileError> {
        let _one = self
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let read: Result<Vec<_>, _> = self.files.iter().map(|file| file.read()).collect();
        for apply in read? {
            apply();
        }
        Ok(())
    }
}

/// Shows what is asked, and nothing of whom.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let methods = self.methods.iter().map(|method| method.method());
        f.debug_struct("Access")
            .field("anonymous_anywhere", &self.anonymous_anywhere)
            .field("certificate_users", &self.certificate_users)
            .field("authenticates", &self.authenticate.is_some())
            .field("methods", &methods.collect::<Vec<_>>())
            .field("authorizes", &self.authorize.is_some())
            .finish_non_exhaustive()
    }
}
