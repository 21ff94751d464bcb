//! The cryptography of SCRAM (RFC 5802, section 3), with SHA-256.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::AuthError;

type Hash = [u8; 32];

/// What is derived from a password with a salt.
pub(super) struct Keys {
    salt: Vec<u8>,
    iterations: u32,
    client: Hash,
    server: Hash,
}

/// What proves to the server that this side knows the password.
pub(super) struct Proof(pub(super) Hash);

/// What the server's proof is held against.
pub(super) struct Verifier(Hmac<Sha256>);

impl Keys {
    /// Takes long: `iterations` times two rounds of SHA-256.
    pub(super) fn derive(
        password: &[u8],
        salt: Vec<u8>,
        iterations: u32,
    ) -> Result<Self, AuthError> {
        let mut salted = Hash::default();
        pbkdf2::pbkdf2::<Hmac<Sha256>>(password, &salt, iterations, &mut salted)
            .map_err(AuthError::unable)?;
        Ok(Self {
            client: sign(&salted, b"Client Key")?,
            server: sign(&salted, b"Server Key")?,
            salt,
            iterations,
        })
    }

    pub(super) fn are_of(&self, salt: &[u8], iterations: u32) -> bool {
        self.salt == salt && self.iterations == iterations
    }

    /// The proof of this exchange, and what the server's has to be.
    pub(super) fn prove(&self, said: &[u8]) -> Result<(Proof, Verifier), AuthError> {
        let stored: Hash = Sha256::digest(self.client).into();
        let signature = sign(&stored, said)?;
        let mut proof = self.client;
        for (byte, mask) in proof.iter_mut().zip(signature) {
            *byte ^= mask;
        }
        let verifier = Verifier(keyed(&self.server)?.chain_update(said));
        Ok((Proof(proof), verifier))
    }
}

impl Verifier {
    /// Whether this is the server's signature of what was said. Takes as long whichever byte is wrong.
    pub(super) fn accepts(self, signature: &[u8]) -> bool {
        self.0.verify_slice(signature).is_ok()
    }
}

fn keyed(key: &[u8]) -> Result<Hmac<Sha256>, AuthError> {
    Hmac::new_from_slice(key).map_err(AuthError::unable)
}

fn sign(key: &[u8], said: &[u8]) -> Result<Hash, AuthError> {
    Ok(keyed(key)?
        .chain_update(said)
        .finalize()
        .into_bytes()
        .into())
}
