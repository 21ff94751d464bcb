//! From text to [`Endpoint`]. fluent-uri checks the syntax of RFC 3986; what is here is what MQTT's URLs add to it and
//! errors that show the wrong part without ever showing a password.
//!
//! The rule that keeps passwords out of errors: nothing that stands before the last `@` is shown, and an `@` after the
//! authority is refused, so that a password with a raw `/`, `?`, `#` or `@` in it cannot be taken for a path.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use fluent_uri::Uri;
use percent_encoding::percent_decode_str;

use super::Endpoint;
use crate::{ConfigError, Scheme};

impl FromStr for Endpoint {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        parse(text)
    }
}

impl TryFrom<&str> for Endpoint {
    type Error = ConfigError;

    fn try_from(text: &str) -> Result<Self, ConfigError> {
        parse(text)
    }
}

impl TryFrom<String> for Endpoint {
    type Error = ConfigError;

    fn try_from(text: String) -> Result<Self, ConfigError> {
        parse(&text)
    }
}

impl TryFrom<&String> for Endpoint {
    type Error = ConfigError;

    fn try_from(text: &String) -> Result<Self, ConfigError> {
        parse(text)
    }
}

fn parse(text: &str) -> Result<Endpoint, ConfigError> {
    if let Some((name, path)) = text.split_once(':')
        && Scheme::from_name(name) == Some(Scheme::Unix)
    {
        return parse_unix(path);
    }
    match text.split_once("://") {
        None => parse_net(Scheme::Mqtt, text),
        Some((name, rest)) => match Scheme::from_name(name) {
            Some(scheme) => parse_net(scheme, rest),
            // `user:pass://word@host`: what stands before is no scheme, and none of it may be shown.
            None if !is_scheme(name) => Err(ConfigError::BadCredentials),
            None => Err(ConfigError::UnknownScheme {
                scheme: shown(name),
            }),
        },
    }
}

fn parse_unix(path: &str) -> Result<Endpoint, ConfigError> {
    let bad = || ConfigError::BadPath {
        scheme: Scheme::Unix,
        path: shown(&after_last_at(path)),
    };
    // `unix:///run/x` has an empty authority, which means the same as none.
    let path = path
        .strip_prefix("//")
        .filter(|rest| rest.starts_with('/'))
        .unwrap_or(path);
    let url = format!("unix:{path}");
    let url = Uri::parse(url.as_str()).map_err(|_| bad())?;
    if url.has_authority() || url.has_query() || url.has_fragment() {
        return Err(bad());
    }
    let path = percent_decode_str(path).decode_utf8().map_err(|_| bad())?;
    let absolute = path.len() > 1 && path.starts_with(['/', '@']) && !path.contains('\0');
    if !absolute {
        return Err(bad());
    }
    Ok(Endpoint {
        scheme: Scheme::Unix,
        host: String::new(),
        port: 0,
        user_name: None,
        password: None,
        path: Some(path.into_owned()),
        query: None,
    })
}

/// `rest` is what follows the `//`.
fn parse_net(scheme: Scheme, rest: &str) -> Result<Endpoint, ConfigError> {
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if tail.contains('@') {
        return Err(ConfigError::BadCredentials);
    }
    let (credentials, host_and_port) = match authority.rsplit_once('@') {
        Some((credentials, rest)) => (Some(credentials), rest),
        None => (None, authority),
    };
    let (user_name, password) = parse_credentials(scheme, credentials)?;
    let (host, port) = parse_host_and_port(scheme, host_and_port)?;
    let (path, query) = parse_path_and_query(scheme, tail)?;
    Ok(Endpoint {
        scheme,
        host,
        port,
        user_name,
        password,
        path,
        query,
    })
}

type Credentials = (Option<String>, Option<Vec<u8>>);

