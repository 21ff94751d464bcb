//! What a session that ends was given by shared subscriptions and has not finished: it goes on to others of the group (section 4.8.2).
//!
//! What is in memory goes on at once. What is in the store alone is read stretch after stretch, and only then is the store to forget the
//! session; a client that begins anew meanwhile waits for that. In the store a message goes from one session to the other in one step.

use std::collections::HashMap;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use ohmqtt_codec::MqttString;
use ohmqtt_driver::{Held, StoreLinks};
use ohmqtt_session::{GivenBack, Instant, Key, Load, Loaded, Routed, Unfinished};
use ohmqtt_store::{Batch, Prefix, StoreError};

use crate::core::{Begun, Core, State};
use crate::routing::deliver_to_one;
use crate::session::{Delivered, Routable, SessionKey};
use crate::store::record::{self, Kept};

/// How much is read at once.
const RECORDS: usize = 256;
const BYTES: usize = 256 * 1024;
/// How often in a row a stretch is tried of which the members take nothing because the store is behind.
const TRIES: u32 = 100;

/// Sessions that have ended and of which the store has messages for others.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    by_client: HashMap<MqttString, One>,
}

#[derive(Debug)]
struct One {
    /// The places that are still to be read.
    stored: Range<u64>,
    /// What goes on behind them.
    behind: Vec<Unfinished>,
    /// A stretch is being read.
    is_asked: bool,
    tries: u32,
    /// The client has begun anew: it is accepted when nothing is left of this.
    waiting: Option<Begun>,
}

/// What goes from sessions that have ended to others, for the store.
#[derive(Debug, Default)]
pub(crate) struct HandedOn {
    takers: Vec<SessionKey>,
    batch: Batch,
}

impl Leaving {
    /// Whether the store is not to forget this client's session yet.
    pub(crate) fn has(&self, client_id: &MqttString) -> bool {
        !self.by_client.is_empty() && self.by_client.contains_key(client_id)
    }

    /// Lets a client wait that begins anew, if it has to.
    pub(crate) fn hold(&mut self, client_id: &MqttString, begun: Begun) -> Option<Begun> {
        match self.by_client.get_mut(client_id) {
            Some(one) => {
                // One that waited before has lost its session to this one.
                one.waiting = Some(begun);
                None
            }
            None => Some(begun),
        }
    }
}

impl State {
    /// A session has ended: what it gives back goes to others, and nothing of it is to be left in the store where it has a place.
    pub(crate) fn hand_on(
        &mut self,
        now: Instant,
        client_id: &MqttString,
        is_stored: bool,
        given: GivenBack,
    ) {
        let prefix = is_stored.then(|| Prefix::session(client_id));
        for unfinished in given.messages {
            self.redeliver(now, prefix.as_ref(), unfinished, true);
        }
        let Some(prefix) = prefix else {
            for unfinished in given.behind {
                self.redeliver(now, None, unfinished, true);
            }
            return;
        };
        if let Some(stored) = given.stored {
            self.read_out(now, client_id, stored, given.behind);
            return;
        }
        for unfinished in given.behind {
            self.redeliver(now, Some(&prefix), unfinished, true);
        }
        self.unsaved.end(client_id);
    }

    /// The messages at these places in the store go on to others, and then the store forgets the session.
    pub(crate) fn read_out(
        &mut self,
        now: Instant,
        client_id: &MqttString,
        stored: Range<u64>,
        behind: Vec<Unfinished>,
    ) {
        // If the broker ends before that, it finds that the session has ended.
        let ended = Kept {
            interval: 0,
            expires: Some(now),
        };
        let key = record::kept_key(&Prefix::session(client_id));
        self.handed_on.batch.put(&key, &record::kept_value(ended));
        let one = One {
            stored,
            behind,
            is_asked: false,
            tries: 0,
            waiting: None,
        };
        self.leaving.by_client.insert(client_id.clone(), one);
    }

