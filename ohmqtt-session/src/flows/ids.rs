//! A table keyed by Packet Identifier: lookup, and the next identifier that is free, without a search over what is in use.

use alloc::vec::Vec;
use ohmqtt_codec::PacketId;
use slab::Slab;

const PAGE: usize = 64;
/// No value stands under this identifier. There are 65,535 identifiers, so the highest place is one below.
const NOTHING: u16 = u16::MAX;
/// An empty table keeps the memory of so many values, so that one message after the other does not allocate.
const KEPT: usize = 8;

/// Values by Packet Identifier.
///
/// The values stand together, and pages of 64 identifiers tell where; a page exists only while something stands on it. So a table
/// with few values is small wherever in the ring they are, and one that was never used is nothing.
///
/// Identifiers are handed out in a ring: one that was just released is the last to be used again, which keeps a late
/// acknowledgement of an old message from meeting a new one.
#[derive(Debug)]
pub(crate) struct IdTable<T> {
    /// By number.
    pages: Vec<Page>,
    values: Slab<(PacketId, T)>,
    /// The last identifier handed out.
    last: u16,
}

#[derive(Debug)]
struct Page {
    number: u16,
    used: u8,
    places: [u16; PAGE],
}

impl<T> Default for IdTable<T> {
    fn default() -> Self {
        Self {
            pages: Vec::new(),
            values: Slab::new(),
            last: 0,
        }
    }
}

impl<T> IdTable<T> {
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn get(&self, id: PacketId) -> Option<&T> {
        Some(&self.values.get(self.place(id)?)?.1)
    }

    pub(crate) fn get_mut(&mut self, id: PacketId) -> Option<&mut T> {
        let place = self.place(id)?;
        Some(&mut self.values.get_mut(place)?.1)
    }

    /// Puts a value under an identifier and gives back the one that stood there.
    pub(crate) fn insert(&mut self, id: PacketId, value: T) -> Option<T> {
        let (number, slot) = split(id);
        let at = match self.page(number) {
            Ok(at) => at,
            Err(at) => {
                self.pages.insert(at, Page::empty(number));
                at
            }
        };
        let page = &mut self.pages[at];
        let place = page.places[slot];
        if place == NOTHING {
            // As many places as identifiers, so the number of each fits.
            let place = self.values.insert((id, value));
            page.places[slot] = u16::try_from(place).unwrap_or(NOTHING);
            page.used += 1;
            return None;
        }
        let (_, old) = self.values.get_mut(place.into())?;
        Some(core::mem::replace(old, value))
    }

    pub(crate) fn remove(&mut self, id: PacketId) -> Option<T> {
        self.remove_if(id, |_| true).ok()
    }

    /// Takes a value out if it is as wanted; the error tells whether the identifier is in use.
    pub(crate) fn remove_if(
        &mut self,
        id: PacketId,
        want: impl FnOnce(&T) -> bool,
    ) -> Result<T, bool> {
        let (number, slot) = split(id);
        let at = self.page(number).map_err(|_| false)?;
        let page = &mut self.pages[at];
        let place = usize::from(page.places[slot]);
        let (_, value) = self.values.get(place).ok_or(false)?;
        if !want(value) {
            return Err(true);
        }
        page.places[slot] = NOTHING;
        let (_, value) = self.values.try_remove(place).ok_or(false)?;
        page.used -= 1;
        if page.used == 0 {
            self.pages.remove(at);
        }
        if self.values.is_empty() && self.values.capacity() > KEPT {
            // What a burst needed is not kept.
            self.values = Slab::new();
            self.pages = Vec::new();
        }
        Ok(value)
    }

    /// Gives back what an empty table keeps for the next value.
    pub(crate) fn shrink(&mut self) {
        if self.values.is_empty() {
            let last = self.last;
            *self = Self {
                last,
                ..Self::default()
            };
        }
    }

