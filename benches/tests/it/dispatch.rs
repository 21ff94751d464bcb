//! What the bench of dispatching measures.

use ohmqtt_benches::dispatch::CASES;

#[test]
fn every_case_of_a_hundred_subscriptions_delivers_what_it_is_asked_for() {
    let small = CASES.iter().filter(|case| case.name.ends_with("/100"));
    assert_eq!(small.clone().count(), CASES.len() / 2);
    for case in small {
        let mut run = case.set_up();
        run(1);
        run(100);
    }
}
