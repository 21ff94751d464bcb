//! What the bench of the stores times.

use ohmqtt_benches::durable::writes::CASES;

#[test]
fn every_store_takes_batches_over_and_over() {
    for case in CASES {
        let mut run = case.set_up();
        run(1);
        run(21);
    }
}
