//! The four messages of SCRAM (RFC 5802, section 7): written, and taken apart with nothing taken on trust.

use data_encoding::BASE64;

use super::{AuthError, malformed};

/// The header of a client that does not bind to a channel, and the same in base64.
pub(super) const NO_BINDING: &str = "n,,";
const NO_BINDING_BASE64: &str = "biws";

/// The counts that are worth anything (RFC 7677, section 4) and that are not an attack.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4096..=1_000_000;

/// The client's first message, without its header.
pub(super) fn client_first_bare(user: &str, nonce: &str) -> String {
    format!("n={user},r={nonce}")
}

/// The client's last message, without its proof.
pub(super) fn client_final_without_proof(nonce: &str) -> String {
    format!("c={NO_BINDING_BASE64},r={nonce}")
}

/// A user name as it may stand in a message.
pub(super) fn escape(user: &str) -> String {
    user.replace('=', "=3D").replace(',', "=2C")
}

/// A message of the server's as text.
pub(super) fn text(data: Option<&[u8]>) -> Result<&str, AuthError> {
    let data = data.ok_or_else(|| malformed("its message is missing"))?;
    std::str::from_utf8(data).map_err(|_| malformed("its message is not UTF-8"))
}

/// The server's first message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerFirst<'a> {
    /// Ours, with the server's behind it.
    pub(super) nonce: &'a str,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
}

impl<'a> ServerFirst<'a> {
    /// Takes it apart. `nonce` is the client's.
    pub(super) fn parse(message: &'a str, nonce: &str) -> Result<Self, AuthError> {
        let mut attributes = message.split(',');
        let mut next = |name| attribute(attributes.next(), name);
        if message.starts_with("m=") {
            return Err(malformed("it demands an extension, and none is known"));
        }
        if let Ok(error) = attribute(Some(message), "e") {
            return Err(AuthError::Refused(error.to_owned()));
        }
        let (both, salt, count) = (next("r")?, next("s")?, next("i")?);
        extensions(attributes)?;
        let theirs = both.strip_prefix(nonce).unwrap_or_default();
        if theirs.is_empty() || !theirs.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(malformed("its nonce does not extend ours"));
        }
        let salt = base64(salt, "salt")?;
        let digits = !count.starts_with('0') && count.bytes().all(|byte| byte.is_ascii_digit());
        let iterations = count.parse().ok().filter(|_| digits);
        let iterations = iterations.ok_or_else(|| malformed("its iteration count is no number"))?;
        if !ITERATIONS.contains(&iterations) {
            let (least, most) = (ITERATIONS.start(), ITERATIONS.end());
            let why = format!("its iteration count is {iterations}, not from {least} to {most}");
            return Err(AuthError::Malformed(why));
        }
        Ok(Self {
            nonce: both,
            salt,
            iterations,
        })
    }
}

/// The server's last message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ServerFinal<'a> {
    /// What proves that the server knows the password.
    Signature(Vec<u8>),
    /// Why it refuses.
    Refused(&'a str),
}

impl<'a> ServerFinal<'a> {
    pub(super) fn parse(message: &'a str) -> Result<Self, AuthError> {
        let mut attributes = message.split(',');
        let first = attributes.next();
        extensions(attributes)?;
        if let Ok(error) = attribute(first, "e") {
            return Ok(Self::Refused(error));
        }
        let signature = attribute(first, "v")?;
        Ok(Self::Signature(base64(signature, "signature")?))
    }
}

/// The value of an attribute that has to stand here.
fn attribute<'a>(found: Option<&'a str>, name: &str) -> Result<&'a str, AuthError> {
    let value = found
        .and_then(|text| text.strip_prefix(name))
        .and_then(|text| text.strip_prefix('='));
    match value {
        Some(value) if !value.is_empty() => Ok(value),
        _ => Err(AuthError::Malformed(format!(
            "'{name}=' is missing or empty"
        ))),
    }
}

/// What follows is left alone when it has the form of an extension, as the RFC demands.
fn extensions<'a>(mut attributes: impl Iterator<Item = &'a str>) -> Result<(), AuthError> {
    let is_extension = |text: &str| match text.as_bytes() {
        [name, b'=', value, ..] => name.is_ascii_alphabetic() && *value != 0,
        _ => false,
    };
    if attributes.all(is_extension) {
        Ok(())
    } else {
        Err(malformed("something follows that is no extension"))
    }
}

fn base64(text: &str, what: &str) -> Result<Vec<u8>, AuthError> {
    BASE64
        .decode(text.as_bytes())
        .map_err(|_| AuthError::Malformed(format!("its {what} is not base64")))
}
