//! The kinds of hashed passwords that are read: those of `mosquitto_passwd`, and Argon2 as PHC strings.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordVerifier};
use data_encoding::BASE64;
use pbkdf2::pbkdf2_hmac;
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;

/// One password, hashed.
#[derive(Clone)]
pub(super) enum Hash {
    /// `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`, and its kin `argon2i` and `argon2d`.
    Argon2(Box<PasswordHash>),
    /// `$7$ROUNDS$SALT$HASH`: PBKDF2 with SHA-512. What `mosquitto_passwd` writes.
    Pbkdf2 {
        rounds: u32,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
    /// `$6$SALT$HASH`: one round of SHA-512. What `mosquitto_passwd` wrote before 2.0.
    Sha512 { salt: Vec<u8>, hash: Vec<u8> },
}

/// The bytes of SHA-512.
const LEN: usize = 64;

/// What one password may cost to look at. A line above is a slip or somebody's trap: each attempt to connect would take the processor for
/// long, or more memory than there is.
const MAX_ROUNDS: u32 = 1_000_000;
/// Of Argon2: 256 MiB, in KiB; it is in use once for each password that is looked at.
const MAX_MEMORY: u32 = 256 * 1024;
/// How often Argon2 goes over its memory.
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 16;

impl Hash {
    /// Reads one. The error says what is wrong, and nothing of what is there: it may be a password.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<_> = text.split('$').collect();
        match parts[..] {
            ["", kind, ..] if kind.starts_with("argon2") => argon2(text),
            ["", "7", rounds, salt, hash] => Ok(Self::Pbkdf2 {
                rounds: rounds
                    .parse()
                    .ok()
                    .filter(|rounds| *rounds > 0)
                    .ok_or("its rounds are no number")
                    .map_err(str::to_owned)
                    .and_then(|rounds| at_most("its rounds", rounds, MAX_ROUNDS))?,
                salt: base64(salt)?,
                hash: digest(hash)?,
            }),
            ["", "6", salt, hash] => Ok(Self::Sha512 {
                salt: base64(salt)?,
                hash: digest(hash)?,
            }),
            ["", ..] => {
                Err("its hash is of no kind that is known: $argon2id$, $7$ and $6$ are".to_owned())
            }
            _ => Err("its password is not hashed: `mosquitto_passwd -U FILE` does that".to_owned()),
        }
    }

    /// Whether it is the hash of this password. Takes as long whichever byte is wrong.
    pub(super) fn is_of(&self, password: &[u8]) -> bool {
        match self {
            Self::Argon2(hash) => Argon2::default().verify_password(password, &**hash).is_ok(),
            Self::Pbkdf2 { rounds, salt, hash } => {
                let mut ours = [0; LEN];
                pbkdf2_hmac::<Sha512>(password, salt, *rounds, &mut ours);
                ours[..].ct_eq(hash).into()
            }
            Self::Sha512 { salt, hash } => {
                let ours = Sha512::new().chain_update(password).chain_update(salt);
                ours.finalize()[..].ct_eq(hash).into()
            }
        }
    }
}

fn argon2(text: &str) -> Result<Hash, String> {
    let hash = PasswordHash::new(text).map_err(|error| error.to_string())?;
    let params = Params::try_from(&hash).map_err(|error| error.to_string())?;
    at_most("the KiB of its memory (m)", params.m_cost(), MAX_MEMORY)?;
    at_most("its passes (t)", params.t_cost(), MAX_PASSES)?;
    at_most("its lanes (p)", params.p_cost(), MAX_LANES)?;
    if !["argon2d", "argon2i", "argon2id"].contains(&hash.algorithm.as_str())
        || hash.salt.is_none()
        || hash.hash.is_none()
    {
        return Err("its hash of Argon2 is not whole".to_owned());
    }
    Ok(Hash::Argon2(hash.into()))
}

fn at_most(what: &str, cost: u32, limit: u32) -> Result<u32, String> {
    if cost <= limit {
        return Ok(cost);
    }
    Err(format!(
        "{what} are {cost}, and at most {limit} are taken: hash the password anew"
    ))
}

fn digest(text: &str) -> Result<Vec<u8>, String> {
    let hash = base64(text)?;
    if hash.len() == LEN {
        return Ok(hash);
    }
    Err("its hash is not of the length of SHA-512".to_owned())
}

fn base64(text: &str) -> Result<Vec<u8>, String> {
    BASE64
        .decode(text.as_bytes())
        .map_err(|_| "its hash is not base64".to_owned())
}
