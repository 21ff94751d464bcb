//! What a client is told once, from arguments by name. An argument that is `None` is as one that is not given.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ohmqtt_client::{
    Certificates, Client, ClientBuilder, Durability, Endpoint, Identity, MqttString, Overflow,
    Proxy, RedbStore, ScramSha256, SessionLoss, SqliteStore, StoreError, TlsOptions, WsOptions,
};
use pyo3::exceptions::{PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyDict, PyMapping};

use crate::convert::{self, Blob};
use crate::packet::PyWill;
use crate::runtime;

/// A client that is to be, and the store it is to have, which is opened where that may take its time.
pub(crate) struct Options {
    pub(crate) builder: ClientBuilder,
    pub(crate) store: Option<StoreFile>,
}

impl Options {
    /// A client of the brokers at `urls`, of which there is at least one, as the named arguments say.
    pub(crate) fn new(urls: &[PyBackedStr], arguments: &Bound<'_, PyDict>) -> PyResult<Self> {
        let mut urls = urls.iter().map(|url| endpoint(url));
        let Some(first) = urls.next() else {
            return Err(PyTypeError::new_err("give the URL of a broker"));
        };
        let mut builder = Client::builder(first?);
        for url in urls {
            builder = builder.or(url?);
        }
        let mut files = Files::default();
        for (name, value) in arguments {
            if value.is_none() {
                continue;
            }
            let name = name.extract::<PyBackedStr>()?;
            if !files.take(&name, &value)? {
                builder = apply(builder, &name, &value)?;
            }
        }
        if let Some(tls) = files.tls()? {
            builder = builder.tls(tls);
        }
        let store = files.store()?;
        Ok(Self { builder, store })
    }
}

fn endpoint(url: &str) -> PyResult<Endpoint> {
    url.parse()
        .map_err(|error: ohmqtt_transport::ConfigError| PyValueError::new_err(error.to_string()))
}

/// Sets one option of a client that is to be. The URLs, TLS and the store are not among them.
pub(crate) fn apply(
    builder: ClientBuilder,
    name: &str,
    value: &Bound<'_, PyAny>,
) -> PyResult<ClientBuilder> {
    Ok(match name {
        "client_id" => builder.client_id(&get::<PyBackedStr>(name, value)?),
        "user_name" => builder.user_name(&get::<PyBackedStr>(name, value)?),
        "password" => builder.password(bytes(name, value)?),
        "clean_start" => builder.clean_start(get(name, value)?),
        "session_expiry" => builder.session_expiry(seconds(name, value)?),
        "keep_alive" => builder.keep_alive(seconds(name, value)?),
        "connect_timeout" => builder.connect_timeout(seconds(name, value)?),
        "receive_maximum" => builder.receive_maximum(convert::whole16(name, int(name, value)?)?),
        "max_packet_size" => builder.max_packet_size(convert::whole32(name, int(name, value)?)?),
        "topic_alias_maximum" => {
            let maximum = convert::whole16(name, int(name, value)?)?;
            builder.connect_properties(|properties| properties.set_topic_alias_maximum(maximum))
        }
        "request_problem_information" => {
            let is_wanted = get(name, value)?;
            builder.connect_properties(|properties| {
                properties.set_request_problem_information(is_wanted);
            })
        }
        "will" => builder.will(get::<PyRef<'_, PyWill>>(name, value)?.0.clone()),
        "response_prefix" => builder.response_prefix(&get::<PyBackedStr>(name, value)?),
        "user_properties" => {
            let pairs = user_properties(name, value)?;
            builder.connect_properties(|properties| {
                for (name, value) in &pairs {
                    properties.add_user_property(name, value);
                }
            })
        }
        "backoff" => {
            let (min, max) = get::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>(name, value)?;
            builder.backoff(seconds(name, &min)?, seconds(name, &max)?)
        }
        "outbox" => {
            let (messages, bytes) = sizes(name, value)?;
            builder.outbox(messages, bytes)
        }
        "window" => {
            let (messages, bytes) = sizes(name, value)?;
            builder.window(messages, bytes)
        }
        "overflow" => builder.overflow(choice(
            name,
            value,
            &[
                ("refuse", Overflow::Refuse),
                ("drop_oldest", Overflow::DropOldest),
                ("keep_newest", Overflow::KeepNewest),
            ],
        )?),
        "session_loss" => builder.session_loss(choice(
            name,
            value,
            &[
                ("fail", SessionLoss::Fail),
                ("resend", SessionLoss::Resend),
                ("clear", SessionLoss::Clear),
            ],
        )?),
        "redirects" => builder.redirects(convert::whole32(name, int(name, value)?)?),
        "retry_everything" if get(name, value)? => builder.retry_everything(),
        "retry_everything" => builder,
        "proxy" => {
            let url = get::<PyBackedStr>(name, value)?;
            builder.proxy(url.parse::<Proxy>().map_err(|error| invalid(name, error))?)
        }
        "bind" => builder.bind(get(name, value)?),
        "headers" => builder.websocket(headers(name, value)?),
        "scram" => {
            let (user, password) = get::<(PyBackedStr, PyBackedStr)>(name, value)?;
            let method = ScramSha256::new(&user, &password);
            builder.authenticator(method.map_err(|error| invalid(name, error))?)
        }
        _ => return Err(PyTypeError::new_err(format!("there is no option '{name}'"))),
    })
}

/// A value of its type; the error names the option.
pub(crate) fn get<'py, T>(name: &str, value: &Bound<'py, PyAny>) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py, Error: Into<PyErr>>,
{
    value.extract::<T>().map_err(|error| {
        let (error, py): (PyErr, _) = (error.into(), value.py());
        let text = format!("{name}: {}", error.value(py));
        if error.is_instance_of::<PyTypeError>(py) {
            PyTypeError::new_err(text)
        } else {
            PyValueError::new_err(text)
        }
    })
}