fn parse_credentials(scheme: Scheme, text: Option<&str>) -> Result<Credentials, ConfigError> {
    let Some(text) = text else {
        return Ok((None, None));
    };
    let url = format!("{scheme}://{text}@host");
    let url = Uri::parse(url.as_str()).map_err(|_| ConfigError::BadCredentials)?;
    if url
        .authority()
        .and_then(|authority| authority.userinfo())
        .is_none_or(|info| info.as_str() != text)
    {
        return Err(ConfigError::BadCredentials);
    }
    let (user_name, password) = match text.split_once(':') {
        Some((user_name, password)) => (user_name, Some(password)),
        None => (text, None),
    };
    let user_name = percent_decode_str(user_name)
        .decode_utf8()
        .map_err(|_| ConfigError::BadCredentials)?;
    if user_name.contains('\0') {
        return Err(ConfigError::BadCredentials);
    }
    let user_name = Some(user_name.into_owned()).filter(|name| !name.is_empty());
    Ok((
        user_name,
        password.map(|password| percent_decode_str(password).collect()),
    ))
}

fn parse_host_and_port(scheme: Scheme, text: &str) -> Result<(String, u16), ConfigError> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, after)) => {
            let bad = || ConfigError::BadHost { host: shown(text) };
            host.parse::<Ipv6Addr>().map_err(|_| bad())?;
            let port = if after.is_empty() {
                None
            } else {
                Some(after.strip_prefix(':').ok_or_else(bad)?)
            };
            (host, port)
        }
        None if text.starts_with('[') || text.matches(':').count() > 1 => {
            return Err(ConfigError::BadHost { host: shown(text) });
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => (checked_name(host)?, Some(port)),
            None => (checked_name(text)?, None),
        },
    };
    let port = match port.filter(|port| !port.is_empty()) {
        None => scheme.default_port().unwrap_or_default(),
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port
            .parse()
            .map_err(|_| ConfigError::BadPort { port: shown(port) })?,
        Some(port) => return Err(ConfigError::BadPort { port: shown(port) }),
    };
    Ok((host.to_owned(), port))
}

/// A name as the domain name system and local networks use them, or an IPv4 address.
fn checked_name(host: &str) -> Result<&str, ConfigError> {
    if host.is_empty() {
        return Err(ConfigError::MissingHost);
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    let last = name.rsplit('.').next().unwrap_or_default();
    // A name never ends in a number: what does and is no address is a slip in an address.
    let number = last.bytes().all(|byte| byte.is_ascii_digit());
    let valid = name.len() <= 253
        && name.split('.').all(label)
        && (!number || host.parse::<Ipv4Addr>().is_ok());
    if valid {
        Ok(host)
    } else {
        Err(ConfigError::BadHost { host: shown(host) })
    }
}

type PathAndQuery = (Option<String>, Option<String>);

fn parse_path_and_query(scheme: Scheme, tail: &str) -> Result<PathAndQuery, ConfigError> {
    let bad = || ConfigError::BadPath {
        scheme,
        path: shown(&without_query(tail)),
    };
    if !scheme.has_path() {
        return if tail.is_empty() || tail == "/" {
            Ok((None, None))
        } else {
            Err(bad())
        };
    }
    let url = format!("{scheme}://host{tail}");
    let url = Uri::parse(url.as_str()).map_err(|_| bad())?;
    if url.has_fragment() {
        return Err(bad());
    }
    let path = Some(url.path().as_str()).filter(|path| !path.is_empty());
    Ok((
        path.map(str::to_owned),
        url.query().map(|query| query.as_str().to_owned()),
    ))
}

/// What of a Unix path an error may show: where credentials may stand before an `@`, only what follows.
fn after_last_at(path: &str) -> String {
    match path.rsplit_once('@') {
        Some((before, after)) if !before.is_empty() => format!("...@{after}"),
        _ => path.to_owned(),
    }
}

fn without_query(tail: &str) -> String {
    match tail.split_once('?') {
        Some((path, _)) => format!("{path}?..."),
        None => tail.to_owned(),
    }
}

fn is_scheme(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// A part of the URL as an error may show it: on one line and not too long.
fn shown(part: &str) -> String {
    const LONGEST: usize = 80;
    let cut = match part.char_indices().nth(LONGEST) {
        Some((at, _)) => Cow::Owned(format!("{}...", &part[..at])),
        None => Cow::Borrowed(part),
    };
    cut.escape_debug().to_string()
}
