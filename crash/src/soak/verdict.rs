//! What came of a soak, and whether it is as promised.

use super::memory::Measured;

/// Growing by more than this, in KiB, is not bounded memory: the outbox holds 16 MiB at most, and the other queues less.
const MOST_MEMORY: u64 = 64 * 1024;

/// What came of a soak.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Verdict {
    /// Accepted.
    pub(super) messages: u64,
    /// What the rate and the time make.
    pub(super) wanted: u64,
    pub(super) lost: u64,
    pub(super) duplicated: u64,
    pub(super) reordered: u64,
    /// Messages that the publisher's client counts as lost.
    pub(super) given_up: u64,
    /// Messages that it has left when it is closed.
    pub(super) left: usize,
    pub(super) restarts: u32,
    /// Of both clients.
    pub(super) connections: u64,
    pub(super) memory: Measured,
}

impl Verdict {
    /// The last line.
    pub(super) fn outcome(&self) -> String {
        format!(
            "soak: {} messages, {} lost, {} duplicated, memory +{} KiB",
            self.messages,
            self.lost,
            self.duplicated,
            self.memory.growth()
        )
    }

    /// The line before it.
    pub(super) fn course(&self) -> String {
        let Measured { warm, most, last } = self.memory;
        format!(
            "soak: {} restarts, {} connections; resident after the warm-up {warm} KiB, at most {most} KiB, at the end {last} KiB",
            self.restarts, self.connections
        )
    }

    /// Each client connects once, and again after each restart.
    fn necessary_connections(&self) -> u64 {
        2 * (u64::from(self.restarts) + 1)
    }

    /// What is not as promised.
    pub(super) fn problems(&self) -> Vec<String> {
        let growth = self.memory.growth();
        let all = [
            (self.lost > 0, format!("{} messages are lost", self.lost)),
            (
                self.reordered > 0,
                format!("{} messages came out of order", self.reordered),
            ),
            (
                self.given_up > 0,
                format!("the client gave up {} messages", self.given_up),
            ),
            (
                self.left > 0,
                format!("{} messages are left in the outbox", self.left),
            ),
            (
                growth > MOST_MEMORY,
                format!("memory grew by {growth} KiB, more than {MOST_MEMORY} KiB"),
            ),
            (
                self.messages < self.wanted / 2,
                format!(
                    "{} messages prove little: the rate makes {}, half of them are wanted",
                    self.messages, self.wanted
                ),
            ),
            (
                self.connections > 2 * self.necessary_connections(),
                format!(
                    "{} connections, where {} would have done",
                    self.connections,
                    self.necessary_connections()
                ),
            ),
            (self.restarts == 0, "there was no restart".to_owned()),
        ];
        let problems = all.into_iter().filter(|(is_so, _)| *is_so);
        problems.map(|(_, problem)| problem).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Verdict = Verdict {
        messages: 60_000,
        wanted: 100_000,
        lost: 0,
        duplicated: 25,
        reordered: 0,
        given_up: 0,
        left: 0,
        restarts: 4,
        connections: 12,
        memory: Measured {
            warm: 10_000,
            most: 14_321,
            last: 12_000,
        },
    };

    #[track_caller]
    fn check(change: impl FnOnce(&mut Verdict), want: &str) {
        let mut verdict = GOOD;
        change(&mut verdict);
        assert_eq!(verdict.problems(), [want]);
    }

    #[test]
    fn the_last_line_has_its_form() {
        assert_eq!(
            GOOD.outcome(),
            "soak: 60000 messages, 0 lost, 25 duplicated, memory +4321 KiB"
        );
        assert_eq!(GOOD.problems(), [""; 0]);
    }

    #[test]
    fn what_is_not_as_promised_is_told() {
        check(|verdict| verdict.lost = 1, "1 messages are lost");
        check(
            |verdict| verdict.reordered = 2,
            "2 messages came out of order",
        );
        check(
            |verdict| verdict.given_up = 3,
            "the client gave up 3 messages",
        );
        check(
            |verdict| verdict.left = 4,
            "4 messages are left in the outbox",
        );
        check(
            |verdict| (verdict.restarts, verdict.connections) = (0, 2),
            "there was no restart",
        );
        check(
            |verdict| verdict.connections = 21,
            "21 connections, where 10 would have done",
        );
        check(
            |verdict| verdict.memory.most += 65_536,
            "memory grew by 69857 KiB, more than 65536 KiB",
        );
        check(
            |verdict| verdict.messages = 49_999,
            "49999 messages prove little: the rate makes 100000, half of them are wanted",
        );
    }
}
