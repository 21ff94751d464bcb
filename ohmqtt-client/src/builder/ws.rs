//! How a client speaks WebSocket.

use ohmqtt_transport::WsOptions;

use super::ClientBuilder;

impl ClientBuilder {
    /// Speaks WebSocket by these options, for `ws` and `wss`: headers, limits. The path is the URL's.
    ///
    /// ```
    /// use ohmqtt_client::{Client, WsOptions};
    ///
    /// let options = WsOptions::new().header("Authorization", "Bearer 0123")?;
    /// let client = Client::builder("wss://broker.example/mqtt").websocket(options);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn websocket(mut self, options: WsOptions) -> Self {
        self.connector = self.connector.websocket(options);
        self
    }
}
