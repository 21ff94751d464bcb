//! How a client does TLS.

use ohmqtt_transport::TlsOptions;

use super::ClientBuilder;

impl ClientBuilder {
    /// Does TLS by these options, for `mqtts`, `wss` and `quic`: authorities of your own, a client certificate, another name than the
    /// URL's, application protocols. Without this the platform's authorities are trusted.
    ///
    /// ```no_run
    /// use ohmqtt_client::{Certificates, Client, Identity, TlsOptions};
    ///
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let tls = TlsOptions::new()
    ///     .authorities(Certificates::from_file("ca.pem")?)
    ///     .identity(Identity::from_files("client.pem", "client.key")?);
    /// let client = Client::builder("mqtts://broker.example").tls(tls);
    /// # Ok(())
    /// # }
    /// ```
    pub fn tls(mut self, options: TlsOptions) -> Self {
        self.connector = self.connector.tls(options);
        self
    }
}
