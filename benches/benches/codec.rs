//! The codec's cases by the clock.

mod clock;

fn main() {
    clock::time("codec", ohmqtt_benches::codec::CASES);
}
