//! What must hold on any machine: allocation counts, and that what is timed carries bytes.

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "dispatch")]
mod dispatch;
#[cfg(feature = "durable")]
mod store;
#[cfg(feature = "transport")]
mod transport;

use ohmqtt_benches::Case;
use ohmqtt_benches::allocations::{Counting, count};
use ohmqtt_benches::codec::CASES;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(case: &Case) -> u64 {
    let mut run = case.set_up();
    run(5_000);
    count(|| run(1_000))
}

#[test]
fn allocations_are_counted() {
    assert_eq!(count(|| drop(std::hint::black_box(Box::new(1)))), 1);
    assert_eq!(count(|| ()), 0);
}

#[test]
fn messages_and_acknowledgements_are_decoded_without_allocation() {
    for name in [
        "decode/publish256-qos1",
        "decode/publish256-5props",
        "decode/puback",
        "decode/subscribe10",
    ] {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        assert_eq!(allocations(case), 0, "{name}");
    }
}

#[test]
fn small_packets_are_encoded_without_allocation() {
    for case in CASES.iter().filter(|case| case.name.starts_with("encode/")) {
        let want = if case.name.ends_with("64k") { 1_000 } else { 0 };
        assert!(
            allocations(case) <= want,
            "{}: {}",
            case.name,
            allocations(case)
        );
    }
}

#[test]
fn a_connect_is_decoded_with_one_allocation() {
    let case = CASES
        .iter()
        .find(|case| case.name == "decode/connect-will")
        .unwrap();
    assert_eq!(allocations(case), 1_000);
}
