//! Client Identifiers for clients that bring none.

use std::hash::{BuildHasher, RandomState};

use ohmqtt_codec::MqttString;

/// Makes identifiers that differ from each other, and that nobody guesses.
#[derive(Debug)]
pub(crate) struct Identifiers {
    /// Keyed with randomness of this process.
    random: RandomState,
    made: u64,
}

impl Identifiers {
    pub(crate) fn new() -> Self {
        Self {
            random: RandomState::new(),
            made: 0,
        }
    }

    /// The next one that is free.
    pub(crate) fn next(&mut self, is_free: impl Fn(&MqttString) -> bool) -> MqttString {
        loop {
            self.made += 1;
            let id = format!("auto-{:016x}", self.random.hash_one(self.made));
            // Twenty-one letters and digits are always an MQTT string.
            let id = MqttString::try_from(id).unwrap_or_default();
            if is_free(&id) {
                return id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_in_use_is_not_given_again() {
        let mut identifiers = Identifiers::new();
        let first = identifiers.next(|_| true);
        assert_eq!(first.len(), 21);
        identifiers.made = 0;
        assert_ne!(identifiers.next(|id| *id != first), first);
    }
}
