//! From options to a client: the address, the login, the session, TLS.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use ohmqtt_client::{
    Binary, Client, ClientBuilder, ConnectProperties, Endpoint, Proxy, TopicName, Will,
    WillProperties,
};
use ohmqtt_codec::PropertyId;

use crate::args::ConnectionArgs;
use crate::failure::Failure;

/// How long messages on their way may take when a command ends.
pub(crate) const LINGER: Duration = Duration::from_secs(10);

/// A client to be, and the topic that stood in its URL.
pub(crate) struct Target {
    pub(crate) builder: ClientBuilder,
    pub(crate) topic: Option<String>,
}

impl ConnectionArgs {
    /// The client these options ask for. It asks for the password if it is to.
    pub(crate) fn target(&self) -> Result<Target, Failure> {
        let (addresses, topic) = self.addresses()?;
        let mut addresses = addresses.into_iter();
        let first = addresses.next().ok_or_else(no_address)?;
        let mut builder = Client::builder(first);
        for other in addresses {
            builder = builder.or(other);
        }
        let properties: ConnectProperties = self.properties.of()?;
        if properties.iter().any(|(id, _)| {
            matches!(
                id,
                PropertyId::AuthenticationMethod | PropertyId::AuthenticationData
            )
        }) {
            return Err(Failure::usage(
                "-D connect: enhanced authentication takes more than one packet, which this command does not do; \
                 log in with -u and a password",
            ));
        }
        builder = builder.connect_properties(|before| {
            let asks = before.request_response_information();
            let receive_maximum = before.receive_maximum();
            *before = properties;
            if let (None, Some(asks)) = (before.request_response_information(), asks) {
                before.set_request_response_information(asks);
            }
            if let (None, Some(maximum)) = (before.receive_maximum(), receive_maximum) {
                before.set_receive_maximum(maximum);
            }
        });
        builder = builder
            .clean_start(!self.keep_session)
            .session_expiry(self.session_expiry())
            .keep_alive(Duration::from_secs(self.keepalive.into()))
            .connect_timeout(self.connect_timeout)
            .tls(self.tls.options()?);
        if let Some(address) = self.bind {
            builder = builder.bind(address);
        }
        if let Some(proxy) = &self.proxy {
            let proxy: Proxy = proxy
                .parse()
                .map_err(|error| Failure::usage(format!("--proxy: {error}")))?;
            builder = builder.proxy(proxy);
        }
        if let Some(id) = self.client_id() {
            builder = builder.client_id(&id);
        }
        if let Some(name) = &self.username {
            builder = builder.user_name(name);
        }
        if let Some(password) = self.password()? {
            builder = builder.password(password);
        }
        if let Some(will) = self.will()? {
            builder = builder.will(will);
        }
        if self.keep_session && self.client_id().is_none() {
            return Err(Failure::usage(
                "-c: a session that is kept needs a name to be found again; give one with -i NAME",
            ));
        }
        Ok(Target { builder, topic })
    }

    pub(crate) fn client_id(&self) -> Option<String> {
        let prefixed = |prefix: &String| format!("{prefix}{}", std::process::id());
        let given = self.id.clone().filter(|id| !id.is_empty());
        given.or_else(|| self.id_prefix.as_ref().map(prefixed))
    }

    fn session_expiry(&self) -> Duration {
        let seconds = self.session_expiry_interval;
        let otherwise = if self.keep_session { u32::MAX } else { 0 };
        Duration::from_secs(seconds.unwrap_or(otherwise).into())
    }

    /// Where to connect, and the topic behind the host.
    fn addresses(&self) -> Result<(Vec<Endpoint>, Option<String>), Failure> {
        if self.by_host || self.url.is_empty() {
            let url = match &self.unix {
                Some(path) => format!("unix:{path}"),
                None => self.by_host_and_port(),
            };
            return Ok((vec![endpoint(&url)?], None));
        }
        let mut topic = None;
        let mut addresses = Vec::new();
        for url in &self.url {
            let (url, behind) = split_topic(url);
            topic = topic.or(behind);
            addresses.push(endpoint(url)?);
        }
        Ok((addresses, topic))
    }

