//! The messages of a client that somebody may still ask about: how far each has come, and who waits for that.
//!
//! They stand in one table under one lock, so that what a session tells of many at once takes it once. A place is used again when its
//! message has no handle any more; a ticket is not, because it names the place and whose turn it was there.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use ohmqtt_codec::{AckProperties, Qos, ReasonCode};
use ohmqtt_session::{LostMessage, Ticket};

use crate::publication::{Acknowledgement, Publication};

/// A table of which nothing is held keeps the memory of so many places, so that one message after the other does not allocate.
const KEPT: usize = 128;
/// The number of no place.
const NOWHERE: u32 = u32::MAX;

/// How far a message has come.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// At QoS 0 nothing is heard of a message after it was sent.
    ends_when_sent: bool,
    accepted: bool,
    sent: bool,
    end: Option<Result<Acknowledgement, LostMessage>>,
}

impl Progress {
    pub(crate) fn accepted(&self) -> Option<Result<(), LostMessage>> {
        match &self.end {
            Some(Err(why)) if !self.accepted => Some(Err(*why)),
            _ => (self.accepted || self.end.is_some()).then_some(Ok(())),
        }
    }

    pub(crate) fn sent(&self) -> Option<Result<(), LostMessage>> {
        match &self.end {
            Some(Err(why)) if !self.sent => Some(Err(*why)),
            _ => (self.sent || self.end.is_some()).then_some(Ok(())),
        }
    }

    pub(crate) fn end(&self) -> Option<Result<Acknowledgement, LostMessage>> {
        self.end.clone()
    }
}

/// The publications somebody may still ask about.
#[derive(Debug, Default)]
pub(crate) struct Publications {
    table: Mutex<Table>,
    /// There are some that the session is to forget; for a look that takes no lock.
    has_forgotten: AtomicBool,
}

#[derive(Debug)]
struct Table {
    places: Vec<Place>,
    /// The first of the free places.
    free: u32,
    held: usize,
    /// The turn that new places begin with.
    first_turn: u32,
    /// A place has had all its turns.
    is_worn: bool,
    last_wait: u64,
    /// Nobody asks about these any more, and the session does not know it yet. Each was published since it was last told.
    forgotten: Vec<Ticket>,
    /// The client is gone: nothing will be heard of any message.
    ended: bool,
}

#[derive(Debug)]
struct Place {
    /// Which of those that stand here one after the other it is.
    turn: u32,
    next_free: u32,
    /// None: the place is free.
    handles: usize,
    progress: Progress,
    /// Futures that wait, by a number of their own.
    waiting: Vec<(u64, Waker)>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: NOWHERE,
            held: 0,
            // Neither of the tickets that mean no message is one of ours.
            first_turn: 1,
            is_worn: false,
            last_wait: 0,
            forgotten: Vec::new(),
            ended: false,
        }
    }
}

impl Publications {
    /// Opens a publication; `None` once the client is gone, or while there are handles of 2^32 - 1 messages. `accepted`: there is no store
    /// to wait for.
    pub(crate) fn open(self: &Arc<Self>, qos: Qos, accepted: bool) -> Option<Publication> {
        let progress = Progress {
            ends_when_sent: qos == Qos::AtMostOnce,
            accepted,
            ..Progress::default()
        };
        let ticket = self.lock().open(progress)?;
        Some(Publication::new(Arc::clone(self), ticket))
    }

    /// Whether the client is gone.
    pub(crate) fn have_ended(&self) -> bool {
        self.lock().ended
    }