    /// Gives a message to another member of its group. False when that is to be tried again: none could take it now.
    fn redeliver(
        &mut self,
        now: Instant,
        from: Option<&Prefix>,
        unfinished: Unfinished,
        is_last_try: bool,
    ) -> bool {
        let Unfinished { seq, via, message } = unfinished;
        let pressure = self.pressure(now);
        let mut routable = Routable::kept(&message, Routed::Published).under(pressure);
        let (taker, delivered) = match self.tree.group_of(&via) {
            Some(group) => {
                deliver_to_one(group, &self.sessions, &self.access, &message, &mut routable)
            }
            None => (None, Delivered::No),
        };
        if delivered == Delivered::NotNow && !is_last_try {
            return false;
        }
        let delivered = match delivered {
            Delivered::NotNow => Delivered::No,
            delivered => delivered,
        };
        self.survey.note_delivery(delivered, &message);
        if let Some((key, entry)) = taker
            && entry.link.is_some()
        {
            self.handed_on.takers.push(key);
        }
        if let Some(prefix) = from {
            self.handed_on.batch.delete(&prefix.key(Key::Outgoing(seq)));
        }
        true
    }

    /// A stretch was read of a session that has ended. Gives the client that waits for the end of that, when it is reached.
    fn handle_left(
        &mut self,
        now: Instant,
        client_id: &MqttString,
        result: Result<Loaded, StoreError>,
    ) -> Option<Begun> {
        let mut one = self.leaving.by_client.remove(client_id)?;
        one.is_asked = false;
        let loaded = result.unwrap_or_else(|error| {
            tracing::warn!(%error, client = %client_id, "what a client has left to its group could not be read from the store");
            Loaded {
                records: Vec::new(),
                complete: true,
            }
        });
        let prefix = Prefix::session(client_id);
        let begin = one.stored.start;
        one.stored.start = if loaded.complete {
            one.stored.end
        } else {
            let last = loaded.records.last().map(ohmqtt_session::Record::key);
            match last {
                Some(Key::Outgoing(seq)) => seq.saturating_add(1),
                _ => one.stored.end,
            }
        };
        let is_last_try = one.tries >= TRIES;
        for record in loaded.records {
            let Some(unfinished) = Unfinished::of_record(now, record) else {
                continue;
            };
            let seq = unfinished.seq;
            if !self.redeliver(now, Some(&prefix), unfinished, is_last_try) {
                one.stored.start = seq;
                break;
            }
        }
        one.tries = if one.stored.start == begin {
            one.tries + 1
        } else {
            0
        };
        if !one.stored.is_empty() {
            self.leaving.by_client.insert(client_id.clone(), one);
            return None;
        }
        for unfinished in one.behind {
            self.redeliver(now, Some(&prefix), unfinished, true);
        }
        self.unsaved.end(client_id);
        // What a session of the same client has come to want stored meanwhile.
        if let Some(key) = self.sessions.of_client(client_id) {
            self.touch(key);
        }
        one.waiting
    }
}

impl Core {
    /// Hands over what has gone from sessions that have ended to others, before the store forgets those sessions.
    pub(crate) fn hand_over_handed_on(held: &Held<'_>, state: &mut State) {
        let HandedOn { mut takers, batch } = mem::take(&mut state.handed_on);
        if takers.is_empty() && batch.is_empty() {
            return;
        }
        takers.sort_unstable();
        takers.dedup();
        // One that has ended since has handed on what it was given.
        let entries = takers.into_iter().filter_map(|key| state.sessions.get(key));
        let parts = entries.filter_map(|entry| Some((entry.link.clone()?, entry.handle.clone())));
        held.submit(held.gather(parts), batch, |_| ());
    }

    /// Asks for the next stretch of each session that has ended and is not read yet.
    pub(crate) fn read_leaving(self: &Arc<Self>, state: &mut State, links: &StoreLinks) {
        for (client_id, one) in &mut state.leaving.by_client {
            if mem::replace(&mut one.is_asked, true) {
                continue;
            }
            let load = Load {
                from: Key::Outgoing(one.stored.start),
                to: Some(Key::Outgoing(one.stored.end)),
                max: RECORDS,
                bytes: BYTES,
            };
            // The store's thread does not keep the broker.
            let core = Arc::downgrade(self);
            let id = client_id.clone();
            let prefix = Prefix::session(client_id);
            links.writer().load(&prefix, load, move |result| {
                let Some(core) = core.upgrade() else {
                    return;
                };
                core.with_then(
                    |state, now| ((), state.handle_left(now, &id, result)),
                    |state, _, begun, stored| {
                        if let Some(begun) = begun {
                            state.accept(begun, stored);
                        }
                    },
                );
            });
        }
    }
}
