//! Who the client is: user name and password asked for at each connect, and enhanced authentication (section 4.12).
//!
//! `login` is what a connection is begun with, `exchange` what goes to and fro on it. When to connect, and what of a failure may be
//! tried again, is decided in `attempts` and `error`.

mod authenticator;
mod credentials;
mod exchange;
mod login;
#[cfg(feature = "scram")]
mod scram;

pub use authenticator::{AuthError, AuthenticationError, Authenticator};
pub use credentials::{Credentials, CredentialsProvider};
pub use exchange::ReauthenticateError;
pub(crate) use exchange::{Exchange, Heard, converse, explain};
pub(crate) use login::Login;
#[cfg(feature = "scram")]
pub use scram::ScramSha256;
