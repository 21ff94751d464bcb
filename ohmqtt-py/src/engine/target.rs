//! Where a connection goes to, and what its CONNECT says.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ohmqtt_client::{
    Client, ClientBuilder, ConnectProperties, Endpoint, MqttString, Scheme, TlsOptions, Will,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;

use super::events::Notices;
use super::exchange::{Exchange, Speaker};
use super::tls::ContextConnector;
use crate::convert::{self, Blob, Int};
use crate::runtime;
use crate::toolkit::blocks::{Properties, of_object};

/// So long may a connection take to come about when nothing is said: as good as for ever.
const NO_LIMIT: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The largest packet there can be (section 2.1.4).
const LARGEST_PACKET: u32 = 268_435_460;

/// A will as Python gives it: topic, payload, QoS, retain, properties.
pub(super) type WillArguments = (PyBackedStr, Blob, Int, bool, Option<Py<PyAny>>);

/// What `Client.connect` was given, but for the address.
pub(super) struct Arguments {
    pub(super) client_id: PyBackedStr,
    pub(super) clean_start: bool,
    pub(super) connect_timeout: Option<f64>,
    pub(super) reconnect_delay: f64,
    pub(super) keep_alive: Int,
    pub(super) tls: Option<(Option<Py<PyAny>>, PyBackedStr)>,
    pub(super) username: Option<PyBackedStr>,
    pub(super) password: Option<Blob>,
    pub(super) will: Option<WillArguments>,
    pub(super) properties: Option<Py<PyAny>>,
}

/// What a connection is made with, as often as it is made.
pub(super) struct Target {
    endpoint: Endpoint,
    client_id: String,
    clean_start: bool,
    connect_timeout: Duration,
    reconnect_delay: Option<Duration>,
    keep_alive: u16,
    username: Option<String>,
    password: Option<Bytes>,
    will: Option<Will>,
    properties: ConnectProperties,
    tls: Tls,
    exchange: Option<Arc<Exchange>>,
}

/// How TLS is done, where it is done.
enum Tls {
    /// By the platform's authorities, with this name in place of the address's.
    Own(Option<String>),
    Python(Box<ContextConnector>),
}

impl Target {
    pub(super) fn new(
        py: Python<'_>,
        address: &str,
        given: Arguments,
        notices: &Arc<Notices>,
    ) -> PyResult<Self> {
        let endpoint: Endpoint = address
            .parse()
            .map_err(|error| PyValueError::new_err(format!("{error}")))?;
        let reconnect_delay =
            runtime::seconds("reconnect_delay", Some(given.reconnect_delay))?.unwrap_or_default();
        let connect_timeout = runtime::seconds("connect_timeout", given.connect_timeout)?;
        let properties: ConnectProperties = properties(py, given.properties)?;
        let exchange = properties.authentication_method().map(|method| {
            let method = MqttString::try_from(method).unwrap_or_default();
            let first = properties.authentication_data().map(Bytes::copy_from_slice);
            Arc::new(Exchange::new(method, first, Arc::clone(notices)))
        });
        Ok(Self {
            client_id: convert::text("client_id", given.client_id)?
                .as_str()
                .to_owned(),
            clean_start: given.clean_start,
            connect_timeout: connect_timeout.map_or(NO_LIMIT, |limit| limit.min(NO_LIMIT)),
            reconnect_delay: (!reconnect_delay.is_zero()).then_some(reconnect_delay),
            keep_alive: convert::whole16("keepalive_interval", given.keep_alive)?,
            username: given.username.map(|name| name.to_string()),
            password: given.password.map(|password| password.0),
            will: given.will.map(|given| will(py, given)).transpose()?,
            tls: Tls::new(&endpoint, given.tls)?,
            endpoint,
            properties,
            exchange,
        })
    }

    /// How to connect: the first time, or again. What began anew goes on then.
    pub(super) fn builder(&self, again: bool) -> ClientBuilder {
        let properties = self.properties.clone();
        let largest = properties.maximum_packet_size();
        let mut builder = Client::builder(self.endpoint.clone())
            .one_connection()
            .client_id(&self.client_id)
            .clean_start(self.clean_start && !again)
            .keep_alive(Duration::from_secs(self.keep_alive.into()))
            .connect_timeout(self.connect_timeout)
            .connect_properties(|own| *own = properties)
            .max_packet_size(largest.map_or(LARGEST_PACKET, NonZeroU32::get));
        if let Some(name) = &self.username {
            builder = builder.user_name(name);
        }
        if let Some(password) = &self.password {
            builder = builder.password(password.clone());
        }
        if let Some(will) = &self.will {
            builder = builder.will(will.clone());
        }
        if let Some(exchange) = &self.exchange {
            builder = builder.authenticator(Speaker(Arc::clone(exchange)));
        }
        match &self.tls {
            Tls::Own(None) => builder,
            Tls::Own(Some(name)) => builder.tls(TlsOptions::new().server_name(name)),
            Tls::Python(connector) => builder.connector(connector.again()),
        }
    }

    /// How long after its end a connection that stood is made again, if it is.
    pub(super) fn reconnect_delay(&self) -> Option<Duration> {
        self.reconnect_delay
    }

    pub(super) fn exchange(&self) -> Option<&Arc<Exchange>> {
        self.exchange.as_ref()
    }

    /// What Python's TLS raised last.
    pub(super) fn fault(&self, py: Python<'_>) -> Option<PyErr> {
        match &self.tls {
            Tls::Own(_) => None,
            Tls::Python(connector) => connector.fault(py),
        }
    }
}

impl Tls {
    fn new(endpoint: &Endpoint, given: Option<(Option<Py<PyAny>>, PyBackedStr)>) -> PyResult<Self> {
        let (context, name) = match given {
            Some((context, name)) => (context, (!name.is_empty()).then(|| name.to_string())),
            None => (None, None),
        };
        match context {
            Some(_) if endpoint.scheme() == Scheme::Quic => Err(PyValueError::new_err(
                "tls_context: QUIC does TLS in a way that an ssl.SSLContext does not know; leave it out",
            )),
            Some(context) => Ok(Self::Python(Box::new(ContextConnector::new(context, name)))),
            None => Ok(Self::Own(name)),
        }
    }
}

fn will(py: Python<'_>, given: WillArguments) -> PyResult<Will> {
    let (topic, payload, qos, retain, will_properties) = given;
    Ok(Will {
        topic: convert::topic("will_topic", topic)?,
        payload: convert::binary("will_payload", payload)?,
        qos: convert::qos("will_qos", qos.into())?,
        retain,
        properties: properties(py, will_properties)?,
    })
}

fn properties<P: Properties>(py: Python<'_>, object: Option<Py<PyAny>>) -> PyResult<P> {
    object.map_or_else(|| Ok(P::default()), |object| of_object(object.bind(py)))
}
