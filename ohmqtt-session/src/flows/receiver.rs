//! The receiving half of QoS 1 and 2 (section 4.3), for client and server alike: what was handed to the application and is not
//! acknowledged yet, and which QoS 2 identifiers wait for their PUBREL.

use alloc::collections::VecDeque;
use ohmqtt_codec::{Ack, Packet, PacketId, Qos, ReasonCode};

use super::ids::IdTable;
use super::{Gated, Receipt};
use crate::ProtocolError;
use crate::record::{Key, Lsn, Record, StoreLog, StoreOp};

/// What is known of an incoming QoS 2 identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Received {
    /// The application has the message and has not acknowledged it. Only in memory: after a crash it is delivered again.
    Held(Receipt),
    /// The application has taken it: PUBREC goes out once this is stored, and again whenever the PUBLISH comes again.
    Taken {
        lsn: Lsn,
        /// Its PUBLISH came on the connection that stands now, and so counts against our Receive Maximum.
        counted: bool,
    },
}

/// An incoming message that waits, in the order of arrival, for the application's word.
#[derive(Clone, Copy, Debug)]
struct Unacknowledged {
    receipt: Receipt,
    packet_id: PacketId,
    qos: Qos,
    word: Word,
}

/// The application's word on a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// The application has the message, and has not said anything.
    Awaited,
    /// It came before that on an earlier message, and waits for its turn.
    Given(ReasonCode),
    /// There will be none on this connection: the message is to come again.
    Abandoned,
}

/// How many messages of QoS 1 and 2 the other side may send before they are acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota {
    /// Our Receive Maximum.
    pub(crate) maximum: u16,
    pub(crate) excess: Excess,
}

/// What becomes of a message beyond the Receive Maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    /// It is an error of the other side.
    Refused,
    /// One is taken, and no packet behind it until the application has acknowledged.
    Borne,
}

impl Unacknowledged {
    /// Whether it is the QoS 2 message with this identifier.
    fn is_qos2(&self, packet_id: PacketId) -> bool {
        self.qos == Qos::ExactlyOnce && self.packet_id == packet_id
    }
}

/// In place of the receipt of a message that the application has taken: no message has it.
const TAKEN: Receipt = Receipt(0);

/// What to do with an incoming PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Hand it to the application.
    New(Receipt),
    /// The application has it already.
    Duplicate,
}

#[derive(Debug, Default)]
pub(crate) struct Receiver {
    received: IdTable<Received>,
    /// Of the connection that stands now.
    waiting: VecDeque<Unacknowledged>,
    /// How many of them the application has, and has not said anything.
    awaited: usize,
    /// How many of them it has abandoned.
    abandoned: usize,
    last_receipt: u64,
    /// QoS 2 messages of this connection that are answered by PUBREC and not yet by PUBCOMP.
    unreleased: usize,
    /// A message whose record is not stored is refused. Without this the record is asked for again: the application has the message, and
    /// is not to get it twice.
    refuses_unstored: bool,
}

impl Receiver {
    /// What becomes of a message depends on the store that is to have its record: a server keeps the message itself there.
    pub(crate) fn set_refusing_unstored(&mut self, refuses: bool) {
        self.refuses_unstored = refuses;
    }

    /// The record of a message failed. If it is refused for that, its PUBREC says so, and its identifier means a new message.
    pub(crate) fn refuse_unstored(
        &mut self,
        packet_id: PacketId,
        old: Lsn,
        gated: &mut Gated,
    ) -> bool {
        let Some(Received::Taken { lsn, counted }) = self.received.get(packet_id).copied() else {
            return false;
        };
        if !self.refuses_unstored || lsn != old {
            return false;
        }
        self.received.remove(packet_id);
        self.unreleased -= usize::from(counted);
        // [MQTT-4.3.3-9] After an error PUBREC the identifier means a new message.
        let reason = ReasonCode::ImplementationSpecificError;
        let refusal = Ack::with_reason(packet_id, reason);
        let mut waiting = self.waiting.iter_mut();
        if let Some(waiting) = waiting.find(|waiting| waiting.is_qos2(packet_id)) {
            waiting.word = Word::Given(reason);
        }
        for (lsn, packet) in gated.iter_mut().filter(|(lsn, _)| *lsn == old) {
            *lsn = Lsn::NONE;
            *packet = Packet::PubRec(refusal.clone());
        }
        true
    }

