//! What may be wrong with a broker, as Python's own exceptions.

use std::error::Error;
use std::fs::File;
use std::io;
use std::path::Path;

use ohmqtt_broker::{
    ConfigError, FileError, StartError, StoreError, TransportError, TransportErrorKind,
};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

/// Why a broker did not start.
pub(super) fn start(py: Python<'_>, error: &StartError) -> PyErr {
    match error {
        StartError::Listen(error) => listen(py, error),
        StartError::Access(error) => file(py, error),
        StartError::Store(error) => store(py, error),
        StartError::NoRuntime => PyRuntimeError::new_err(error.to_string()),
        StartError::AnonymousBeyondLoopback { url } => PyValueError::new_err(format!(
            "{url} can be reached from other machines, and clients are not asked who they are: listen at 127.0.0.1, ask them, \
             as by passwords= or authenticator=, or say insecure_allow_anonymous=True"
        )),
        // Settings: a URL, a text.
        error => PyValueError::new_err(error.to_string()),
    }
}

/// An `OSError` if a file cannot be read, before it is read for what is in it.
pub(super) fn readable(py: Python<'_>, path: &Path) -> PyResult<()> {
    let opened = py.detach(|| File::open(path));
    opened
        .map(drop)
        .map_err(|error| os_error(py, name_of(&error), format!("{}: {error}", path.display())))
}

/// Why nothing listens at an address.
fn listen(py: Python<'_>, error: &TransportError) -> PyErr {
    let message = error.to_string();
    let source = error.source();
    let config = source.and_then(|source| source.downcast_ref());
    if let Some(ConfigError::MissingIdentity { scheme }) = config {
        return PyValueError::new_err(format!(
            "no certificate for a {scheme} listener: give the files, as in identity=(\"chain.pem\", \"key.pem\")"
        ));
    }
    match error.kind() {
        TransportErrorKind::Misconfigured | TransportErrorKind::NotCompiledIn { .. } => {
            PyValueError::new_err(message)
        }
        TransportErrorKind::NameNotFound => gaierror(py, &message).unwrap_or_else(|error| error),
        kind => {
            let source = source.and_then(|source| source.downcast_ref());
            let name = match kind {
                TransportErrorKind::AddressInUse => Some("EADDRINUSE"),
                TransportErrorKind::AddressNotAvailable => Some("EADDRNOTAVAIL"),
                TransportErrorKind::PermissionDenied => Some("EACCES"),
                _ => source.and_then(name_of),
            };
            os_error(py, name, message)
        }
    }
}

fn gaierror(py: Python<'_>, message: &str) -> PyResult<PyErr> {
    let socket = py.import("socket")?;
    let code = socket.getattr("EAI_NONAME")?;
    let error = socket.getattr("gaierror")?.call1((code, message))?;
    Ok(PyErr::from_value(error))
}

/// Why a file that says who may do what cannot be used.
pub(super) fn file(py: Python<'_>, error: &FileError) -> PyErr {
    match error {
        FileError::Io { error: cause, .. } => os_error(py, name_of(cause), error.to_string()),
        error => PyValueError::new_err(error.to_string()),
    }
}

/// Why a store cannot be used.
pub(super) fn store(py: Python<'_>, error: &StoreError) -> PyErr {
    let name = match error {
        StoreError::NoFolder { .. } => Some("ENOENT"),
        StoreError::InUse { .. } => Some("EBUSY"),
        StoreError::DiskFull { .. } | StoreError::Full { .. } => Some("ENOSPC"),
        StoreError::NotWritable { cause, .. }
        | StoreError::Io { cause, .. }
        | StoreError::Thread(cause) => name_of(cause),
        _ => None,
    };
    os_error(py, name, error.to_string())
}

/// The name of an error's number in Python's module `errno`.
fn name_of(error: &io::Error) -> Option<&'static str> {
    Some(match error.kind() {
        io::ErrorKind::NotFound => "ENOENT",
        io::ErrorKind::PermissionDenied => "EACCES",
        io::ErrorKind::AddrInUse => "EADDRINUSE",
        io::ErrorKind::AddrNotAvailable => "EADDRNOTAVAIL",
        io::ErrorKind::AlreadyExists => "EEXIST",
        io::ErrorKind::IsADirectory => "EISDIR",
        io::ErrorKind::NotADirectory => "ENOTDIR",
        io::ErrorKind::ReadOnlyFilesystem => "EROFS",
        io::ErrorKind::StorageFull => "ENOSPC",
        io::ErrorKind::InvalidFilename => "ENAMETOOLONG",
        _ => return None,
    })
}

/// An `OSError`, which Python makes the one of its subclasses that has this number.
pub(super) fn os_error(py: Python<'_>, name: Option<&str>, message: String) -> PyErr {
    let number = name.and_then(|name| {
        let number = py.import("errno").and_then(|errno| errno.getattr(name));
        number.and_then(|number| number.extract::<i32>()).ok()
    });
    match number {
        Some(number) => PyOSError::new_err((number, message)),
        None => PyOSError::new_err(message),
    }
}
