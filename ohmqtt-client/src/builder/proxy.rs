//! The way to the server.

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
}
