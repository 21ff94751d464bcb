//! What a builder is told of who may do what.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Access, AclFile, Authenticate, Authorize, EnhancedAuthenticate, FileError};
use crate::Builder;

/// What it was told. Files are read when the broker starts.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) access: Access,
    acl: Option<PathBuf>,
    passwords: Option<(PathBuf, Open)>,
}

/// What reads a file and lets its users in.
pub(super) type Open = fn(PathBuf, &mut Access) -> Result<(), FileError>;

/// # Who may do what
///
/// As long as none of [`authenticate`](Self::authenticate), `passwords`, [`certificate_users`](Self::certificate_users) and
/// [`enhanced`](Self::enhanced) is called, nobody is asked who it is: user names and passwords mean nothing, and clients come from this
/// machine alone. With any of them every client is to say who it is, from this machine too, and the broker may listen anywhere.
///
/// A session belongs to the user that began it. While it lasts another user who comes with its Client Identifier is refused with Not
/// authorized (0x87); one that nobody in particular began goes to the first user who comes.
impl Builder {
    /// Lets anybody who reaches an address connect without saying who it is, from other machines too. Where clients are asked who they
    /// are, it lets those in who give neither a user name nor a password.
    pub fn insecure_allow_anonymous(mut self) -> Self {
        self.settings.access.anonymous_anywhere = true;
        self
    }

    /// Asks this about each client that names no method of enhanced authentication. In the place of `passwords`, and of one that was
    /// given before.
    pub fn authenticate(mut self, authenticate: impl Authenticate) -> Self {
        self.settings.access.authenticate = Some(Arc::new(authenticate));
        self.settings.passwords = None;
        self
    }

    /// Adds a method of enhanced authentication (section 4.12). A client that names a method that was not added is refused with Bad
    /// authentication method (0x8C).
    pub fn enhanced(mut self, method: impl EnhancedAuthenticate) -> Self {
        self.settings.access.methods.push(Arc::new(method));
        self
    }

    /// Takes the first name in a client's certificate for its user's: the common name, or the first alternative name if it has none. It
    /// goes before a user name and a password in CONNECT, which are not looked at. Clients without a certificate are asked in the other
    /// ways that the broker was given, and are refused if there is none.
    ///
    /// Certificates are verified by the listener: see `ListenOptions`. What else a certificate says of its owner,
    /// [`Login::peer`](crate::Login::peer) tells an [`authenticate`](Self::authenticate) of your own.
    pub fn certificate_users(mut self) -> Self {
        self.settings.access.certificate_users = true;
        self
    }

    /// Allows clients what this allows, and nothing else. In the place of [`acl`](Self::acl), and of one that was given before.
    pub fn authorize(mut self, authorize: impl Authorize) -> Self {
        self.settings.access.authorize = Some(Arc::new(authorize));
        self.settings.acl = None;
        self
    }

    /// Allows clients what this file allows, and nothing else. It is read at the start, and by
    /// [`Broker::reload_access`](crate::Broker::reload_access). In the place of [`authorize`](Self::authorize).
    ///
    /// The syntax is Mosquitto's. A line is one of
    ///
    /// ```text
    /// # a comment
    /// user NAME
    /// topic [read|write|readwrite|deny] FILTER
    /// pattern [read|write|readwrite|deny] FILTER
    /// ```
    ///
    /// `topic` is about the user named above it, and above the first `user` about those without a name. `pattern` is about everybody, and
    /// in its filter `%c` stands for the Client Identifier and `%u` for the user's name. Without a word for it the right is `readwrite`.
    /// What is denied is denied whatever else allows it, and what no line allows is not allowed.
    ///
    /// `write` is to publish, and to have a message retained, or a will published; `read` is to get a message. A subscription is granted
    /// when any topic that its filter matches may be read: `#` always, if there is anything to read. What of it is delivered is looked at
    /// for each message, and so is, of a retained message, whether its publisher may still write there.
    ///
    /// A name that is empty or holds `+`, `#` or `/` fits no pattern that it would stand in, and no name makes a level that begins with
    /// `$`, so no choice of a name widens a pattern.
    pub fn acl(mut self, file: impl Into<PathBuf>) -> Self {
        self.settings.acl = Some(file.into());
        self.settings.access.authorize = None;
        self
    }
}

impl Settings {
    /// Lets the users of a file in.
    #[cfg_attr(
        not(feature = "passwords"),
        expect(dead_code, reason = "no file of users is compiled in")
    )]
    pub(super) fn set_passwords(&mut self, path: PathBuf, open: Open) {
        self.passwords = Some((path, open));
        self.access.authenticate = None;
    }

    /// Whether clients of other machines may come at all.
    pub(crate) fn is_for_others(&self) -> bool {
        self.passwords.is_some() || self.access.is_for_others()
    }

    /// Reads the files. Blocks the thread for the disk.
    pub(crate) fn open(mut self) -> Result<Access, FileError> {
        if let Some((path, open)) = self.passwords {
            open(path, &mut self.access)?;
        }
        if let Some(path) = self.acl {
            let file = Arc::new(AclFile::open(path)?);
            self.access.authorize = Some(file.clone());
            self.access.files.push(file);
        }
        Ok(self.access)
    }
}
