//! What a broker is told once: from Python's dataclasses and arguments to the builder.

use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ohmqtt_broker::{
    Broker, Builder, Certificates, Durability, Identity, Limits, ListenOptions, RedbStore,
    ScramSha256, SqliteStore, Store, StoreError, WhenFull,
};
use pyo3::conversion::FromPyObjectOwned;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::access::{Authenticator, Authorizer};
use super::errors;
use crate::{convert, runtime};

/// A broker that waits for its authorizer does not stop either.
const AUTHORIZER_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// What opens a file.
type Open = fn(&Path) -> Result<Box<dyn Store>, StoreError>;

const REDB: Open = |path| Ok(Box::new(RedbStore::open(path)?));
const SQLITE: Open = |path| Ok(Box::new(SqliteStore::open(path)?));

/// The builder of a broker with all that `settings` says, an object with an attribute for each.
pub(super) fn builder(settings: &Bound<'_, PyAny>) -> PyResult<Builder> {
    let py = settings.py();
    let mut builder = Broker::builder().limits(limits(&settings.getattr("limits")?)?);
    for listener in settings.getattr("listeners")?.try_iter()? {
        let listener = listener?;
        let url: String = field(&listener, "url")?;
        builder = builder.listen_with(url, listen_options(&listener)?);
    }
    if let Some(file) = field::<Option<PathBuf>>(settings, "passwords")? {
        builder = builder.passwords(file);
    }
    if let Some(file) = field::<Option<PathBuf>>(settings, "acl")? {
        builder = builder.acl(file);
    }
    let users: Vec<(String, String)> = field(settings, "scram")?;
    if !users.is_empty() {
        builder = builder.enhanced(py.detach(|| scram(&users))?);
    }
    if field(settings, "certificate_users")? {
        builder = builder.certificate_users();
    }
    if field(settings, "insecure_allow_anonymous")? {
        builder = builder.insecure_allow_anonymous();
    }
    if let Some(prefix) = field::<Option<String>>(settings, "response_information")? {
        builder = builder.response_information(prefix);
    }
    if let Some(callable) = field::<Option<Py<PyAny>>>(settings, "authenticator")? {
        builder = builder.authenticate(Authenticator::start(callable.bind(py))?);
    }
    if let Some(callable) = field::<Option<Py<PyAny>>>(settings, "authorizer")? {
        let limit = seconds(settings, "authorizer_timeout")?.unwrap_or(Duration::MAX);
        if limit > AUTHORIZER_TIMEOUT_MAX {
            let why = "authorizer_timeout: more than 60 seconds, and the broker does nothing else meanwhile";
            return Err(PyValueError::new_err(why));
        }
        builder = builder.authorize(Authorizer::start(callable.bind(py), limit)?);
    }
    if let Some(path) = field::<Option<PathBuf>>(settings, "store")? {
        let open = open_by(&path, field(settings, "store_kind")?)?;
        let store = py.detach(|| open(&path));
        let store = store.map_err(|error| errors::store(py, &error))?;
        let durability = if field(settings, "fast")? {
            Durability::Fast
        } else {
            Durability::Safe
        };
        builder = builder.store(store, durability);
    }
    Ok(builder)
}

/// What opens this store: by the kind it is said to be, or by its name.
fn open_by(path: &Path, kind: Option<String>) -> PyResult<Open> {
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    match kind.as_deref() {
        Some("redb") => Ok(REDB),
        Some("sqlite") => Ok(SQLITE),
        Some(kind) => Err(PyValueError::new_err(format!(
            "store_kind: '{kind}' is no kind of store; use 'redb' or 'sqlite'"
        ))),
        None => match &*ending {
            "redb" => Ok(REDB),
            "sqlite" | "sqlite3" | "db" => Ok(SQLITE),
            _ => Err(PyValueError::new_err(format!(
                "store: {} does not tell what it is: let its name end in .redb or .sqlite, or say store_kind='redb' or 'sqlite'",
                path.display()
            ))),
        },
    }
}

/// How to listen at one place.
fn listen_options(listener: &Bound<'_, PyAny>) -> PyResult<ListenOptions> {
    let py = listener.py();
    let mut options = ListenOptions::new();
    if let Some((chain, key)) = field::<Option<(PathBuf, PathBuf)>>(listener, "identity")? {
        errors::readable(py, &chain)?;
        errors::readable(py, &key)?;
        let identity = py.detach(|| Identity::from_files(chain, key));
        options = options.identity(identity.map_err(|error| wrong("identity", error))?);
    }
    if let Some(path) = field::<Option<PathBuf>>(listener, "client_authorities")? {
        errors::readable(py, &path)?;
        let authorities = py.detach(|| Certificates::from_file(path));
        let authorities = authorities.map_err(|error| wrong("client_authorities", error))?;
        options = if field(listener, "client_certificates_required")? {
            options.require_client_certificates(authorities)
        } else {
            options.ask_for_client_certificates(authorities)
        };
    }
    if let Some(mode) = field(listener, "socket_mode")? {
        options = options.socket_mode(mode);
    }
    Ok(options)
}

