//! The loop that takes connections from one listener.

use std::sync::Arc;

use ohmqtt_transport::Listen;

use crate::connection;
use crate::core::Core;

/// Accepts connections until the listener is at its end, or the future is dropped.
pub(crate) async fn accept_all(core: Arc<Core>, mut listener: Box<dyn Listen>) {
    let url: Arc<str> = listener.local().to_string().into();
    loop {
        match listener.accept().await {
            Ok(accepted) if !core.access.admits(&accepted.address) => {
                tracing::warn!(address = %accepted.address, "anonymous connection from another machine refused");
            }
            Ok(accepted) => connection::spawn(&core, accepted, &url),
            Err(error) => {
                tracing::error!(%error, "listener ended");
                return;
            }
        }
    }
}
