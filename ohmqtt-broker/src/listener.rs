//! The loop that takes connections from one listener.

use std::sync::Arc;

use ohmqtt_transport::Listen;

use crate::connection;
use crate::core::Core;

/// Who may connect over a listener without saying who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anonymous {
    /// Those on the same machine.
    Loopback,
    /// Everybody.
    Anywhere,
}

/// Accepts connections until the listener is at its end, or the future is dropped.
pub(crate) async fn accept_all(core: Arc<Core>, mut listener: Box<dyn Listen>, who: Anonymous) {
    loop {
        match listener.accept().await {
            Ok(accepted) if who == Anonymous::Loopback && !accepted.address.is_loopback() => {
                tracing::warn!(address = %accepted.address, "anonymous connection from another machine refused");
            }
            Ok(accepted) => connection::spawn(&core, accepted),
            Err(error) => {
                tracing::error!(%error, "listener ended");
                return;
            }
        }
    }
}
