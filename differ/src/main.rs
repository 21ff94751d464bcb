//! What our codec encodes, decoded by codecs of others, field by field: `ohmqtt-differ PACKETS SEED NODE TSHARK FOLDER`.
//!
//! The packets are random ones of every type, by the strategies of the codec's own tests. Each decoder's reading of the bytes is compared
//! with ours. Whatever differs has to have a row in `differ/explained.tsv`, which says who is wrong and what settles it; the program
//! fails on anything else, and shows the packet. A row that no packet needs is told, and fails the run that needs them all. FOLDER is for the
//! files that the decoders read.

mod capture;
mod explained;
mod fields;
#[path = "../../ohmqtt-codec/tests/it/generate.rs"]
#[allow(dead_code, reason = "the codec's tests need more of it")]
mod generate;
mod node;
mod peers;
mod tshark;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use bytes::BytesMut;
use ohmqtt_codec::{EncodeBuf, Limits, Packet};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use explained::Explained;
use fields::Fields;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What a decoder makes of a packet: what the packet says, or why the decoder does not want it.
type Reading = std::result::Result<Fields, String>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let [packets, seed, node, tshark, folder] = args[..] else {
        eprintln!("usage: ohmqtt-differ PACKETS SEED NODE TSHARK FOLDER");
        return ExitCode::from(2);
    };
    match differ(packets, seed, node, tshark, Path::new(folder)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("differ: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The packets and the seed that need every row.
const WHOLE: (usize, u64) = (15_000, 1);

/// Compares; whether everything that differs is explained.
fn differ(packets: &str, seed: &str, node: &str, tshark: &str, folder: &Path) -> Result<bool> {
    let explained = Explained::read(Path::new("differ/explained.tsv"))?;
    let seed = seed.parse()?;
    let frames = generate(packets.parse()?, seed)?;
    let ours = frames.iter().map(|frame| ours(frame));
    let ours = ours.collect::<Result<Vec<_>>>()?;
    std::fs::create_dir_all(folder)?;
    let mut decoders = vec![
        ("tshark", tshark::read(tshark, folder, &frames)?),
        ("mqtt-packet", node::read(node, folder, &frames)?),
    ];
    decoders.extend(peers::PEERS.map(|(name, decode)| {
        let readings = frames.iter().map(|frame| peers::reading(frame, decode));
        (name, readings.collect())
    }));

    let mut classes: BTreeMap<Class, Found> = BTreeMap::new();
    for (decoder, theirs) in &decoders {
        if theirs.len() != frames.len() {
            let (read, all) = (theirs.len(), frames.len());
            return Err(format!("{decoder} has read {read} packets of {all}").into());
        }
        for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            for what in differences(ours, theirs) {
                let class = Class {
                    decoder,
                    packet: ours.packet().to_owned(),
                    what,
                };
                let found = classes.entry(class).or_insert(Found { count: 0, at });
                found.count += 1;
            }
        }
    }

    let mut unexplained = 0;
    for (class, found) in &classes {
        let Class {
            decoder,
            packet,
            what,
        } = class;
        let why = explained.of(class);
        println!(
            "differ: {decoder} {packet} {what}: {} times, {}",
            found.count,
            why.unwrap_or("UNEXPLAINED")
        );
        if why.is_none() {
            unexplained += 1;
            println!("  bytes  {}", fields::hex(&frames[found.at]));
            println!("  ours   {}", ours[found.at]);
            for (_, readings) in decoders.iter().filter(|(name, _)| name == decoder) {
                match &readings[found.at] {
                    Ok(theirs) => println!("  theirs {theirs}"),
                    Err(error) => println!("  theirs {error}"),
                }
            }
        }
    }
    let idle = explained.idle(&classes);
    for row in &idle {
        println!("differ: no packet needs the row {row}");
    }
    // Of fewer packets, or others, some need not meet what is rare.
    let is_whole = frames.len() >= WHOLE.0 && seed == WHOLE.1;
    let too_many = if is_whole { idle.len() } else { 0 };
    let disagreements: usize = classes.values().map(|found| found.count).sum();
    println!(
        "differ: {} packets, {} decoders, {disagreements} disagreements, {}",
        frames.len(),
        decoders.len(),
        match (unexplained, too_many) {
            (0, 0) => "all explained".to_owned(),
            (0, n) => format!("{n} rows explain nothing"),
            (n, _) => format!("{n} kinds of them unexplained"),
        }
    );
    Ok(unexplained == 0 && too_many == 0)
}

/// Disagreements that are alike.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Class<'a> {
    decoder: &'a str,
    packet: String,
    what: String,
}

/// How often, and the first packet of them.
struct Found {
    count: usize,
    at: usize,
}

/// What is read differently: names of fields, or why it is refused.
fn differences(ours: &Fields, theirs: &Reading) -> Vec<String> {
    match theirs {
        Ok(theirs) => ours.differences(theirs),
        Err(error) => vec![error.clone()],
    }
}

/// So many packets of all types in turn, encoded.
fn generate(packets: usize, seed: u64) -> Result<Vec<Vec<u8>>> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let strategies = generate::each_packet();
    let mut frames = Vec::with_capacity(packets);
    for strategy in strategies.iter().cycle().take(packets) {
        let packet = strategy
            .new_tree(&mut runner)
            .map_err(|why| why.to_string())?
            .current();
        let mut out = EncodeBuf::new();
        packet.encode(&mut out)?;
        frames.push(out.into_bytes().to_vec());
    }
    Ok(frames)
}

fn ours(frame: &[u8]) -> Result<Fields> {
    Ok(Fields::of(&decode(frame)?))
}

fn decode(frame: &[u8]) -> Result<Packet> {
    let mut bytes = BytesMut::from(frame);
    let packet = ohmqtt_codec::decode(&mut bytes, &Limits::default())?;
    match packet {
        Some(packet) if bytes.is_empty() => Ok(packet),
        _ => Err("not one whole packet".into()),
    }
}
