//! Writing to the stores by the clock.

mod clock;

fn main() {
    clock::time("store", ohmqtt_benches::durable::writes::CASES);
}
