//! The router by the clock.

mod clock;

fn main() {
    clock::time("router", ohmqtt_benches::router::CASES);
}
