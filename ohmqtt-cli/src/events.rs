//! What happens to the connection, told on standard error while a command works.

use std::time::Duration;

use ohmqtt_client::{Event, Events};
use tokio::task::JoinHandle;

use crate::failure::{Failure, say};

/// Tells what happens after the first connection, until it is aborted or the client has closed.
pub(crate) fn tell(mut events: Events, quiet: bool) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut stood = false;
        while let Some(event) = events.recv().await {
            if quiet {
                continue;
            }
            match event {
                Event::Connected { address, .. } if std::mem::replace(&mut stood, true) => {
                    say(format_args!("connected again to {address}"));
                }
                Event::Disconnected {
                    error,
                    retry_in: Some(wait),
                }
                | Event::ConnectFailed {
                    error,
                    retry_in: Some(wait),
                } if stood => {
                    Failure::from(&error).and(trying_again(wait)).tell();
                }
                Event::SessionLost { sent, .. } if sent > 0 => {
                    say(format_args!("{event}"));
                }
                _ => {}
            }
        }
    })
}

fn trying_again(wait: Duration) -> String {
    format!("trying again in {:.1} s", wait.as_secs_f64())
}