    fn by_host_and_port(&self) -> String {
        let host = self.host.as_deref().unwrap_or("localhost");
        let (open, close) = if host.contains(':') && !host.starts_with('[') {
            ("[", "]")
        } else {
            ("", "")
        };
        let is_tls = self.tls.is_wanted() || self.port == Some(8883);
        let (scheme, usual) = if is_tls {
            ("mqtts", 8883)
        } else {
            ("mqtt", 1883)
        };
        let port = self.port.unwrap_or(usual);
        format!("{scheme}://{open}{host}{close}:{port}")
    }

    fn password(&self) -> Result<Option<Vec<u8>>, Failure> {
        if self.ask_password {
            let asked = rpassword::prompt_password("Password: ");
            let asked = asked.map_err(|error| {
                Failure::usage(format!(
                    "--ask-password: {error}; there is no terminal to ask at: use --password-file"
                ))
            })?;
            return Ok(Some(asked.into_bytes()));
        }
        match (&self.pw, &self.password_file) {
            (Some(password), _) => Ok(Some(password.clone().into_bytes())),
            (None, Some(file)) => first_line(file).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn will(&self) -> Result<Option<Will>, Failure> {
        let properties: WillProperties = self.properties.of()?;
        let Some(topic) = &self.will_topic else {
            return Ok(None);
        };
        let topic = TopicName::new(topic)
            .map_err(|error| Failure::usage(format!("--will-topic: {error}")))?;
        let payload = self.will_payload.clone().unwrap_or_default();
        let payload = Binary::try_from(payload.into_bytes())
            .map_err(|error| Failure::usage(format!("--will-payload: {error}")))?;
        Ok(Some(Will {
            topic,
            payload,
            qos: self.will_qos,
            retain: self.will_retain,
            properties,
        }))
    }
}

/// The first line of a file, which is a secret.
pub(crate) fn first_line(file: &Path) -> Result<Vec<u8>, Failure> {
    let wrong = |error| Failure::file("password file", file, &error);
    let opened = std::fs::File::open(file).map_err(wrong)?;
    let mut line = Vec::new();
    BufReader::new(opened)
        .read_until(b'\n', &mut line)
        .map_err(wrong)?;
    while line
        .last()
        .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
    {
        line.pop();
    }
    Ok(line)
}

pub(crate) fn endpoint(url: &str) -> Result<Endpoint, Failure> {
    url.parse::<Endpoint>().map_err(Failure::usage)
}

fn no_address() -> Failure {
    Failure::usage("no broker to connect to: give one with --url or -h")
}

/// Takes the topic off a URL of mqtt or mqtts, where it stands behind the host as in mosquitto's commands.
fn split_topic(url: &str) -> (&str, Option<String>) {
    let Some((scheme, rest)) = url.split_once("://") else {
        return (url, None);
    };
    let Some(slash) = rest
        .find('/')
        .filter(|_| matches!(scheme, "mqtt" | "mqtts"))
    else {
        return (url, None);
    };
    let (host, topic) = rest.split_at(slash);
    let topic = topic.strip_prefix('/').filter(|topic| !topic.is_empty());
    let end = scheme.len() + "://".len() + host.len();
    (url.get(..end).unwrap_or(url), topic.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, want: &str, topic: Option<&str>) {
        let (address, found) = split_topic(url);
        assert_eq!((address, found.as_deref()), (want, topic), "{url}");
    }

    #[test]
    fn a_topic_may_stand_behind_the_host() {
        check("mqtt://h/a/b", "mqtt://h", Some("a/b"));
        check("mqtts://u:p@h:1/#", "mqtts://u:p@h:1", Some("#"));
        check("mqtt://h/", "mqtt://h", None);
        check("mqtt://h", "mqtt://h", None);
        check("ws://h/mqtt", "ws://h/mqtt", None);
        check("h:1883", "h:1883", None);
    }
}