fn scram(users: &[(String, String)]) -> PyResult<ScramSha256> {
    let mut scram = ScramSha256::new()?;
    for (name, password) in users {
        let with_user = scram.user(name, password);
        scram = with_user.map_err(|error| wrong(&format!("scram: user '{name}'"), error))?;
    }
    Ok(scram)
}

fn limits(from: &Bound<'_, PyAny>) -> PyResult<Limits> {
    let mut limits = Limits::default();
    limits.connections = field(from, "connections")?;
    limits.half_open = field(from, "half_open")?;
    limits.connect_timeout = seconds(from, "connect_timeout")?.unwrap_or(Duration::MAX);
    limits.connect_packet_size = positive(from, "connect_packet_size")?;
    limits.packet_size = positive(from, "packet_size")?;
    limits.user_properties = field(from, "user_properties")?;
    limits.property_bytes = field(from, "property_bytes")?;
    limits.receive_maximum = convert::positive16("receive_max", whole(from, "receive_max")?)?;
    limits.topic_aliases = convert::whole16("topic_aliases", whole(from, "topic_aliases")?)?;
    limits.topic_levels = field(from, "topic_levels")?;
    limits.sessions = field(from, "sessions")?;
    limits.session_expiry = seconds(from, "session_expiry")?;
    limits.subscriptions = field(from, "subscriptions")?;
    limits.subscription_bytes = field(from, "subscription_bytes")?;
    limits.keep_alive = match field::<Option<i64>>(from, "keep_alive")? {
        Some(keep_alive) => Some(convert::positive16("keep_alive", keep_alive)?),
        None => None::<NonZeroU16>,
    };
    limits.session_queue = field(from, "session_queue")?;
    limits.session_queue_bytes = field(from, "session_queue_bytes")?;
    limits.when_full = when_full(&field::<String>(from, "when_full")?)?;
    limits.queued_bytes = field(from, "queued_bytes")?;
    limits.retained = field(from, "retained")?;
    limits.retained_bytes = field(from, "retained_bytes")?;
    limits.maximum_qos = convert::qos("max_qos", whole(from, "max_qos")?)?;
    limits.retain_available = field(from, "retain_available")?;
    limits.wildcard_subscription_available = field(from, "wildcard_subscription_available")?;
    limits.shared_subscription_available = field(from, "shared_subscription_available")?;
    limits.subscription_identifier_available = field(from, "subscription_id_available")?;
    limits.sys_interval = seconds(from, "sys_interval")?;
    Ok(limits)
}

fn when_full(word: &str) -> PyResult<WhenFull> {
    match word {
        "drop_newest" => Ok(WhenFull::DropNewest),
        "drop_oldest" => Ok(WhenFull::DropOldest),
        "disconnect" => Ok(WhenFull::Disconnect),
        _ => Err(PyValueError::new_err(format!(
            "when_full: '{word}' is none of 'drop_newest', 'drop_oldest' and 'disconnect'"
        ))),
    }
}

/// The attribute of this name; an error names it.
fn field<'py, T: FromPyObjectOwned<'py>>(from: &Bound<'py, PyAny>, name: &str) -> PyResult<T> {
    let value = from.getattr(PyString::intern(from.py(), name))?;
    value.extract().map_err(Into::into).map_err(|error: PyErr| {
        let py = from.py();
        let says = format!("{name}: {}", error.value(py));
        if error.is_instance_of::<PyTypeError>(py) {
            PyTypeError::new_err(says)
        } else if error.is_instance_of::<PyOverflowError>(py)
            || error.is_instance_of::<PyValueError>(py)
        {
            PyValueError::new_err(says)
        } else {
            error
        }
    })
}

fn whole(from: &Bound<'_, PyAny>, name: &str) -> PyResult<i64> {
    field(from, name)
}

fn positive(from: &Bound<'_, PyAny>, name: &str) -> PyResult<NonZeroU32> {
    convert::positive32(name, whole(from, name)?)
}

fn seconds(from: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<Duration>> {
    runtime::seconds(name, field(from, name)?)
}

fn wrong(name: &str, error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(format!("{name}: {error}"))
}
