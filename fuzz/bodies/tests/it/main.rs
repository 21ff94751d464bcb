//! The bodies of the fuzz targets over random bytes, and over every seed, where every finding stays.

use std::fs;
use std::path::{Path, PathBuf};

use ohmqtt_fuzz::{TARGETS, run};
use proptest::collection::vec;
use proptest::prelude::*;

fn seeds(target: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../seeds");
    folder.join(target)
}

fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).expect("a folder of seeds for each target");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .map(|path| (path.clone(), fs::read(path).expect("a seed")))
        .collect()
}

#[test]
fn every_seed_of_every_target_passes() {
    for target in TARGETS {
        let seeds = contents(&seeds(target.name));
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        for (path, data) in seeds {
            println!("{}", path.display());
            (target.run)(&data);
        }
    }
}

/// Each target has a binary of its name, and each binary is of a target.
#[test]
fn each_target_has_its_binary() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz_targets");
    let mut binaries: Vec<_> = contents(&folder)
        .iter()
        .filter_map(|(path, _)| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    binaries.sort();
    let mut targets = TARGETS.map(|target| target.name);
    targets.sort_unstable();
    assert_eq!(binaries, targets);
}

/// A seed, and what becomes of it by some changes.
fn changed(target: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let seeds: Vec<_> = contents(&seeds(target))
        .into_iter()
        .map(|(_, data)| data)
        .collect();
    let edits = vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..12);
    (prop::sample::select(seeds), edits).prop_map(|(mut data, edits)| {
        for (at, byte, kind) in edits {
            let at = at.index(data.len() + 1);
            match kind {
                0 => data.insert(at, byte),
                1 => data.truncate(at),
                _ => {
                    if let Some(old) = data.get_mut(at) {
                        *old = byte;
                    }
                }
            }
        }
        data
    })
}

macro_rules! targets {
    ($($test:ident = $name:literal, $cases:literal;)*) => {
        $(
            #[test]
            fn $test() {
                let cases = ProptestConfig::with_cases($cases);
                let bytes = prop_oneof![vec(any::<u8>(), 0..600), changed($name)];
                proptest!(cases, |(data in bytes)| run($name, &data));
            }
        )*
    };
}

targets! {
    decode = "decode", 2_000;
    round_trip = "round_trip", 2_000;
    client = "client", 2_000;
    server = "server", 2_000;
    websocket = "websocket", 500;
    url = "url", 2_000;
    record = "record", 2_000;
    access = "access", 200;
}
