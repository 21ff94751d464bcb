//! Which mutants are tried: by a seed, so that a run can be repeated, and each by itself, so that a change of the code leaves the choice
//! among the rest as it was.

use std::collections::HashMap;

/// So many mutants, of which a shard is tried.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) size: usize,
    pub(super) seed: u64,
    pub(super) shard: Shard,
}

/// One of so many equal parts, for as many machines.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shard {
    part: usize,
    of: usize,
}

impl Shard {
    pub(super) const WHOLE: Self = Self { part: 1, of: 1 };

    /// Reads `K/N`.
    pub(super) fn of(text: &str) -> Option<Self> {
        let (part, of) = text.split_once('/')?;
        let (part, of) = (part.parse().ok()?, of.parse().ok()?);
        (1..=of).contains(&part).then_some(Self { part, of })
    }
}

impl Sample {
    /// Chooses among mutants, which are told as `file:line:column: change`.
    pub(super) fn choose<'a>(&self, mutants: &[&'a str]) -> Vec<&'a str> {
        let mut seen: HashMap<String, u64> = HashMap::new();
        let mut ranked: Vec<_> = mutants
            .iter()
            .map(|mutant| {
                let nth = seen.entry(without_place(mutant)).or_default();
                *nth += 1;
                (rank(self.seed, &without_place(mutant), *nth), *mutant)
            })
            .collect();
        ranked.sort_unstable();
        ranked.truncate(self.size);
        let Shard { part, of } = self.shard;
        let chosen = ranked.into_iter().map(|(_, mutant)| mutant);
        let mut chosen: Vec<_> = chosen.skip(part - 1).step_by(of).collect();
        chosen.sort_unstable();
        chosen
    }
}

/// The mutant without its line and column, which change with the code above it.
fn without_place(mutant: &str) -> String {
    let mut parts = mutant.splitn(4, ':');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(file), Some(_), Some(_), Some(change)) => format!("{file}:{change}"),
        _ => mutant.to_owned(),
    }
}

/// A number that is as good as random: FNV-1a, mixed as `SplitMix64` does.
fn rank(seed: u64, name: &str, nth: u64) -> u64 {
    let bytes = seed.to_le_bytes().into_iter().chain(nth.to_le_bytes());
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for byte in bytes.chain(name.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    }
    for (shift, factor) in [(30, 0xBF58_476D_1CE4_E5B9), (27, 0x94D0_49BB_1331_11EB)] {
        hash = (hash ^ (hash >> shift)).wrapping_mul(factor);
    }
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(size: usize, seed: u64, shard: &str) -> Sample {
        let shard = Shard::of(shard).unwrap();
        Sample { size, seed, shard }
    }

    fn mutants(line: usize) -> Vec<String> {
        let change = |n: usize| format!("a.rs:{}:5: replace f{n} with ()", line + n);
        (0..200).map(change).collect()
    }

    fn chosen(sample: &Sample, mutants: &[String]) -> Vec<String> {
        let mutants: Vec<_> = mutants.iter().map(String::as_str).collect();
        let chosen = sample.choose(&mutants).into_iter();
        let mut chosen: Vec<_> = chosen.map(without_place).collect();
        chosen.sort();
        chosen
    }

    #[test]
    fn a_seed_is_a_choice_whatever_the_lines() {
        let one = chosen(&sample(40, 1, "1/1"), &mutants(0));
        assert_eq!(one.len(), 40);
        assert_eq!(one, chosen(&sample(40, 1, "1/1"), &mutants(500)));
        assert_ne!(one, chosen(&sample(40, 2, "1/1"), &mutants(0)));
    }

    #[test]
    fn shards_are_the_whole_and_share_nothing() {
        let mut all = Vec::new();
        for shard in ["1/3", "2/3", "3/3"] {
            all.extend(chosen(&sample(40, 7, shard), &mutants(0)));
        }
        all.sort();
        assert_eq!(all, chosen(&sample(40, 7, "1/1"), &mutants(0)));
    }

    #[test]
    fn the_same_change_in_two_places_is_two_mutants() {
        let twice = ["a.rs:1:5: replace + with -", "a.rs:1:9: replace + with -"];
        assert_eq!(sample(9, 1, "1/1").choose(&twice), twice);
    }
}
