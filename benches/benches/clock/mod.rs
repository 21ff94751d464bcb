//! Cases by the clock.

use std::time::Instant;

use criterion::{Criterion, Throughput};
use ohmqtt_benches::Case;

/// Times these cases as a group of this name.
pub(crate) fn time(group: &str, cases: &[Case]) {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group(group);
    group.throughput(Throughput::Elements(1));
    for case in cases {
        let mut run = case.set_up();
        group.bench_function(case.name, |bencher| {
            bencher.iter_custom(|n| {
                let start = Instant::now();
                run(n);
                start.elapsed()
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
