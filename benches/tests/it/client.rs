//! What the bench of the client measures.

use ohmqtt_benches::client::CASES;
use ohmqtt_benches::client::null::Null;

#[test]
fn every_case_goes_through_however_many_messages() {
    for case in CASES {
        let mut run = case.set_up();
        for n in [1, 99, 100, 1_000, 1_234] {
            run(n);
        }
    }
}

#[test]
fn the_null_broker_answers_packets_however_they_are_cut() {
    let connect = [0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 60, 0, 0, 0];
    let publish = [0x34, 6, 0, 1, b't', 0, 7, 0];
    let all = [&connect[..], &publish, &[0x62, 2, 0, 7], &[0xC0, 0]].concat();
    for cut in 0..all.len() {
        let mut null = Null::new();
        null.take(&all[..cut]);
        null.take(&all[cut..]);
        let want = [0x20, 3, 0, 0, 0, 0x50, 2, 0, 7, 0x70, 2, 0, 7, 0xD0, 0];
        assert_eq!(null.answers(), want, "cut behind {cut}");
    }
}