pub(crate) fn invalid(name: &str, error: impl Display) -> PyErr {
    PyValueError::new_err(format!("{name}: {error}"))
}

pub(crate) fn int(name: &str, value: &Bound<'_, PyAny>) -> PyResult<i64> {
    get::<i64>(name, value)
}

/// Seconds, a whole number or not. What is more than can be waited for is for ever.
pub(crate) fn seconds(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let longest = Duration::from_secs(u32::MAX.into());
    let number = get::<f64>(name, value)?;
    if number < 0.0 {
        return Err(invalid(name, "cannot be negative"));
    }
    let time = runtime::seconds(name, Some(number))?;
    Ok(time.map_or(longest, |time| time.min(longest)))
}

/// Bytes, or text as UTF-8.
pub(crate) fn bytes(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(text) = value.extract::<PyBackedStr>() {
        return Ok(text.as_bytes().to_vec());
    }
    get::<Blob>(name, value).map(|blob| blob.0.to_vec())
}

/// One of the words.
pub(crate) fn choice<T: Copy>(
    name: &str,
    value: &Bound<'_, PyAny>,
    words: &[(&str, T)],
) -> PyResult<T> {
    let word = get::<PyBackedStr>(name, value)?;
    if let Some((_, meant)) = words.iter().find(|(known, _)| *known == &*word) {
        return Ok(*meant);
    }
    let known: Vec<_> = words
        .iter()
        .map(|(known, _)| format!("'{known}'"))
        .collect();
    let known = known.join(", ");
    Err(invalid(name, format!("'{word}' is not one of {known}")))
}

/// Names with values, as pairs.
pub(crate) fn user_properties(
    name: &str,
    value: &Bound<'_, PyAny>,
) -> PyResult<Vec<(MqttString, MqttString)>> {
    convert::pairs(Some(get(name, value)?)).collect()
}

/// A number of messages, and one of bytes.
fn sizes(name: &str, value: &Bound<'_, PyAny>) -> PyResult<(usize, usize)> {
    get(name, value)
}

/// Headers of a WebSocket handshake: a mapping, or pairs.
fn headers(name: &str, value: &Bound<'_, PyAny>) -> PyResult<WsOptions> {
    let pairs = match value.cast::<PyMapping>() {
        Ok(mapping) => mapping.items()?.into_any(),
        Err(_) => value.clone(),
    };
    let mut options = WsOptions::new();
    for (key, value) in get::<Vec<(PyBackedStr, PyBackedStr)>>(name, &pairs)? {
        let with = options.header(&key, &value);
        options = with.map_err(|error| invalid(name, error))?;
    }
    Ok(options)
}

/// The options that name files, and what goes with them.
#[derive(Default)]
struct Files {
    ca_file: Option<PathBuf>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    server_name: Option<String>,
    alpn: Option<Vec<String>>,
    unverified: bool,
    only_tls_1_3: bool,
    ciphers: Option<Vec<String>>,
    store: Option<PathBuf>,
    durability: Durability,
}