    /// Takes note of what the session tells of one message after another. Whoever waits is woken when this is dropped; until then
    /// nothing else is to be done that may ask about a message.
    pub(crate) fn hear(&self) -> Hearing<'_> {
        Hearing {
            table: Some(self.lock()),
            woken: Vec::new(),
        }
    }

    /// The client is gone: nothing more will be heard of any message.
    pub(crate) fn end_all(&self, why: LostMessage) {
        let mut hearing = self.hear();
        if let Some(table) = &mut hearing.table {
            table.ended = true;
            for place in &mut table.places {
                if place.handles > 0 {
                    let end = |progress: &mut Progress| progress.end = Some(Err(why));
                    place.change(&mut hearing.woken, end);
                }
            }
        }
    }

    /// What the session is to be told nobody asks about any more.
    pub(crate) fn take_forgotten(&self) -> Vec<Ticket> {
        // What is missed here is told with the next message.
        if !self.has_forgotten.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut table = self.lock();
        self.has_forgotten.store(false, Ordering::Relaxed);
        mem::take(&mut table.forgotten)
    }

    /// One handle more.
    pub(crate) fn hold(&self, ticket: Ticket) {
        if let Some(place) = self.lock().place(ticket) {
            place.handles += 1;
        }
    }

    /// One handle less. With the last one the place is free.
    pub(crate) fn let_go(&self, ticket: Ticket) {
        let mut table = self.lock();
        if table.let_go(ticket) {
            table.forgotten.push(ticket);
            self.has_forgotten.store(true, Ordering::Relaxed);
        }
    }

    /// What `ready` makes of the progress of a message that has a handle.
    pub(crate) fn look<R>(
        &self,
        ticket: Ticket,
        ready: impl Fn(&Progress) -> Option<R>,
    ) -> Option<R> {
        ready(&self.lock().place(ticket)?.progress)
    }

    /// The same; while it is nothing, the waker is kept for the next change, under the number of the wait.
    pub(crate) fn look_or_wait<R>(
        &self,
        ticket: Ticket,
        number: &mut Option<u64>,
        waker: Waker,
        ready: impl Fn(&Progress) -> Option<R>,
    ) -> Option<R> {
        // Declared before the lock, and so dropped behind it: the end of a waker may be the end of other handles.
        let mut waker = waker;
        let mut table = self.lock();
        let table = &mut *table;
        let place = table.places.get_mut(at(ticket))?;
        if let Some(result) = ready(&place.progress) {
            return Some(result);
        }
        let number = *number.get_or_insert_with(|| {
            table.last_wait += 1;
            table.last_wait
        });
        match place.waiting.iter_mut().find(|(of, _)| *of == number) {
            Some((_, old)) => mem::swap(old, &mut waker),
            None => place.waiting.push((number, waker)),
        }
        None
    }

    /// A wait is given up.
    pub(crate) fn leave(&self, ticket: Ticket, number: u64) {
        let left = self.lock().place(ticket).and_then(|place| {
            let at = place.waiting.iter().position(|(of, _)| *of == number)?;
            Some(place.waiting.swap_remove(at))
        });
        // With no lock held.
        drop(left);
    }

    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.lock().held
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn open(&mut self, progress: Progress) -> Option<Ticket> {
        if self.ended {
            return None;
        }
        let at = self.free;
        let ticket = if let Some(place) = self.places.get_mut(at as usize) {
            self.free = place.next_free;
            place.handles = 1;
            place.progress = progress;
            ticket(place.turn, at)
        } else {
            let at = u32::try_from(self.places.len()).ok();
            let at = at.filter(|at| *at != NOWHERE)?;
            self.places.push(Place {
                turn: self.first_turn,
                next_free: NOWHERE,
                handles: 1,
                progress,
                waiting: Vec::new(),
            });
            ticket(self.first_turn, at)
        };
        self.held += 1;
        Some(ticket)
    }

    /// The place of a message that has a handle.
    fn place(&mut self, ticket: Ticket) -> Option<&mut Place> {
        let place = self.places.get_mut(at(ticket))?;
        (place.turn == turn(ticket) && place.handles > 0).then_some(place)
    }

    /// True when that was the last handle of a message that is not over.
    fn let_go(&mut self, ticket: Ticket) -> bool {
        let free = self.free;
        let Some(place) = self.place(ticket) else {
            return false;
        };
        place.handles -= 1;
        if place.handles > 0 {
            return false;
        }
        let was_over = place.progress.end.take().is_some();
        if let Some(turn) = place.turn.checked_add(1) {
            place.turn = turn;
            place.next_free = free;
            self.free = u32::try_from(at(ticket)).unwrap_or(NOWHERE);
        } else {
            self.is_worn = true;
        }
        self.held -= 1;
        if self.held == 0 && self.places.capacity() > KEPT && !self.is_worn {
            self.shrink();
        }
        !was_over && !self.ended
    }

    /// All places are free, and given back. The turns of those to come are behind theirs.
    fn shrink(&mut self) {
        let turns = self.places.iter().map(|place| place.turn);
        self.first_turn = turns.max().unwrap_or(self.first_turn);
        self.places = Vec::new();
        self.free = NOWHERE;
    }
}

impl Place {
    fn change(&mut self, woken: &mut Vec<Waker>, change: impl FnOnce(&mut Progress)) {
        // What is over does not change any more.
        if self.progress.end.is_some() {
            return;
        }
        change(&mut self.progress);
        if !self.waiting.is_empty() {
            woken.extend(self.waiting.drain(..).map(|(_, waker)| waker));
        }
    }
}

/// What a session tells of messages, noted under one lock.
#[derive(Debug)]
pub(crate) struct Hearing<'a> {
    table: Option<MutexGuard<'a, Table>>,
    woken: Vec<Waker>,
}

impl Hearing<'_> {
    pub(crate) fn accepted(&mut self, ticket: Ticket) {
        self.change(ticket, |progress| progress.accepted = true);
    }

    pub(crate) fn sent(&mut self, ticket: Ticket) {
        self.change(ticket, |progress| {
            progress.sent = true;
            if progress.ends_when_sent {
                let properties = AckProperties::default();
                progress.end = Some(Ok(Acknowledgement {
                    packet_id: None,
                    reason: ReasonCode::Success,
                    properties,
                }));
            }
        });
    }

    pub(crate) fn ended(&mut self, ticket: Ticket, end: Result<Acknowledgement, LostMessage>) {
        self.change(ticket, |progress| progress.end = Some(end));
    }

    // Of a message without handles there is nothing to note.
    fn change(&mut self, ticket: Ticket, change: impl FnOnce(&mut Progress)) {
        if let Some(place) = self.table.as_mut().and_then(|table| table.place(ticket)) {
            place.change(&mut self.woken, change);
        }
    }
}

