//! The messages of a client (RFC 5802, section 7), taken apart with nothing taken on trust. Errors are the RFC's own words.

use data_encoding::BASE64;

/// Its first message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFirst<'a> {
    pub(super) user: String,
    pub(super) nonce: &'a str,
    /// Without its header: what is signed.
    pub(super) bare: &'a str,
}

/// Its last message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFinal<'a> {
    pub(super) without_proof: &'a str,
    pub(super) proof: Vec<u8>,
}

/// Longer nonces are refused.
const NONCE: usize = 256;

impl<'a> ClientFirst<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, &'static str> {
        let bare = match text.split_once(',') {
            // "y": it would bind to a channel, and believes that this side does not.
            Some(("n" | "y", rest)) => rest,
            Some((binding, _)) if binding.starts_with("p=") => {
                return Err("channel-binding-not-supported");
            }
            _ => return Err("other-error"),
        };
        // No name to act as.
        let bare = bare.strip_prefix(',').ok_or("other-error")?;
        if bare.starts_with("m=") {
            return Err("extensions-not-supported");
        }
        let mut attributes = bare.split(',');
        let user = attribute(attributes.next(), "n=")?;
        let nonce = attribute(attributes.next(), "r=")?;
        if nonce.len() > NONCE || !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("other-error");
        }
        Ok(Self {
            user: unescape(user)?,
            nonce,
            bare,
        })
    }
}

impl<'a> ClientFinal<'a> {
    /// `nonce` is that of both sides.
    pub(super) fn parse(text: &'a str, nonce: &str) -> Result<Self, &'static str> {
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or("other-error")?;
        let mut attributes = without_proof.split(',');
        let binding = attribute(attributes.next(), "c=")?;
        // "n,," and "y,,", the header of the first message.
        if !["biws", "eSws"].contains(&binding) {
            return Err("channel-bindings-dont-match");
        }
        if attribute(attributes.next(), "r=")? != nonce {
            return Err("other-error");
        }
        let proof = BASE64.decode(proof.as_bytes());
        Ok(Self {
            without_proof,
            proof: proof.map_err(|_| "invalid-encoding")?,
        })
    }
}

fn attribute<'a>(found: Option<&'a str>, name: &str) -> Result<&'a str, &'static str> {
    let value = found.and_then(|text| text.strip_prefix(name));
    value.filter(|value| !value.is_empty()).ok_or("other-error")
}

/// A user name as it is, from what stands in a message.
fn unescape(text: &str) -> Result<String, &'static str> {
    let mut parts = text.split('=');
    let mut user = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (letter, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err("invalid-username-encoding"),
        };
        user.push(letter);
        user.push_str(rest);
    }
    Ok(user)
}
