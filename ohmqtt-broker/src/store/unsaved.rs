//! What was changed under the lock of the state and is to be stored: as one, so that a crash leaves all of it or nothing.

use std::mem;
use std::sync::{Arc, OnceLock};

use ohmqtt_codec::{MqttString, ReasonCode, TopicFilter, TopicName};
use ohmqtt_driver::{Handle, Held, StoreLink, StoreLinks};
use ohmqtt_session::{Instant, ServerSession, Subscription};
use ohmqtt_store::{Batch, Prefix, StoreError};

use super::record;
use crate::core::{Core, State};
use crate::retained::Change;
use crate::session::{Entry, SessionKey};

type Part = (StoreLink, Handle<ServerSession>);

/// What the store is to hear of when the lock of the state is given back.
#[derive(Debug, Default)]
pub(crate) struct Unsaved {
    /// Sessions that may want something stored.
    sessions: Vec<SessionKey>,
    /// Clients whose sessions have ended: all that is stored of them is to go, before anything new comes.
    ended: Vec<MqttString>,
    /// Those of which that has failed. It is tried again with what comes next.
    lingering: Vec<MqttString>,
    retained: Vec<Change>,
    batch: Batch,
}

impl Unsaved {
    /// A session may want something stored.
    pub(crate) fn touch(&mut self, key: SessionKey, entry: &Entry) {
        if entry.is_stored() {
            self.sessions.push(key);
        }
    }

    /// Nothing is to be left of this client's session.
    pub(crate) fn end(&mut self, client_id: &MqttString) {
        self.ended.push(client_id.clone());
    }

    pub(crate) fn subscribe(
        &mut self,
        prefix: &Prefix,
        filter: &TopicFilter,
        subscription: Subscription,
    ) {
        let key = record::subscription_key(prefix, filter);
        let value = record::subscription_value(subscription);
        self.batch.put(&key, &value);
    }

    pub(crate) fn unsubscribe(&mut self, prefix: &Prefix, filter: &TopicFilter) {
        self.batch.delete(&record::subscription_key(prefix, filter));
    }

    /// What is retained on a topic from now on; `None`: nothing.
    pub(crate) fn retain(&mut self, topic: &TopicName, value: Option<&[u8]>, change: Change) {
        match value {
            Some(value) => self.batch.put(&record::retained_key(topic), value),
            None => self.release(topic),
        }
        if let Some(publisher) = change.publisher() {
            let value = record::publisher_value(publisher);
            self.batch.put(&record::publisher_key(topic), &value);
        }
        self.retained.push(change);
    }

    /// What was retained on a topic has expired.
    pub(crate) fn release(&mut self, topic: &TopicName) {
        self.batch.delete(&record::retained_key(topic));
        self.batch.delete(&record::publisher_key(topic));
    }
}

impl Core {
    /// Locks the state, calls, hands over what that changes, and sees to it that what became due earlier is not slept over.
    pub(crate) fn with<R>(self: &Arc<Self>, call: impl FnOnce(&mut State, Instant) -> R) -> R {
        self.with_then(|state, now| (call(state, now), ()), nothing)
    }

    /// The same, and calls `then` with the second of the results when what was changed is stored, or has failed: at once when there is
    /// nothing to store, else on the store's thread, where it must be brief.
    pub(crate) fn with_then<R, C: Send + 'static>(
        self: &Arc<Self>,
        call: impl FnOnce(&mut State, Instant) -> (R, C),
        then: impl FnOnce(&mut State, Instant, C, Result<(), StoreError>) + Send + 'static,
    ) -> R {
        let now = self.clock.now();
        let mut state = self.lock();
        let before = state.next_due();
        let links = state.store.clone();
        // From here on no driver hands over a part of what changes.
        let held = links.as_ref().map(StoreLinks::hold);
        let (result, carried) = call(&mut state, now);
        match held {
            Some(held) => {
                self.hand_over(&held, &mut state, now, carried, then);
                if let Some(links) = &links {
                    self.read_leaving(&mut state, links);
                }
            }
            None => then(&mut state, now, carried, Ok(())),
        }
        let after = state.next_due();
        drop(state);
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.earlier.notify_one();
        }
        result
    }

    fn hand_over<C: Send + 'static>(
        self: &Arc<Self>,
        held: &Held<'_>,
        state: &mut State,
        now: Instant,
        carried: C,
        then: impl FnOnce(&mut State, Instant, C, Result<(), StoreError>) + Send + 'static,
    ) {
        Self::hand_over_handed_on(held, state);
        let mut batch = mem::take(&mut state.unsaved.batch);
        let retained = mem::take(&mut state.unsaved.retained);
        let failed = Arc::new(OnceLock::new());
        let ended = state.take_ended();
        for client_id in &ended {
            self.clear(held, client_id.clone(), &failed);
        }
        let (saving, parts) = state.take_touched(&mut batch);
        let gathered = held.gather(parts);
        if gathered.is_empty() && batch.is_empty() && ended.is_empty() {
            return then(state, now, carried, Ok(()));
        }
        // The store's thread does not keep the broker.
        let core = Arc::downgrade(self);
        held.submit(gathered, batch, move |result| {
            let result = match failed.get() {
                Some(error) => Err(error.clone()),
                None => result,
            };
            let Some(core) = core.upgrade() else {
                return;
            };
            core.with(|state, now| {
                for change in retained {
                    state.retained.settle(change, result.is_ok());
                }
                if result.is_err() {
                    state.not_saved(&saving);
                }
                then(state, now, carried, result);
            });
        });
    }

    fn clear(
        self: &Arc<Self>,
        held: &Held<'_>,
        client_id: MqttString,
        failed: &Arc<OnceLock<StoreError>>,
    ) {
        let core = Arc::downgrade(self);
        let failed = Arc::clone(failed);
        held.clear(&Prefix::session(&client_id), move |result| {
            let Err(error) = result else {
                return;
            };
            tracing::warn!(%error, client = %client_id, "the client's session has ended and could not be removed from the store");
            // The first error is as good as another.
            let _ = failed.set(error);
            if let Some(core) = core.upgrade() {
                core.lock().unsaved.lingering.push(client_id);
            }
        });
    }
}

