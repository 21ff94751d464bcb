//! Unsent messages of which it is asked again whether they may be sent: at a server, when its client's rights have changed.
//!
//! Those in memory are asked about at once. Of those on the disk nobody knows the topics; they are asked about when they come from there,
//! and are not sent before the answer.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use ohmqtt_codec::TopicName;

use super::{Outbox, Unsent};
use crate::flows::outbox::places::Place;
use crate::record::StoreLog;

impl Outbox {
    /// All that is unsent now is in doubt.
    pub(crate) fn doubt(&mut self) {
        self.doubted = 0..self.next_seq;
    }

    pub(crate) fn has_doubts(&self) -> bool {
        !self.doubted.is_empty()
    }

    /// Whether the message of this place is to wait for an answer.
    pub(crate) fn is_doubted(&self, seq: u64) -> bool {
        self.doubted.contains(&seq)
    }

    /// The topics of the messages in memory that are in doubt.
    pub(crate) fn doubted_topics(&self) -> BTreeSet<TopicName> {
        if !self.has_doubts() {
            return BTreeSet::new();
        }
        let queued = self.window.iter().chain(&self.pending).chain(&self.queue0);
        let doubted = queued.filter(|outgoing| self.is_doubted(outgoing.seq));
        doubted
            .map(|outgoing| outgoing.message.topic.clone())
            .collect()
    }

    /// Takes out the messages in memory that were in doubt and are not allowed. Those that are told nothing of stay in doubt.
    pub(crate) fn settle_doubts(
        &mut self,
        log: &StoreLog,
        allowed: &BTreeMap<TopicName, bool>,
    ) -> Vec<Unsent> {
        let mut refused = Vec::new();
        if !self.has_doubts() {
            return refused;
        }
        let mut unanswered = None;
        for place in [Place::Window, Place::Pending, Place::Qos0] {
            for outgoing in core::mem::take(self.place(place)) {
                let answer = if self.is_doubted(outgoing.seq) {
                    allowed.get(&outgoing.message.topic).copied()
                } else {
                    Some(true)
                };
                if answer == Some(false) {
                    self.unindex(&outgoing);
                    refused.push(Unsent::of(&outgoing));
                    continue;
                }
                if answer.is_none() {
                    let first = unanswered.get_or_insert(outgoing.seq);
                    *first = outgoing.seq.min(*first);
                }
                self.place(place).push_back(outgoing);
            }
        }
        let disk = self.disk.range().first;
        let on_disk = (!self.disk.is_empty()).then_some(disk);
        let first = unanswered.into_iter().chain(on_disk).min();
        self.doubted.start = first.unwrap_or(self.doubted.end);
        self.recount(log);
        refused
    }
}
