//! A file of users and their hashed passwords: `NAME:HASH`, one a line.
//!
//! `hash` knows the kinds of hashes, `write` changes the file; here is who is let in.

mod hash;
mod write;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use ohmqtt_codec::ReasonCode;
use ohmqtt_transport::BoxFuture;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use self::hash::Hash;
pub use self::write::PasswordFile;
use super::file::{self, FileError, Reload, line_error};
use super::{Authenticate, Login, User};
use crate::Builder;

/// The users of a file.
pub(crate) struct Passwords {
    path: PathBuf,
    users: RwLock<Arc<Users>>,
    /// How many passwords are looked at at once. It takes the processor for long, and others need it too.
    busy: Arc<Semaphore>,
}

#[derive(Default)]
struct Users {
    hashes: HashMap<Box<str>, Hash>,
    /// What is looked at in vain for who is not known, so that it takes as long.
    decoy: Option<Hash>,
}

impl Builder {
    /// Lets the users of this file in, by the user name and the password in their CONNECT. It is read at the start, and by
    /// [`Broker::reload_access`](crate::Broker::reload_access). In the place of [`authenticate`](Self::authenticate).
    ///
    /// A line is `NAME:HASH`, with a hash as `mosquitto_passwd` writes it (`$7$`, and the older `$6$`) or one of Argon2 as a PHC string
    /// (`$argon2id$...`), which [`PasswordFile`] writes. Passwords are looked at on threads of their own, as many at once as half the
    /// processors. A line that would make that cost too much is an error: above 1,000,000 rounds of `$7$`, or above 256 MiB, 16 passes or 16
    /// lanes of Argon2. A user who is not in the file costs as much as the first one in it, so let all hashes be of one kind.
    ///
    /// ```
    /// use ohmqtt_broker::{Broker, PasswordFile};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("passwords");
    /// PasswordFile::new(&path).set_user("alice", b"wonderland")?; // or `mosquitto_passwd -c passwords alice`
    /// let builder = Broker::builder().listen("mqtt://127.0.0.1:0");
    /// let broker = builder.passwords(&path).start().await?;
    /// # broker.shutdown(std::time::Duration::ZERO).await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn passwords(mut self, file: impl Into<PathBuf>) -> Self {
        self.settings.set_passwords(file.into(), |path, access| {
            let file = Arc::new(Passwords::open(path)?);
            access.authenticate = Some(file.clone());
            access.files.push(file);
            Ok(())
        });
        self
    }
}

impl Passwords {
    /// Reads the file. Blocks the thread for the disk.
    pub(crate) fn open(path: PathBuf) -> Result<Self, FileError> {
        let users = users(&path, &file::read(&path)?)?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            path,
            users: RwLock::new(users.into()),
            busy: Semaphore::new(processors.div_ceil(2)).into(),
        })
    }

    fn users(&self) -> Arc<Users> {
        Arc::clone(&self.users.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn verify(&self, login: &Login) -> Result<User, ReasonCode> {
        let Some(name) = login.user_name.clone() else {
            return Err(ReasonCode::NotAuthorized);
        };
        let Some(password) = login.password.clone() else {
            return Err(ReasonCode::BadUserNameOrPassword);
        };
        let permit = Arc::clone(&self.busy).acquire_owned();
        let permit = permit.await.map_err(|_| ReasonCode::ServerUnavailable)?;
        let users = self.users();
        let verified = spawn_blocking(move || {
            // Kept to the end of the work, also when nobody waits for it any more.
            let _permit = permit;
            users.know(&name, &password).then(|| User::named(name))
        });
        let user = verified.await.map_err(|_| ReasonCode::ServerUnavailable)?;
        user.ok_or(ReasonCode::BadUserNameOrPassword)
    }
}

impl Authenticate for Passwords {
    fn authenticate<'a>(&'a self, login: &'a Login) -> BoxFuture<'a, Result<User, ReasonCode>> {
        Box::pin(self.verify(login))
    }
}

impl Reload for Passwords {
    fn read(&self) -> Result<Box<dyn FnOnce() + Send + '_>, FileError> {
        let users = users(&self.path, &file::read(&self.path)?)?;
        Ok(Box::new(move || {
            *self.users.write().unwrap_or_else(PoisonError::into_inner) = users.into();
        }))
    }
}

impl Users {
    /// Whether there is such a user with this password. Takes as long for one that is not there.
    fn know(&self, name: &str, password: &[u8]) -> bool {
        let known = self.hashes.get(name);
        let hash = known.or(self.decoy.as_ref());
        let is_right = hash.is_some_and(|hash| hash.is_of(password));
        is_right && known.is_some()
    }
}

/// Reads the users in `text`; `path` is for errors, which show nothing of a hash.
fn users(path: &Path, text: &str) -> Result<Users, FileError> {
    let mut users = Users::default();
    for (number, line) in file::lines(text) {
        let wrong = |problem: String| line_error(path, number, problem);
        let Some((name, hash)) = line.split_once(':').filter(|(name, _)| !name.is_empty()) else {
            return Err(wrong("not of the form NAME:HASH".to_owned()));
        };
        let hash =
            Hash::parse(hash).map_err(|problem| wrong(format!("{}: {problem}", user(name))))?;
        users.decoy.get_or_insert_with(|| hash.clone());
        if users.hashes.insert(name.into(), hash).is_some() {
            return Err(wrong(format!("{} stands in the file twice", user(name))));
        }
    }
    Ok(users)
}

/// A user for an error. Behind a `$` there may be the hash of another one, whose line has lost its colon and its end.
fn user(name: &str) -> String {
    match name.split_once('$') {
        Some((name, _)) => format!("user '{name}$...'"),
        None => format!("user '{name}'"),
    }
}

#[cfg(test)]
mod tests;