impl Files {
    /// Whether the option is one of these; then it is taken.
    fn take(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        match name {
            "ca_file" => self.ca_file = Some(get(name, value)?),
            "cert_file" => self.cert_file = Some(get(name, value)?),
            "key_file" => self.key_file = Some(get(name, value)?),
            "server_name" => self.server_name = Some(get(name, value)?),
            "alpn" => self.alpn = Some(get(name, value)?),
            "verify" => self.unverified = !get::<bool>(name, value)?,
            "only_tls_1_3" => self.only_tls_1_3 = get(name, value)?,
            "ciphers" => self.ciphers = Some(get(name, value)?),
            "store" => self.store = Some(get(name, value)?),
            "durability" => {
                let words = [("safe", Durability::Safe), ("fast", Durability::Fast)];
                self.durability = choice(name, value, &words)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// How to do TLS, if anything was said of it.
    fn tls(&mut self) -> PyResult<Option<TlsOptions>> {
        let (mut tls, mut is_said) = (TlsOptions::new(), false);
        if let Some(path) = &self.ca_file {
            let authorities = Certificates::parse(read(path)?);
            tls = tls.authorities(authorities.map_err(|error| bad_file(path, error))?);
            is_said = true;
        }
        match (&self.cert_file, &self.key_file) {
            (Some(chain), key) => {
                // Both may stand in one file.
                let key = key.as_ref().unwrap_or(chain);
                let identity = Identity::pem(read(chain)?, read(key)?);
                tls = tls.identity(identity.map_err(|error| bad_file(chain, error))?);
                is_said = true;
            }
            (None, Some(_)) => {
                return Err(invalid(
                    "key_file",
                    "give the certificate's cert_file with it",
                ));
            }
            (None, None) => {}
        }
        if let Some(name) = self.server_name.take() {
            (tls, is_said) = (tls.server_name(name), true);
        }
        if let Some(protocols) = self.alpn.take() {
            (tls, is_said) = (tls.alpn(protocols), true);
        }
        if self.only_tls_1_3 {
            (tls, is_said) = (tls.only_tls_1_3(), true);
        }
        if let Some(names) = self.ciphers.take() {
            (tls, is_said) = (tls.ciphers(names), true);
        }
        if self.unverified {
            (tls, is_said) = (tls.dangerously_disable_verification(), true);
        }
        Ok(is_said.then_some(tls))
    }

    fn store(self) -> PyResult<Option<StoreFile>> {
        let durability = self.durability;
        let open = |path| StoreFile::new(path, durability);
        self.store.map(open).transpose()
    }
}

/// The bytes of a file; an `OSError` of Python's own that names it if there are none.
fn read(path: &Path) -> PyResult<Vec<u8>> {
    std::fs::read(path).map_err(|error| match error.raw_os_error() {
        Some(number) => {
            // Without the number, which the exception has and shows.
            let text = error.to_string();
            let text = text
                .split(" (os error")
                .next()
                .unwrap_or_default()
                .to_owned();
            PyOSError::new_err((number, text, path.display().to_string()))
        }
        None => PyOSError::new_err(format!("{}: {error}", path.display())),
    })
}

fn bad_file(path: &Path, error: impl Display) -> PyErr {
    PyValueError::new_err(format!("{}: {error}", path.display()))
}

/// A store that is to be opened.
pub(crate) struct StoreFile {
    path: PathBuf,
    kind: Kind,
    durability: Durability,
}

#[derive(Clone, Copy)]
enum Kind {
    Redb,
    Sqlite,
}

impl StoreFile {
    /// The end of its name says which kind it is.
    fn new(path: PathBuf, durability: Durability) -> PyResult<Self> {
        let kind = match path.extension().and_then(|end| end.to_str()) {
            Some("redb") => Kind::Redb,
            Some("sqlite" | "sqlite3" | "db") => Kind::Sqlite,
            _ => {
                let wanted = "end the name of the file with .redb, .sqlite, .sqlite3 or .db, which says what it is";
                return Err(invalid("store", format!("{}: {wanted}", path.display())));
            }
        };
        Ok(Self {
            path,
            kind,
            durability,
        })
    }

    /// Gives it to a client that is to be. It blocks while the file is opened.
    pub(crate) fn open(self, builder: ClientBuilder) -> Result<ClientBuilder, StoreError> {
        Ok(match self.kind {
            Kind::Redb => builder.store(RedbStore::open(self.path)?, self.durability),
            Kind::Sqlite => builder.store(SqliteStore::open(self.path)?, self.durability),
        })
    }
}