impl State {
    /// The clients of whom the store is to forget everything: those whose sessions have ended, and one of those it did not forget.
    fn take_ended(&mut self) -> Vec<MqttString> {
        let mut ended = mem::take(&mut self.unsaved.ended);
        if let Some(client_id) = self.unsaved.lingering.pop()
            && !self.is_stored(&client_id)
        {
            ended.push(client_id);
        }
        // Some of those are still to be read.
        ended.retain(|client_id| !self.leaving.has(client_id));
        ended.sort_unstable();
        ended.dedup();
        ended
    }

    /// A session that is stored has begun with forgetting the one before.
    fn is_stored(&self, client_id: &MqttString) -> bool {
        let entry = self
            .sessions
            .of_client(client_id)
            .and_then(|key| self.sessions.get(key));
        entry.is_some_and(Entry::is_stored)
    }

    /// The sessions that were touched and are still there. Adds to the batch what is to be known of them; tells of which that is.
    fn take_touched(&mut self, batch: &mut Batch) -> (Vec<SessionKey>, Vec<Part>) {
        let mut touched = mem::take(&mut self.unsaved.sessions);
        touched.sort_unstable();
        touched.dedup();
        let mut saving = Vec::new();
        let mut parts = Vec::with_capacity(touched.len());
        for key in touched {
            let Some(entry) = self.sessions.get_mut(key) else {
                continue;
            };
            // It is touched again when what was there before is gone.
            if self.leaving.has(&entry.client_id) {
                continue;
            }
            if mem::take(&mut entry.is_unsaved) {
                entry.save(batch);
                saving.push(key);
            }
            if let Some(link) = entry.link.clone() {
                parts.push((link, entry.handle.clone()));
            }
        }
        (saving, parts)
    }

    /// What is to be known of these sessions goes with their next changes.
    fn not_saved(&mut self, keys: &[SessionKey]) {
        for key in keys {
            if let Some(entry) = self.sessions.get_mut(*key) {
                entry.is_unsaved = true;
                // It may have been to be removed.
                entry.has_stored_will = true;
                entry.has_stored_standing = true;
            }
        }
    }
}

impl Entry {
    /// Adds to the batch what is to be known of it.
    fn save(&mut self, batch: &mut Batch) {
        let prefix = Prefix::session(&self.client_id);
        let mut set = |key: Vec<u8>, value: Option<&[u8]>, was_there: bool| match value {
            Some(value) => batch.put(&key, value),
            None if was_there => batch.delete(&key),
            None => {}
        };
        if self.link.is_some() {
            let kept = record::kept_value(self.kept());
            set(record::kept_key(&prefix), Some(&kept), true);
            let will = self.will.as_ref();
            let will = will.and_then(|(at, will)| record::message_value(*at, will));
            let had = mem::replace(&mut self.has_stored_will, will.is_some());
            set(record::will_key(&prefix), will.as_deref(), had);
        }
        let standing = self.standing.as_deref();
        let had = mem::replace(&mut self.has_stored_standing, standing.is_some());
        set(record::standing_key(&prefix), standing, had);
        let owner = record::owner_value(&self.user);
        set(record::owner_key(&prefix), owner.as_deref(), false);
    }
}

fn nothing(_: &mut State, _: Instant, (): (), _: Result<(), StoreError>) {}

/// What a client is told of a change that was not stored.
pub(crate) fn reason_of(error: &StoreError) -> ReasonCode {
    match error {
        StoreError::Full { .. } | StoreError::DiskFull { .. } => ReasonCode::QuotaExceeded,
        _ => ReasonCode::ImplementationSpecificError,
    }
}
