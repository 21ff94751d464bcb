//! How everything comes back from the store before the broker listens to anybody.
//!
//! Of each session the flows read what they need in memory; messages far from their turn stay in the store.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use ohmqtt_codec::{MqttString, TopicFilter};
use ohmqtt_driver::{Handle, StoreLinks};
use ohmqtt_session::{Flows, Instant, Message, ServerSession, Subscription};
use ohmqtt_store::{Prefix, StoreError};

use super::record::{self, Kept};
use crate::access::User;
use crate::connection::session_config;
use crate::core::{Core, State};
use crate::retained::expires;
use crate::session::{Entry, expiry};

/// How much is read at once. What stands behind the attachments of a session is read in vain, so it is not much.
const RECORDS: usize = 256;
const BYTES: usize = 256 * 1024;

/// What all keys of sessions begin with.
const SESSIONS: &[u8] = b"s";
/// Behind all keys of a session, when it stands behind its prefix.
const BEHIND: u8 = 0xFF;

/// Reads back all there is. Blocks the thread for that.
pub(crate) fn restore(core: &Arc<Core>) -> Result<(), StoreError> {
    let Some(links) = core.lock().store.clone() else {
        return Ok(());
    };
    core.with(|state, now| {
        restore_retained(state, now, &links)?;
        restore_publishers(state, &links)
    })?;
    let mut reading = Reading {
        core,
        links: &links,
        session: None,
        ended: Vec::new(),
    };
    reading.sessions()?;
    reading.finish()?;
    let ended = reading.ended;
    core.with(|state, now| {
        for (client_id, user, will) in ended {
            // Others of its groups get what was theirs.
            state.read_out(now, &client_id, 0..u64::MAX, Vec::new());
            // [MQTT-3.1.2-8] The end of a session is time for its will, whatever its delay.
            if let Some(will) = will {
                state.publish_will(now, &client_id, &user, &will);
            }
        }
    });
    Ok(())
}

fn restore_publishers(state: &mut State, links: &StoreLinks) -> Result<(), StoreError> {
    let mut from = vec![record::PUBLISHER];
    loop {
        let records = scan(links, from, &[record::PUBLISHER])?;
        let Some((last, _)) = records.last() else {
            return Ok(());
        };
        from = [last, &[0][..]].concat();
        for (key, value) in &records {
            let (topic, publisher) = record::read_publisher(key, value)?;
            state.retained.set_publisher(&topic, publisher);
        }
    }
}

fn restore_retained(state: &mut State, now: Instant, links: &StoreLinks) -> Result<(), StoreError> {
    let mut from = vec![record::RETAINED];
    loop {
        let records = scan(links, from, &[record::RETAINED])?;
        let Some((last, _)) = records.last() else {
            return Ok(());
        };
        from = [last, &[0][..]].concat();
        for (key, value) in &records {
            let record::Retained { message, since } = record::read_retained(key, value)?;
            if expires(since, &message).is_some_and(|at| at <= now) {
                // [MQTT-3.3.2-5] Its time has passed while nobody was here.
                state.unsaved.release(&message.topic);
            } else if state.retained.set(since, &message).is_err() {
                tracing::warn!(topic = %message.topic, "no room for a retained message of the store: raise the limits");
            }
        }
    }
}

/// A key and its value.
type Raw = (Vec<u8>, Vec<u8>);

/// A session whose attachments are being read.
struct Reading<'a> {
    core: &'a Arc<Core>,
    links: &'a StoreLinks,
    session: Option<Session>,
    /// Clients whose sessions have ended meanwhile, with their wills: for when all who may subscribe to those are there again.
    ended: Vec<(MqttString, User, Option<Message>)>,
}

struct Session {
    client_id: MqttString,
    prefix: Prefix,
    kept: Option<Kept>,
    will: Option<(Instant, Message)>,
    /// That of a client that was connected when the broker ended, and its delay.
    standing: Option<(Duration, Message)>,
    user: User,
    subscriptions: Vec<(TopicFilter, Subscription)>,
}