    /// A PUBLISH of QoS 1 or 2 came.
    pub(crate) fn handle_publish(
        &mut self,
        packet_id: PacketId,
        qos: Qos,
        quota: Quota,
        log: &mut StoreLog,
        out: &mut Outlets<'_>,
    ) -> Result<Arrival, ProtocolError> {
        if qos == Qos::ExactlyOnce
            && let Some(received) = self.received.get(packet_id)
        {
            // [MQTT-4.3.3-10] Until the PUBREL, the same identifier is the same message: PUBREC again, no second delivery.
            let (receipt, word) = match *received {
                Received::Held(receipt) => (receipt, Word::Awaited),
                Received::Taken { lsn, counted: true } => {
                    out.gated
                        .push_back((lsn, Packet::PubRec(Ack::new(packet_id))));
                    return Ok(Arrival::Duplicate);
                }
                // The application's word is known, and waits for its turn like any other.
                Received::Taken { counted: false, .. } => (TAKEN, Word::Given(ReasonCode::Success)),
            };
            let mut waiting = self.waiting.iter();
            if !waiting.any(|waiting| waiting.is_qos2(packet_id)) {
                self.admit(quota)?;
                self.wait(Unacknowledged {
                    receipt,
                    packet_id,
                    qos,
                    word,
                });
                self.answer_in_order(log, out);
            }
            return Ok(Arrival::Duplicate);
        }
        // [MQTT-4.3.2-5] At QoS 1, an identifier that was acknowledged means a new message, whatever its DUP says.
        self.admit(quota)?;
        self.last_receipt += 1;
        let receipt = Receipt(self.last_receipt);
        if qos == Qos::ExactlyOnce {
            self.received.insert(packet_id, Received::Held(receipt));
        }
        self.wait(Unacknowledged {
            receipt,
            packet_id,
            qos,
            word: Word::Awaited,
        });
        Ok(Arrival::New(receipt))
    }

    // [MQTT-3.3.4-7] [MQTT-3.3.4-9] The other side keeps to our Receive Maximum; one more is its error, or two where one is borne.
    fn admit(&self, quota: Quota) -> Result<(), ProtocolError> {
        let maximum = usize::from(quota.maximum);
        let is_admitted = match quota.excess {
            Excess::Refused => self.waiting.len() + self.unreleased < maximum,
            // What waits for PUBREL does not count: those stand behind the excess in the stream, and cost an identifier each.
            Excess::Borne => self.waiting.len() <= maximum,
        };
        if is_admitted {
            return Ok(());
        }
        Err(ProtocolError::ReceiveMaximumExceeded {
            maximum: quota.maximum,
        })
    }

    /// Whether the next packet has to wait: the other side has exceeded our Receive Maximum, and the application can mend that.
    ///
    /// Only the application's words count here, never a PUBREL that is awaited: whoever is deaf does not hear it.
    pub(crate) fn is_beyond(&self, maximum: u16) -> bool {
        self.waiting.len() > usize::from(maximum) && self.awaited > 0
    }

    fn wait(&mut self, message: Unacknowledged) {
        self.awaited += usize::from(message.word == Word::Awaited);
        self.waiting.push_back(message);
    }

    /// The application's word on a message. Acknowledgements leave in the order of the messages, whatever the order of the words.
    pub(crate) fn acknowledge(
        &mut self,
        log: &mut StoreLog,
        receipt: Receipt,
        answer: ReasonCode,
        out: &mut Outlets<'_>,
    ) {
        if let Some(first) = self.waiting.front()
            && first.receipt == receipt
            && first.qos == Qos::AtLeastOnce
            && first.word == Word::Awaited
        {
            // The common case, and the same as what follows.
            let (packet_id, qos) = (first.packet_id, first.qos);
            self.waiting.pop_front();
            self.awaited -= 1;
            self.answer(log, packet_id, qos, answer, out);
            self.answer_in_order(log, out);
            return;
        }
        let Some(at) = self.position(receipt) else {
            self.acknowledge_late(log, receipt, answer);
            return;
        };
        let waiting = &mut self.waiting[at];
        // The first word counts.
        if waiting.word == Word::Awaited {
            waiting.word = Word::Given(answer);
            self.awaited -= 1;
            let (packet_id, held) = (waiting.packet_id, Received::Held(receipt));
            let is_qos2 = waiting.qos == Qos::ExactlyOnce;
            // The record is asked for now, whenever the answer has its turn: it belongs to what is stored of the message in this moment.
            if is_qos2 && !answer.is_error() && self.received.get(packet_id) == Some(&held) {
                self.remember(log, packet_id, answer);
            }
        }
        self.answer_in_order(log, out);
    }

