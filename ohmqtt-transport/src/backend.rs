//! The table of what was compiled in. A transport is one file and a row here.

use crate::{
    BoxFuture, Connector, Endpoint, Listen, ListenOptions, Scheme, Transport, TransportError,
};

/// Both ends of one kind of transport. `to` and `at` have one of its schemes.
pub(crate) trait Backend: Sync {
    fn connect<'a>(
        &self,
        connector: &'a Connector,
        to: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Transport>, TransportError>>;

    fn listen<'a>(
        &self,
        at: &'a Endpoint,
        options: &'a ListenOptions,
    ) -> BoxFuture<'a, Result<Box<dyn Listen>, TransportError>>;
}

const BACKENDS: &[(Scheme, &dyn Backend)] = &[
    #[cfg(feature = "tcp")]
    (Scheme::Mqtt, &crate::tcp::Tcp),
    #[cfg(feature = "tls-no-provider")]
    (Scheme::Mqtts, &crate::tls::Tls),
    #[cfg(feature = "ws")]
    (Scheme::Ws, &crate::ws::Ws),
    #[cfg(all(feature = "ws", feature = "tls-no-provider"))]
    (Scheme::Wss, &crate::ws::secure::Wss),
    #[cfg(feature = "quic")]
    (Scheme::Quic, &crate::quic::Quic),
    #[cfg(all(unix, feature = "unix"))]
    (Scheme::Unix, &crate::unix::Unix),
];

/// The backend that carries `scheme`; `None` if it was not compiled in.
pub(crate) fn of(scheme: Scheme) -> Option<&'static dyn Backend> {
    BACKENDS
        .iter()
        .find(|(carried, _)| *carried == scheme)
        .map(|(_, backend)| *backend)
}
