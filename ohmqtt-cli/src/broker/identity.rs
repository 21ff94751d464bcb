//! The certificate that a broker shows: from files, or made for the occasion.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use ohmqtt_broker::Identity;
use rcgen::{CertificateParams, DnType, KeyPair};

use super::BrokerArgs;
use crate::failure::{FAILED, Failure};

/// What is shown, and the file by which clients can trust it.
pub(super) struct Shown {
    pub(super) identity: Identity,
    pub(super) trusted: PathBuf,
    /// The file was made here and goes with this.
    is_made: bool,
}

impl Drop for Shown {
    fn drop(&mut self) {
        if self.is_made {
            // It may have been removed already.
            let _ = fs::remove_file(&self.trusted);
        }
    }
}

/// The certificate that the options ask for.
pub(super) fn of(args: &BrokerArgs) -> Result<Option<Shown>, Failure> {
    if args.tls.is_some() {
        return self_signed().map(Some);
    }
    match (&args.cert, &args.key) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => Ok(Some(Shown {
            identity: Identity::from_files(cert, key).map_err(Failure::usage)?,
            trusted: cert.clone(),
            is_made: false,
        })),
        _ => Err(Failure::usage(
            "a certificate and its key belong together: give --cert and --key",
        )),
    }
}

fn self_signed() -> Result<Shown, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(
            FAILED,
            format!("--tls self-signed: {error}; give --cert and --key"),
        )
    };
    let names = ["localhost", "127.0.0.1", "::1"]
        .map(str::to_owned)
        .to_vec();
    let mut params = CertificateParams::new(names).map_err(|error| failed(&error))?;
    params
        .distinguished_name
        .push(DnType::CommonName, "ohmqtt broker");
    let key = KeyPair::generate().map_err(|error| failed(&error))?;
    let certificate = params.self_signed(&key).map_err(|error| failed(&error))?;
    let pem = certificate.pem();
    let identity = Identity::pem(&pem, key.serialize_pem()).map_err(|error| failed(&error))?;
    let name = format!(
        "ohmqtt-broker-{}-{:08x}.pem",
        std::process::id(),
        fastrand::u32(..)
    );
    let trusted = std::env::temp_dir().join(name);
    // New, so that nobody else has laid a trap there.
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&trusted)
        .and_then(|mut file| file.write_all(pem.as_bytes()));
    written.map_err(|error| Failure::file("--tls self-signed", &trusted, &error))?;
    Ok(Shown {
        identity,
        trusted,
        is_made: true,
    })
}
