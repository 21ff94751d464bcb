//! Dispatching by the clock.

mod clock;

fn main() {
    clock::time("dispatch", ohmqtt_benches::dispatch::CASES);
}
