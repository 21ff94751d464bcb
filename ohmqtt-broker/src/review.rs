//! What waits for a client whose rights may have changed: it is asked again whether the client may get it.
//!
//! Under the broker's lock, and never under a session's, because others are asked. Messages that lie in a store alone are asked about when
//! they come from there.

use std::collections::BTreeMap;
use std::sync::Arc;

use ohmqtt_session::{ServerSession, Session};

use crate::core::{Core, State};
use crate::session::SessionKey;

impl Core {
    /// Asks again about all that waits for any client.
    pub(crate) fn review_all(self: &Arc<Self>) {
        let keys: Vec<_> = self.lock().sessions.iter().map(|(key, _)| key).collect();
        for key in keys {
            // Others have their turn between two of them.
            self.with(|state, _| state.doubt(key));
        }
    }
}

impl State {
    /// A client's rights may have changed: what waits for it is asked about again.
    pub(crate) fn doubt(&mut self, key: SessionKey) {
        if !self.access.authorizes() {
            return;
        }
        if let Some(entry) = self.sessions.get(key) {
            entry.handle.with(|session, _| session.doubt_unsent());
            self.review(key);
        }
    }

    /// Asks about the messages in memory that are in doubt, and drops those that the client may not get.
    pub(crate) fn review(&mut self, key: SessionKey) {
        let Some(entry) = self.sessions.get(key) else {
            return;
        };
        if !self.access.authorizes() {
            return;
        }
        let topics = entry.handle.read(ServerSession::doubted_topics);
        let answer = |topic| {
            let may_get = entry.may_get(&self.access, &topic);
            (topic, may_get)
        };
        let answers: BTreeMap<_, _> = topics.into_iter().map(answer).collect();
        entry.handle.with(|session, _| {
            session.settle_doubts(&answers);
            if entry.connection.is_none() {
                // No driver asks for these.
                while session.poll_event().is_some() {}
            }
        });
        self.unsaved.touch(key, entry);
    }
}
