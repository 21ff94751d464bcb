//! The cryptography of SCRAM (RFC 5802, section 3), with SHA-256.

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

type Hash = [u8; 32];

/// What a server keeps of a password: enough to be convinced and to convince, not enough to pose as the client.
#[derive(Clone)]
pub(super) struct Keys {
    salt: Vec<u8>,
    stored: Hash,
    server: Hash,
}

/// The least that RFC 7677 allows.
const ITERATIONS: u32 = 4096;

impl Keys {
    pub(super) fn derive(password: &str, salt: Vec<u8>) -> Self {
        let mut salted = Hash::default();
        pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, ITERATIONS, &mut salted);
        Self {
            salt,
            stored: Sha256::digest(sign(&salted, b"Client Key")).into(),
            server: sign(&salted, b"Server Key"),
        }
    }

    /// Of a user who is not there. No proof fits it.
    pub(super) fn made_up(secret: &Hash, name: &str) -> Self {
        Self {
            salt: sign(secret, name.as_bytes())[..super::RANDOM].to_vec(),
            stored: *secret,
            server: *secret,
        }
    }

    /// What the client is told.
    pub(super) fn public(&self) -> String {
        format!("s={},i={ITERATIONS}", BASE64.encode(&self.salt))
    }

    /// The server's own proof, if this is the client's.
    pub(super) fn verify(&self, said: &[u8], proof: &[u8]) -> Option<Hash> {
        let mut key = Hash::try_from(proof).ok()?;
        for (byte, mask) in key.iter_mut().zip(sign(&self.stored, said)) {
            *byte ^= mask;
        }
        let is_right = Sha256::digest(key)[..].ct_eq(&self.stored);
        bool::from(is_right).then(|| sign(&self.server, said))
    }
}

fn sign(key: &Hash, said: &[u8]) -> Hash {
    // Shorter keys than a block are filled up with zeros.
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    Hmac::<Sha256>::new(&block.into())
        .chain_update(said)
        .finalize()
        .into_bytes()
        .into()
}
