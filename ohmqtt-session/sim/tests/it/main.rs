//! The simulator in the test suite: some seeds, the planted bugs, and that a seed is a run.

use ohmqtt_sim::{Bug, catch, run};

#[test]
fn five_hundred_seeds_keep_every_rule() {
    for seed in 0..500 {
        let failure = run(seed, None, false).failure;
        assert!(failure.is_none(), "seed {seed}: {failure:?}");
    }
}

#[test]
fn every_planted_bug_shows_within_a_thousand_seeds() {
    for bug in Bug::ALL {
        assert!(catch(*bug, 0, 1_000).is_some(), "not caught: {bug}");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [1, 26, 423] {
        let (one, two) = (run(seed, None, true), run(seed, None, true));
        assert!(one.trace.len() > 100);
        assert_eq!(one.trace, two.trace);
    }
}

#[test]
fn a_trace_changes_nothing() {
    let bug = Some(Bug::DupNotSet);
    for seed in 0..20 {
        let (one, two) = (run(seed, bug, true), run(seed, bug, false));
        assert_eq!(one.failure, two.failure);
        assert!(two.trace.is_empty());
    }
}
