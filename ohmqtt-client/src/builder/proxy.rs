//! The way to the server.

use std::net::IpAddr;

use ohmqtt_transport::Proxy;

use super::ClientBuilder;

impl ClientBuilder {
    /// Connects through a proxy: for `mqtt`, `mqtts`, `ws` and `wss`. See [`Proxy`] for its URL and what it needs of this build.
    ///
    /// ```
    /// use ohmqtt_client::{Client, Proxy};
    ///
    /// let proxy: Proxy = "socks5://user:password@proxy.example".parse()?;
    /// let client = Client::builder("mqtt://broker.example").proxy(proxy);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.connector = self.connector.proxy(proxy);
        self
    }

    /// Connects from this address of this machine, by TCP and QUIC: to a server, or to the proxy. Only addresses of its family are
    /// connected to.
    pub fn bind(mut self, address: IpAddr) -> Self {
        self.connector = self.connector.bind(address);
        self
    }
}