impl Reading<'_> {
    fn sessions(&mut self) -> Result<(), StoreError> {
        let mut from = SESSIONS.to_vec();
        loop {
            let records = scan(self.links, from, SESSIONS)?;
            let Some((last, _)) = records.last() else {
                return Ok(());
            };
            from = [last, &[0][..]].concat();
            for (key, value) in &records {
                let is_flows = self.take(key, value)?;
                if is_flows && key == last {
                    // However many more of them there are, they are not for here.
                    let session = self.session.as_ref();
                    from = session.map_or(from, |session| {
                        [session.prefix.as_bytes(), &[BEHIND][..]].concat()
                    });
                    break;
                }
            }
        }
    }

    /// Takes one record. True when it is one of the flows.
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<bool, StoreError> {
        let Some((client_id, prefix, rest)) = Prefix::of_key(key) else {
            return Err(damaged(key, "it belongs to no session"));
        };
        if self
            .session
            .as_ref()
            .is_none_or(|session| session.prefix != prefix)
        {
            self.finish()?;
        }
        let session = self.session.get_or_insert_with(|| Session {
            client_id,
            prefix,
            kept: None,
            will: None,
            standing: None,
            user: User::anonymous(),
            subscriptions: Vec::new(),
        });
        match rest.split_first() {
            Some((&record::SESSION, [])) => {
                session.kept = Some(record::read_kept(&session.client_id, value)?);
            }
            Some((&record::OWNER, [])) => {
                session.user = record::read_owner(&session.client_id, value)?;
            }
            Some((&record::SUBSCRIPTION, filter)) => {
                let subscription = record::read_subscription(&session.client_id, filter, value)?;
                session.subscriptions.push(subscription);
            }
            Some((&record::WILL, [])) => {
                session.will = Some(record::read_will(&session.client_id, value)?);
            }
            Some((&record::STANDING, [])) => {
                session.standing = Some(record::read_standing(&session.client_id, value)?);
            }
            Some((&(record::FLOWS..), _)) => return Ok(true),
            _ => return Err(damaged(key, "no version wrote such a key")),
        }
        Ok(false)
    }

    /// The attachments of a session are read: it is there again, unless it has ended.
    fn finish(&mut self) -> Result<(), StoreError> {
        let Some(mut session) = self.session.take() else {
            return Ok(());
        };
        let clock = self.core.clock;
        let now = clock.now();
        let kept = session.kept.map(|kept| Kept {
            // A client that was connected when the broker ended is gone since now.
            expires: kept.expires.or_else(|| expiry(now, kept.interval)),
            ..kept
        });
        let had_will = session.will.is_some();
        let had_standing = session.standing.is_some();
        // [MQTT-3.1.2-8] Its connection ended with the broker, without a DISCONNECT: 3.1.2.5 lets its will wait for the next one.
        let standing = session.standing.take();
        let standing = standing.map(|(delay, will)| (now + delay, will));
        session.will = session.will.or(standing);
        let Some(kept) = kept.filter(|kept| kept.expires.is_none_or(|at| at > now)) else {
            tracing::debug!(client = %session.client_id, "a session has ended while the broker was not there");
            let will = session.will.map(|(_, will)| will);
            self.ended.push((session.client_id, session.user, will));
            return Ok(());
        };
        let config = session_config(&self.core.limits, true);
        let flows = Flows::open(config.outbox);
        let handle = Handle::new(ServerSession::resting(now, config, flows), clock);
        let link = self.links.link(session.prefix);
        link.restore(&handle)?;
        let mut entry = Entry::resting(session.client_id, handle, link, kept);
        (entry.has_stored_will, entry.has_stored_standing) = (had_will, had_standing);
        // One that is due is published when the broker runs.
        entry.set_will(session.will);
        entry.user = session.user;
        self.core.with(|state, _| {
            let key = state.sessions.insert(entry);
            for (filter, subscription) in &session.subscriptions {
                if let Some(entry) = state.sessions.get_mut(key) {
                    entry.add(filter);
                }
                state.tree.subscribe(filter, key, *subscription);
            }
            state.touch(key);
            // Rights may have changed while nobody was here.
            state.doubt(key);
        });
        Ok(())
    }
}

/// Reads the next records, and blocks the thread for that.
fn scan(links: &StoreLinks, from: Vec<u8>, prefix: &[u8]) -> Result<Vec<Raw>, StoreError> {
    let (send, answer) = mpsc::channel();
    let done = move |records| drop(send.send(records));
    links
        .writer()
        .scan(from, prefix.to_vec(), RECORDS, BYTES, done);
    // The writer answers every question.
    answer.recv().unwrap_or_else(|_| Ok(Vec::new()))
}

fn damaged(key: &[u8], what: &str) -> StoreError {
    StoreError::Damaged {
        record: format!("the record under the key \"{}\"", key.escape_ascii()),
        what: what.to_owned(),
    }
}