    /// There will be no word of the application on this message: it is to come again, and to be given to the application again.
    ///
    /// On the connection that stands it is never acknowledged, and what came behind it waits. Of an earlier connection only QoS 2 is
    /// remembered, and is so no more.
    pub(crate) fn abandon(&mut self, receipt: Receipt) {
        if let Some(at) = self.position(receipt) {
            let word = &mut self.waiting[at].word;
            if *word == Word::Awaited {
                *word = Word::Abandoned;
                self.awaited -= 1;
                self.abandoned += 1;
            }
        } else if let Some(packet_id) = self.held_by(receipt) {
            self.received.remove(packet_id);
        }
    }

    // [MQTT-4.6.0-2] PUBACKs and [MQTT-4.6.0-3] PUBRECs leave in the order of the PUBLISHes.
    fn answer_in_order(&mut self, log: &mut StoreLog, out: &mut Outlets<'_>) {
        while let Some(&Unacknowledged {
            packet_id,
            qos,
            word: Word::Given(answer),
            ..
        }) = self.waiting.front()
        {
            self.waiting.pop_front();
            self.answer(log, packet_id, qos, answer, out);
        }
    }

    fn position(&self, receipt: Receipt) -> Option<usize> {
        let first = self.waiting.front()?;
        // Receipts of one connection follow each other, but for messages that were held since an earlier one.
        let guess = usize::try_from(receipt.0.wrapping_sub(first.receipt.0)).ok();
        match guess.and_then(|at| self.waiting.get(at)) {
            Some(waiting) if waiting.receipt == receipt => guess,
            _ => self
                .waiting
                .iter()
                .position(|waiting| waiting.receipt == receipt),
        }
    }

    fn answer(
        &mut self,
        log: &mut StoreLog,
        packet_id: PacketId,
        qos: Qos,
        reason: ReasonCode,
        out: &mut Outlets<'_>,
    ) {
        if qos == Qos::AtLeastOnce {
            // [MQTT-4.3.2-4] [MQTT-2.2.1-5] PUBACK, with the identifier of the PUBLISH, once the application owns the message.
            out.pubacks.push_back((packet_id, reason));
            return;
        }
        let ack = Ack::with_reason(packet_id, reason);
        if reason.is_error() {
            // [MQTT-4.3.3-9] After an error PUBREC the identifier means a new message.
            self.received.remove(packet_id);
            out.gated.push_back((Lsn::NONE, Packet::PubRec(ack)));
            return;
        }
        // [MQTT-4.3.3-8] PUBREC once the application owns the message, and the store knows.
        let lsn = match self.received.get(packet_id) {
            Some(Received::Taken { lsn, .. }) => *lsn,
            _ => log.push(|| StoreOp::Put(Record::Received { packet_id })),
        };
        self.received
            .insert(packet_id, Received::Taken { lsn, counted: true });
        self.unreleased += 1;
        out.gated.push_back((lsn, Packet::PubRec(ack)));
    }

    /// A word on a message of a connection that is gone. Of QoS 2 it is remembered, so that the message is not delivered again.
    fn acknowledge_late(&mut self, log: &mut StoreLog, receipt: Receipt, answer: ReasonCode) {
        if let Some(packet_id) = self.held_by(receipt) {
            self.remember(log, packet_id, answer);
        }
    }

    /// The identifier of the QoS 2 message that the application has under this receipt.
    fn held_by(&self, receipt: Receipt) -> Option<PacketId> {
        let mut received = self.received.iter();
        received.find_map(|(id, r)| (*r == Received::Held(receipt)).then_some(id))
    }

    fn remember(&mut self, log: &mut StoreLog, packet_id: PacketId, answer: ReasonCode) {
        if answer.is_error() {
            self.received.remove(packet_id);
            return;
        }
        let lsn = log.push(|| StoreOp::Put(Record::Received { packet_id }));
        self.received.insert(
            packet_id,
            Received::Taken {
                lsn,
                counted: false,
            },
        );
    }

