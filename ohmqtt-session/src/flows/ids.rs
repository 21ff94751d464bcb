//! A table keyed by Packet Identifier: lookup, and the next identifier that is free, in constant time.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::array;
use ohmqtt_codec::PacketId;

const PAGE: usize = 256;

/// Values by Packet Identifier, in pages of 256 that exist only while something stands on them.
///
/// Identifiers are handed out in a ring: one that was just released is the last to be used again, which keeps a late
/// acknowledgement of an old message from meeting a new one.
#[derive(Debug)]
pub(crate) struct IdTable<T> {
    pages: Vec<Option<Box<Page<T>>>>,
    /// One empty page kept back, so that a ring of identifiers does not allocate at each page border.
    spare: Option<Box<Page<T>>>,
    len: usize,
    /// The last identifier handed out.
    last: u16,
}

#[derive(Debug)]
struct Page<T> {
    used: usize,
    slots: [Option<T>; PAGE],
}

impl<T> Default for IdTable<T> {
    fn default() -> Self {
        Self {
            pages: Vec::new(),
            spare: None,
            len: 0,
            last: 0,
        }
    }
}

impl<T> IdTable<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, id: PacketId) -> Option<&T> {
        let (page, slot) = place(id);
        self.pages.get(page)?.as_ref()?.slots[slot].as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: PacketId) -> Option<&mut T> {
        let (page, slot) = place(id);
        self.pages.get_mut(page)?.as_mut()?.slots[slot].as_mut()
    }

    /// Puts a value under an identifier and gives back the one that stood there.
    pub(crate) fn insert(&mut self, id: PacketId, value: T) -> Option<T> {
        let (page, slot) = place(id);
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, || None);
        }
        let spare = &mut self.spare;
        let page = self.pages[page]
            .get_or_insert_with(|| spare.take().unwrap_or_else(|| Box::new(Page::empty())));
        let old = page.slots[slot].replace(value);
        if old.is_none() {
            page.used += 1;
            self.len += 1;
        }
        old
    }

    pub(crate) fn remove(&mut self, id: PacketId) -> Option<T> {
        let (page, slot) = place(id);
        let entry = self.pages.get_mut(page)?;
        let held = entry.as_mut()?;
        let value = held.slots[slot].take()?;
        held.used -= 1;
        self.len -= 1;
        if held.used == 0 {
            self.spare = entry.take();
        }
        Some(value)
    }

    /// The next identifier that is not in use, or `None` when all 65,535 are. It is in use once something stands under it.
    ///
    // [MQTT-2.2.1-3] [MQTT-2.2.1-4] A new packet takes an identifier that is not in use, and never 0.
    pub(crate) fn next_free(&mut self) -> Option<PacketId> {
        if self.len >= usize::from(u16::MAX) {
            return None;
        }
        let mut at = self.last;
        loop {
            at = at.checked_add(1).unwrap_or(1);
            let id = PacketId::new(at)?;
            match self.pages.get(place(id).0) {
                // A full page is stepped over whole.
                Some(Some(page)) if page.used == PAGE => at |= 0xff,
                _ if self.get(id).is_none() => break,
                _ => {}
            }
        }
        self.last = at;
        PacketId::new(at)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PacketId, &T)> {
        self.pages.iter().enumerate().flat_map(|(page, held)| {
            held.iter().flat_map(move |held| {
                held.slots
                    .iter()
                    .enumerate()
                    .filter_map(move |(slot, value)| {
                        let id = u16::try_from(page * PAGE + slot)
                            .ok()
                            .and_then(PacketId::new)?;
                        Some((id, value.as_ref()?))
                    })
            })
        })
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (PacketId, &mut T)> {
        self.pages.iter_mut().enumerate().flat_map(|(page, held)| {
            held.iter_mut().flat_map(move |held| {
                held.slots
                    .iter_mut()
                    .enumerate()
                    .filter_map(move |(slot, value)| {
                        let id = u16::try_from(page * PAGE + slot)
                            .ok()
                            .and_then(PacketId::new)?;
                        Some((id, value.as_mut()?))
                    })
            })
        })
    }

    /// Empties the table and gives out what stood in it. Identifiers go on where they were.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (PacketId, T)> + use<T> {
        let last = self.last;
        let old = core::mem::replace(
            self,
            Self {
                last,
                ..Self::default()
            },
        );
        old.pages.into_iter().enumerate().flat_map(|(page, held)| {
            held.into_iter().flat_map(move |held| {
                held.slots
                    .into_iter()
                    .enumerate()
                    .filter_map(move |(slot, value)| {
                        let id = u16::try_from(page * PAGE + slot)
                            .ok()
                            .and_then(PacketId::new)?;
                        Some((id, value?))
                    })
            })
        })
    }
}

impl<T> Page<T> {
    fn empty() -> Self {
        Self {
            used: 0,
            slots: array::from_fn(|_| None),
        }
    }
}

fn place(id: PacketId) -> (usize, usize) {
    let id = usize::from(id.get());
    (id / PAGE, id % PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u16) -> PacketId {
        PacketId::new(n).unwrap()
    }

    fn take<T: Default>(table: &mut IdTable<T>) -> u16 {
        let id = table.next_free().unwrap();
        table.insert(id, T::default());
        id.get()
    }

    /// [MQTT-2.2.1-3] [MQTT-2.2.1-4] No identifier is 0 and none is handed out while it is in use.
    #[test]
    fn all_65535_identifiers_are_handed_out_once_and_then_none() {
        let mut table = IdTable::<()>::default();
        for want in 1..=u16::MAX {
            assert_eq!(take(&mut table), want);
        }
        assert_eq!(table.next_free(), None);
        assert_eq!(table.len(), 65_535);
        table.remove(id(300)).unwrap();
        assert_eq!(take(&mut table), 300);
        assert_eq!(table.next_free(), None);
    }

    #[test]
    fn a_released_identifier_is_the_last_to_come_again() {
        let mut table = IdTable::<()>::default();
        assert_eq!((take(&mut table), take(&mut table)), (1, 2));
        table.remove(id(1));
        assert_eq!(take(&mut table), 3);
        table.last = u16::MAX;
        assert_eq!(take(&mut table), 1);
        assert_eq!(take(&mut table), 4);
    }

    #[test]
    fn pages_go_when_nothing_stands_on_them() {
        let mut table = IdTable::<u32>::default();
        for n in 1..=1000 {
            assert_eq!(table.insert(id(n), u32::from(n)), None);
        }
        assert_eq!(
            table
                .iter()
                .map(|(id, v)| u32::from(id.get()) - v)
                .sum::<u32>(),
            0
        );
        for n in 1..=1000 {
            assert_eq!(table.remove(id(n)), Some(u32::from(n)));
            assert_eq!(table.remove(id(n)), None);
        }
        assert!(table.len() == 0);
        assert!(table.pages.iter().all(Option::is_none));
    }

    #[test]
    fn draining_gives_all_and_keeps_the_place_in_the_ring() {
        let mut table = IdTable::<u32>::default();
        take(&mut table);
        take(&mut table);
        table.insert(id(700), 7);
        assert_eq!(
            table.drain().map(|(id, _)| id.get()).collect::<Vec<_>>(),
            [1, 2, 700]
        );
        assert!(table.len() == 0);
        assert_eq!(take(&mut table), 3);
    }
}
