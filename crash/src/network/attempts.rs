//! How often a client tried to connect, and whether that is as it was told to.

use std::time::Duration;

use ohmqtt_client::{ConnectErrorKind, DisconnectCause, Event, Events};
use tokio::time::Instant;

/// How long a client waits between attempts: a random time up to the first, doubling up to the second.
pub(super) const BACKOFF: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// So many attempts may come at once: the first waits are short.
const AT_ONCE: u64 = 8;

/// What a client said of its connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempts {
    began: Instant,
    backoff: [Duration; 2],
    /// Connections that were accepted.
    pub(super) connected: u64,
    /// Connections that ended without being asked to.
    pub(super) ended: u64,
    /// Attempts that failed.
    pub(super) failed: u64,
    /// The waits that are over, and the one that may be going on.
    waited: Duration,
    waits: Duration,
    longest: Duration,
    lasted: Duration,
}

impl Attempts {
    fn new(backoff: [Duration; 2]) -> Self {
        Self {
            began: Instant::now(),
            backoff,
            connected: 0,
            ended: 0,
            failed: 0,
            waited: Duration::ZERO,
            waits: Duration::ZERO,
            longest: Duration::ZERO,
            lasted: Duration::ZERO,
        }
    }

    /// Listens to a client that is about to start until it is closed. `say` is told what happens, a line each.
    pub(super) fn of(
        mut events: Events,
        who: &'static str,
        backoff: [Duration; 2],
        say: impl Fn(&str) + Send,
    ) -> impl Future<Output = Self> + Send {
        // On a busy machine it is over before anybody listens.
        let mut attempts = Self::new(backoff);
        async move {
            while let Some(event) = events.recv().await {
                say(&format!("{} {who}: {event}", word(&event)));
                attempts.hear(&event);
            }
            attempts.lasted = attempts.began.elapsed();
            attempts
        }
    }

    fn hear(&mut self, event: &Event) {
        match event {
            Event::Connected { .. } => {
                self.connected += 1;
                self.waited += std::mem::take(&mut self.waits);
            }
            Event::Disconnected { retry_in, .. } => {
                self.ended += 1;
                self.wait(*retry_in);
            }
            Event::ConnectFailed { retry_in, .. } => {
                self.failed += 1;
                self.waited += std::mem::take(&mut self.waits);
                self.wait(*retry_in);
            }
            _ => {}
        }
    }

    fn wait(&mut self, retry_in: Option<Duration>) {
        self.waits = retry_in.unwrap_or_default();
        self.longest = self.longest.max(self.waits);
    }

    /// What is not as the client was told.
    pub(super) fn problem(&self) -> Option<String> {
        let Self {
            waited,
            longest,
            lasted,
            ..
        } = *self;
        let most = self.backoff[1];
        if longest > most {
            return Some(format!(
                "a wait of {longest:?} between attempts: more than {most:?}"
            ));
        }
        if waited > lasted {
            return Some(format!(
                "waits of {waited:?} in {lasted:?}: it tried before its time"
            ));
        }
        // A random time up to the most is half of it in the mean; half of that again makes a storm.
        let attempts = self.connected + self.failed;
        let bound = AT_ONCE + u64::try_from(4 * lasted.as_micros() / most.as_micros()).ok()?;
        (attempts > bound)
            .then(|| format!("{attempts} attempts in {lasted:?}: more than {bound} are a storm"))
    }
}

/// What a line begins with that tells of this.
fn word(event: &Event) -> &'static str {
    match event {
        Event::Connected { .. } => "connected",
        Event::ConnectFailed { .. } => "failed",
        Event::Disconnected { error, .. } => match error.kind {
            ConnectErrorKind::Session(DisconnectCause::KeepAliveTimeout) => "silent",
            _ => "ended",
        },
        _ => "event",
    }
}

#[cfg(test)]
mod tests {
    use ohmqtt_client::ConnectError;

    use super::*;

    fn heard(waits: &[u64], lasted: u64) -> Option<String> {
        let mut attempts = Attempts::new(BACKOFF);
        for wait in waits {
            attempts.hear(&Event::ConnectFailed {
                error: ConnectError {
                    kind: ConnectErrorKind::TimedOut,
                    address: String::new(),
                },
                retry_in: Some(Duration::from_millis(*wait)),
            });
        }
        attempts.lasted = Duration::from_millis(lasted);
        attempts.problem()
    }

    #[track_caller]
    fn check(waits: &[u64], lasted: u64, want: &str) {
        assert_eq!(heard(waits, lasted).as_deref(), Some(want));
    }

    #[test]
    fn waits_longer_or_shorter_than_told_and_storms_are_found() {
        assert_eq!(heard(&[50, 200, 400, 1000, 700], 1700), None);
        check(
            &[50, 1001],
            5000,
            "a wait of 1.001s between attempts: more than 1s",
        );
        // The last wait may be going on yet.
        check(
            &[50, 200, 700],
            200,
            "waits of 250ms in 200ms: it tried before its time",
        );
        check(
            &[10; 13],
            1000,
            "13 attempts in 1s: more than 12 are a storm",
        );
    }
}
