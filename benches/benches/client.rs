//! A client through the null broker, two sessions joined in memory, and the floors below them, by the clock.

mod clock;

fn main() {
    clock::time("client", ohmqtt_benches::client::CASES);
}
