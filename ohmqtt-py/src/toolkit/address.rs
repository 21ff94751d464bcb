//! URLs, for `ohmqtt.connection.Address`: the rules are the transport's.

use ohmqtt_client::Endpoint;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Scheme, host, port, path with query, user name and password of a URL. A ValueError, which shows no password, tells
/// what is wrong with it.
type Parts = (
    &'static str,
    String,
    u16,
    String,
    Option<String>,
    Option<String>,
);

/// The parts of a broker's URL: scheme, host, port, path with its query, user name, password.
///
/// Of a Unix socket the path is the host and the port 0. ValueError for what is no such URL.
#[pyfunction]
pub(crate) fn toolkit_parse_address(url: &str) -> PyResult<Parts> {
    let endpoint =
        Endpoint::try_from(url).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let path = endpoint.path().unwrap_or_default();
    let (host, path) = match endpoint.host() {
        Some(host) => (host, path),
        None => (path, ""),
    };
    let path = match endpoint.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let password = endpoint.password();
    Ok((
        endpoint.scheme().name(),
        host.to_owned(),
        endpoint.port().unwrap_or(0),
        path,
        endpoint.user_name().map(str::to_owned),
        password.map(|password| String::from_utf8_lossy(password).into_owned()),
    ))
}