    /// The next identifier that is not in use, or `None` when all 65,535 are. It is in use once something stands under it.
    ///
    // [MQTT-2.2.1-3] [MQTT-2.2.1-4] A new packet takes an identifier that is not in use, and never 0.
    pub(crate) fn next_free(&mut self) -> Option<PacketId> {
        if self.len() >= usize::from(u16::MAX) {
            return None;
        }
        let mut at = self.last;
        let free = loop {
            at = at.checked_add(1).unwrap_or(1);
            let id = PacketId::new(at)?;
            let (number, slot) = split(id);
            let Ok(page) = self.page(number) else {
                break id;
            };
            let page = &self.pages[page];
            if page.places[slot] == NOTHING {
                break id;
            }
            // A full page is stepped over whole.
            if usize::from(page.used) == PAGE {
                at |= 0x3f;
            }
        };
        self.last = at;
        Some(free)
    }

    /// All values, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PacketId, &T)> {
        self.values.iter().map(|(_, (id, value))| (*id, value))
    }

    /// All values, in no order that means anything.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (PacketId, &mut T)> {
        self.values.iter_mut().map(|(_, (id, value))| (*id, value))
    }

    /// Empties the table and gives out what stood in it, in no order that means anything. Identifiers go on where they were.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (PacketId, T)> + use<T> {
        let last = self.last;
        let old = core::mem::replace(
            self,
            Self {
                last,
                ..Self::default()
            },
        );
        old.values.into_iter().map(|(_, entry)| entry)
    }

    /// The index of the page of this number, or where it would stand.
    fn page(&self, number: u16) -> Result<usize, usize> {
        self.pages.binary_search_by_key(&number, |page| page.number)
    }

    fn place(&self, id: PacketId) -> Option<usize> {
        let (number, slot) = split(id);
        let page = &self.pages[self.page(number).ok()?];
        let place = page.places[slot];
        (place != NOTHING).then_some(place.into())
    }
}

impl Page {
    fn empty(number: u16) -> Self {
        Self {
            number,
            used: 0,
            places: [NOTHING; PAGE],
        }
    }
}

/// The number of an identifier's page, and its place on the page.
fn split(id: PacketId) -> (u16, usize) {
    (id.get() / 64, usize::from(id.get()) % PAGE)
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
    fn an_unused_table_is_nothing_and_one_value_is_little() {
        let mut table = IdTable::<[u8; 200]>::default();
        let memory = |table: &IdTable<[u8; 200]>| {
            let pages = table.pages.capacity() * size_of::<Page>();
            (pages, table.values.capacity())
        };
        assert_eq!(memory(&table), (0, 0));
        for n in 1..=u16::MAX {
            table.insert(id(n), [0; 200]);
            table.remove(id(n)).unwrap();
        }
        let (index, values) = memory(&table);
        assert!(index < 1024 && values <= KEPT, "{index} {values}");
        for n in 1..=1000 {
            table.insert(id(n), [0; 200]);
        }
        (1..=1000).for_each(|n| assert!(table.remove(id(n)).is_some()));
        table.shrink();
        assert_eq!(memory(&table), (0, 0));
    }

    #[test]
    fn a_table_holds_what_a_map_holds() {
        let mut table = IdTable::<u64>::default();
        let mut model = alloc::collections::BTreeMap::new();
        let mut random = fastrand::Rng::with_seed(7);
        for step in 0..50_000 {
            let n = random.u16(1..=400);
            match random.u8(..3) {
                0 => assert_eq!(table.remove(id(n)), model.remove(&n)),
                1 => assert_eq!(table.insert(id(n), step), model.insert(n, step)),
                _ => assert_eq!(table.get_mut(id(n)), model.get_mut(&n)),
            }
            assert_eq!(table.len(), model.len());
        }
        let mut held: Vec<_> = table.drain().map(|(id, value)| (id.get(), value)).collect();
        held.sort_unstable();
        assert_eq!(held, model.into_iter().collect::<Vec<_>>());
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
        assert!(table.pages.is_empty());
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