impl Drop for Hearing<'_> {
    fn drop(&mut self) {
        self.table = None;
        self.woken.drain(..).for_each(Waker::wake);
    }
}

fn ticket(turn: u32, at: u32) -> Ticket {
    Ticket(u64::from(turn) << 32 | u64::from(at))
}

fn at(ticket: Ticket) -> usize {
    usize::try_from(ticket.0 & u64::from(u32::MAX)).unwrap_or(usize::MAX)
}

fn turn(ticket: Ticket) -> u32 {
    u32::try_from(ticket.0 >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Arc<Publications> {
        Arc::new(Publications::default())
    }

    fn open(table: &Arc<Publications>) -> Publication {
        table.open(Qos::AtLeastOnce, true).unwrap()
    }

    fn is_over(publication: &Publication) -> bool {
        let end = publication.table.look(publication.ticket(), Progress::end);
        end.is_some()
    }

    #[test]
    fn a_dropped_handle_leaves_nothing_behind() {
        let table = table();
        let publication = open(&table);
        let (clone, ticket) = (publication.clone(), publication.ticket());
        drop(publication);
        assert_eq!(table.held(), 1);
        drop(clone);
        assert_eq!(table.held(), 0);
        assert_eq!(table.take_forgotten(), [ticket]);
        // What is heard of it later is about nobody, and so is the next message, in its place.
        let next = open(&table);
        assert_eq!(at(next.ticket()), at(ticket));
        table.hear().ended(ticket, Err(LostMessage::Expired));
        assert!(!is_over(&next));
        assert_eq!(table.take_forgotten(), []);
    }

    #[test]
    fn nothing_is_to_be_forgotten_of_a_message_that_is_over() {
        let table = table();
        let publication = table.open(Qos::AtMostOnce, true).unwrap();
        let ticket = publication.ticket();
        table.hear().sent(ticket);
        // Its end is its end.
        table.hear().ended(ticket, Err(LostMessage::Expired));
        let end = table.look(ticket, Progress::end);
        assert!(matches!(end, Some(Ok(_))));
        drop(publication);
        assert_eq!(table.held(), 0);
        assert_eq!(table.take_forgotten(), []);
    }

    #[test]
    fn a_client_that_is_gone_opens_no_publication() {
        let table = table();
        let publication = open(&table);
        table.end_all(LostMessage::Closed);
        assert!(is_over(&publication));
        assert!(table.open(Qos::AtMostOnce, true).is_none());
        assert!(table.have_ended());
    }

    #[test]
    fn a_ticket_does_not_come_again_even_when_the_memory_of_its_place_is_given_back() {
        let table = table();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..5 {
            let all: Vec<_> = (0..=KEPT).map(|_| open(&table)).collect();
            for publication in &all {
                assert!(seen.insert(publication.ticket()));
            }
            drop(all);
            assert_eq!(table.lock().places.capacity(), 0);
        }
    }

    #[test]
    fn a_place_that_has_had_all_its_turns_is_not_used_again() {
        let table = table();
        table.lock().first_turn = u32::MAX;
        let last = open(&table);
        let ticket = last.ticket();
        assert!(ticket != Ticket::RESTORED);
        drop(last);
        let all: Vec<_> = (0..=KEPT).map(|_| open(&table)).collect();
        assert!(all.iter().all(|other| at(other.ticket()) != at(ticket)));
        drop(all);
        assert_eq!(table.lock().places.len(), KEPT + 2);
        assert_eq!(table.held(), 0);
    }

    #[test]
    fn what_is_told_of_several_wakes_all_who_wait_once_the_lock_is_free() {
        let table = table();
        let all = [open(&table), open(&table)];
        let count = Arc::new(Wakes::default());
        for publication in &all {
            let (mut number, waker) = (None, Waker::from(Arc::clone(&count)));
            let ticket = publication.ticket();
            let none = table.look_or_wait(ticket, &mut number, waker, Progress::sent);
            assert!(none.is_none() && number.is_some());
        }
        let mut hearing = table.hear();
        for publication in &all {
            hearing.sent(publication.ticket());
            hearing.sent(publication.ticket());
        }
        let wakes = || count.0.load(Ordering::SeqCst);
        assert_eq!(wakes(), 0);
        drop(hearing);
        assert_eq!(wakes(), 2);
    }

    #[derive(Default)]
    struct Wakes(std::sync::atomic::AtomicUsize);

    impl std::task::Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}