    /// A PUBREL: the identifier is free once PUBCOMP has left, and that waits until the store has forgotten it.
    pub(crate) fn handle_pubrel(
        &mut self,
        log: &mut StoreLog,
        packet_id: PacketId,
        out: &mut Outlets<'_>,
    ) {
        // [MQTT-4.3.3-11] [MQTT-2.2.1-5] PUBCOMP has the identifier of the PUBREL. [MQTT-4.3.3-12] Then it means a new message.
        let mut pubcomp = Ack::new(packet_id);
        let lsn = match self.received.remove(packet_id) {
            // [MQTT-4.3.3-13] The exchange goes on to its end whatever has become of the message, which expires or not elsewhere.
            Some(Received::Taken { counted, .. }) => {
                self.unreleased -= usize::from(counted);
                if !counted {
                    self.stop_waiting(log, packet_id, out);
                }
                log.push(|| StoreOp::Delete(Key::Received(packet_id)))
            }
            // PUBREL without a PUBREC: the other side has given the message up, and does not send it again.
            Some(Received::Held(_)) => {
                self.stop_waiting(log, packet_id, out);
                Lsn::NONE
            }
            None => {
                pubcomp.reason = ReasonCode::PacketIdentifierNotFound;
                // It may have been released on an earlier connection, and the store not have forgotten it yet.
                log.latest(Key::Received(packet_id))
            }
        };
        out.gated.push_back((lsn, Packet::PubComp(pubcomp)));
    }

    /// No PUBREC is due for a message that came on this connection and was released all the same.
    fn stop_waiting(&mut self, log: &mut StoreLog, packet_id: PacketId, out: &mut Outlets<'_>) {
        self.waiting.retain(|waiting| {
            let stays = !waiting.is_qos2(packet_id);
            self.awaited -= usize::from(!stays && waiting.word == Word::Awaited);
            self.abandoned -= usize::from(!stays && waiting.word == Word::Abandoned);
            stays
        });
        self.answer_in_order(log, out);
    }

    /// The connection ended: QoS 1 messages will come again; QoS 2 ones are remembered by their identifiers, and so are refusals of
    /// them that waited for the words on earlier messages. Abandoned ones are not.
    pub(crate) fn suspend(&mut self, log: &mut StoreLog) {
        for waiting in core::mem::take(&mut self.waiting) {
            let (id, held) = (waiting.packet_id, Received::Held(waiting.receipt));
            if self.received.get(id) != Some(&held) {
                continue;
            }
            match waiting.word {
                Word::Awaited => {}
                Word::Given(answer) => self.remember(log, id, answer),
                Word::Abandoned => drop(self.received.remove(id)),
            }
        }
        self.unreleased = 0;
        self.awaited = 0;
        self.abandoned = 0;
        self.received.shrink();
        for (_, received) in self.received.iter_mut() {
            if let Received::Taken { counted, .. } = received {
                *counted = false;
            }
        }
    }

    /// The other side has no session: its identifiers mean nothing any more.
    pub(crate) fn lose_session(&mut self, log: &mut StoreLog) {
        self.suspend(log);
        for (packet_id, _) in self.received.drain() {
            log.push(|| StoreOp::Delete(Key::Received(packet_id)));
        }
    }

    /// A failed record has a new number: what is answered from now on waits for that.
    pub(crate) fn regate(&mut self, packet_id: PacketId, old: Lsn, new: Lsn) {
        match self.received.get_mut(packet_id) {
            Some(Received::Taken { lsn, .. }) if *lsn == old => *lsn = new,
            _ => {}
        }
    }

    pub(crate) fn restore(&mut self, packet_id: PacketId) {
        self.received.insert(
            packet_id,
            Received::Taken {
                lsn: Lsn::NONE,
                counted: false,
            },
        );
    }

    /// The receiver of a session that takes the place of this one.
    pub(crate) fn begun_anew(self) -> Self {
        Self {
            last_receipt: self.last_receipt,
            ..Self::default()
        }
    }

    /// Handed to the application and not acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.waiting.len()
    }

    /// Of these, the ones that will not be acknowledged on this connection.
    pub(crate) fn abandoned(&self) -> usize {
        self.abandoned
    }
}

/// Where answers go: at once, or behind the store.
#[derive(Debug)]
pub(crate) struct Outlets<'a> {
    pub(crate) pubacks: &'a mut VecDeque<(PacketId, ReasonCode)>,
    pub(crate) gated: &'a mut Gated,
}
