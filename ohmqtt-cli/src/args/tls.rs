//! The options of TLS.

use std::path::{Path, PathBuf};

use clap::Args;
use ohmqtt_client::{Certificates, Identity, TlsOptions};

use crate::failure::Failure;

/// How TLS is done, for mqtts, wss and quic. Without options the authorities that the system trusts are trusted.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsArgs {
    /// The authorities to trust, as PEM; speaks TLS with -h too
    #[arg(long, value_name = "FILE", env = "OHMQTT_CAFILE")]
    pub(crate) cafile: Option<PathBuf>,
    /// A folder of such files
    #[arg(long, value_name = "FOLDER")]
    pub(crate) capath: Option<PathBuf>,
    /// Trust the authorities that the system trusts; speaks TLS with -h too
    #[arg(long)]
    pub(crate) tls_use_os_certs: bool,
    /// The client's certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "key", env = "OHMQTT_CERT")]
    pub(crate) cert: Option<PathBuf>,
    /// The private key of the certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "cert", env = "OHMQTT_KEY")]
    pub(crate) key: Option<PathBuf>,
    /// The name that the broker's certificate is for, if not the host's
    #[arg(long, value_name = "NAME")]
    pub(crate) server_name: Option<String>,
    /// The application protocol to agree on
    #[arg(long, value_name = "PROTOCOL")]
    pub(crate) tls_alpn: Option<String>,
    /// The oldest version of TLS to speak: tlsv1.2 or tlsv1.3 [default: tlsv1.2]
    #[arg(long, value_name = "VERSION", value_parser = version)]
    pub(crate) tls_version: Option<Version>,
    /// The cipher suites to offer, by their names in OpenSSL or IANA's registry, with colons between them. Those of TLS 1.2 are chosen
    /// among those of TLS 1.2, and so are those of TLS 1.3
    #[arg(long, value_name = "NAMES")]
    pub(crate) ciphers: Option<String>,
    /// Do not look at the broker's certificate at all: anybody may be it. For tests
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Keys that both sides share, which rustls does not do. They are options, so that it can be said.
    #[arg(long, value_name = "KEY", hide = true)]
    psk: Option<String>,
    #[arg(long, value_name = "NAME", hide = true)]
    psk_identity: Option<String>,
}

/// The oldest version of TLS to speak.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Version {
    Tls1_2,
    Tls1_3,
}

fn version(text: &str) -> Result<Version, String> {
    match text {
        "tlsv1.2" => Ok(Version::Tls1_2),
        "tlsv1.3" => Ok(Version::Tls1_3),
        _ => Err("tlsv1.2 or tlsv1.3: older ones are not safe, and not spoken here".to_owned()),
    }
}

impl TlsArgs {
    /// Whether an address without a scheme is to be reached by TLS.
    pub(crate) fn is_wanted(&self) -> bool {
        self.cafile.is_some() || self.capath.is_some() || self.tls_use_os_certs
    }

    pub(crate) fn options(&self) -> Result<TlsOptions, Failure> {
        if self.psk.is_some() || self.psk_identity.is_some() {
            return Err(Failure::usage(
                "--psk: keys that both sides share are not supported; have the broker show a certificate (--cafile FILE), and show it \
                 one (--cert FILE --key FILE) or a password",
            ));
        }
        let mut options = TlsOptions::new();
        let mut authorities: Option<Certificates> = None;
        for file in self.files()? {
            is_there("--cafile", &file)?;
            let more = Certificates::from_file(file).map_err(Failure::usage)?;
            authorities = Some(match authorities {
                Some(before) => before.and(more),
                None => more,
            });
        }
        if let Some(authorities) = authorities {
            options = options.authorities(authorities);
        }
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            is_there("--cert", cert)?;
            is_there("--key", key)?;
            let identity = Identity::from_files(cert, key).map_err(Failure::usage)?;
            options = options.identity(identity);
        }
        if let Some(name) = &self.server_name {
            options = options.server_name(name);
        }
        if let Some(protocol) = &self.tls_alpn {
            options = options.alpn([protocol.as_bytes()]);
        }
        if self.tls_version == Some(Version::Tls1_3) {
            options = options.only_tls_1_3();
        }
        if let Some(names) = &self.ciphers {
            let names = names.split([':', ',', ' ']);
            options = options.ciphers(names.filter(|name| !name.is_empty()));
        }
        if self.insecure {
            options = options.dangerously_disable_verification();
        }
        Ok(options)
    }

    /// The files of authorities; those of a folder in the order of their names.
    fn files(&self) -> Result<Vec<PathBuf>, Failure> {
        let mut files: Vec<PathBuf> = self.cafile.iter().cloned().collect();
        let Some(folder) = &self.capath else {
            return Ok(files);
        };
        let wrong = |error: std::io::Error| Failure::file("--capath", folder, &error);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(wrong)? {
            let path = entry.map_err(wrong)?.path();
            let is_pem = path.extension().is_some_and(|ending| {
                ["pem", "crt", "cer"]
                    .iter()
                    .any(|known| ending.eq_ignore_ascii_case(known))
            });
            if path.is_file() && is_pem {
                found.push(path);
            }
        }
        if found.is_empty() {
            let folder = folder.display();
            return Err(Failure::usage(format!(
                "--capath '{folder}': no file that ends in .pem, .crt or .cer; name a folder that has some"
            )));
        }
        found.sort();
        files.append(&mut found);
        Ok(files)
    }
}

/// Tells of a file that is not there as of any other.
fn is_there(option: &str, file: &Path) -> Result<(), Failure> {
    let found = std::fs::metadata(file);
    found.map_err(|error| Failure::file(option, file, &error))?;
    Ok(())
}
