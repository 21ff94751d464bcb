//! The transports by the clock, beside the libraries underneath.

use std::time::Instant;

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use ohmqtt_benches::transport::{LENGTHS, PAIRS, Result};

fn main() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    for pair in PAIRS {
        for &len in LENGTHS {
            let mut group = criterion.benchmark_group(format!("{}/{len}", pair.name));
            group.throughput(Throughput::Bytes(len.into()));
            let bytes = Bytes::from(vec![b'x'; usize::try_from(len)?]);
            for (name, connect) in [("ours", pair.ours), ("raw", pair.raw)] {
                let mut transfer = connect()?;
                group.bench_function(name, |bencher| {
                    bencher.iter_custom(|n| {
                        let start = Instant::now();
                        let n = n.try_into().expect("as many as fit");
                        transfer(&bytes, n).expect("the connection stands");
                        start.elapsed()
                    });
                });
            }
            group.finish();
        }
    }
    criterion.final_summary();
    Ok(())
}
