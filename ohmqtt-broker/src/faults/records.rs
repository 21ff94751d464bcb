//! What each client has sent: the newest packets, within bounds.

use std::collections::{BTreeMap, VecDeque};

use ohmqtt_codec::Packet;

/// So many packets of one client are kept, of so many bytes together; the newest in any case.
const PACKETS: usize = 1024;
const BYTES: usize = 4 << 20;
/// Of so many clients; of one more, those of the client that has been silent for longest are dropped.
const CLIENTS: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Records {
    clients: BTreeMap<String, Sent>,
    /// How many packets there were, of all.
    count: u64,
}

#[derive(Debug, Default)]
struct Sent {
    packets: VecDeque<Record>,
    bytes: usize,
}

#[derive(Debug)]
struct Record {
    /// Which of all packets it was; the first was 1.
    number: u64,
    /// In bytes.
    size: usize,
    packet: Packet,
}

impl Sent {
    /// Which of all packets the newest was.
    fn last(&self) -> u64 {
        self.packets.back().map_or(0, |record| record.number)
    }
}

impl Records {
    /// A client has sent a packet of this many bytes.
    pub(super) fn add(&mut self, client: &str, packet: Packet, size: usize) {
        self.count += 1;
        if !self.clients.contains_key(client) {
            if self.clients.len() >= CLIENTS {
                let oldest = self.clients.iter().min_by_key(|(_, sent)| sent.last());
                let oldest = oldest.map(|(client, _)| client.clone());
                oldest.and_then(|client| self.clients.remove(&client));
            }
            self.clients.insert(client.to_owned(), Sent::default());
        }
        let Some(sent) = self.clients.get_mut(client) else {
            return;
        };
        sent.bytes += size;
        sent.packets.push_back(Record {
            number: self.count,
            size,
            packet,
        });
        while sent.packets.len() > PACKETS || (sent.bytes > BYTES && sent.packets.len() > 1) {
            if let Some(oldest) = sent.packets.pop_front() {
                sent.bytes -= oldest.size;
            }
        }
    }

    /// What is kept of a client, the oldest first.
    pub(super) fn of(&self, client: &str) -> impl Iterator<Item = &Packet> {
        self.after(client, 0).map(|(_, packet)| packet)
    }

    /// What is kept of a client behind the packet of this number, with their numbers.
    pub(super) fn after(&self, client: &str, number: u64) -> impl Iterator<Item = (u64, &Packet)> {
        let sent = self.clients.get(client);
        let kept = sent.into_iter().flat_map(|sent| &sent.packets);
        kept.filter(move |record| record.number > number)
            .map(|record| (record.number, &record.packet))
    }

    /// Drops what is kept of a client.
    pub(super) fn clear(&mut self, client: &str) {
        self.clients.remove(client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_packets_of_a_client_are_kept() {
        let mut records = Records::default();
        for _ in 0..PACKETS {
            records.add("a", Packet::PingReq, 2);
        }
        records.add("a", Packet::PingResp, 2);
        assert_eq!(records.of("a").count(), PACKETS);
        assert_eq!(records.of("a").last(), Some(&Packet::PingResp));
        // A large one drives the others out.
        records.add("a", Packet::PingReq, BYTES + 1);
        assert_eq!(records.of("a").count(), 1);
    }

    #[test]
    fn packets_keep_their_numbers() {
        let mut records = Records::default();
        records.add("a", Packet::PingReq, 2);
        records.add("b", Packet::PingReq, 2);
        records.add("a", Packet::PingResp, 2);
        let after = |number| records.after("a", number).collect::<Vec<_>>();
        assert_eq!(after(0), [(1, &Packet::PingReq), (3, &Packet::PingResp)]);
        assert_eq!(after(1), [(3, &Packet::PingResp)]);
        assert_eq!(after(3), []);
    }

    #[test]
    fn the_client_that_was_silent_for_longest_is_dropped() {
        let mut records = Records::default();
        for client in 0..CLIENTS {
            records.add(&client.to_string(), Packet::PingReq, 2);
        }
        records.add("0", Packet::PingReq, 2);
        records.add("new", Packet::PingReq, 2);
        let kept = |client: &str| records.of(client).count();
        assert_eq!((kept("0"), kept("1"), kept("new")), (2, 0, 1));
        assert_eq!(records.clients.len(), CLIENTS);
    }
}
