//! Runs one target over files: `replay TARGET FILE...`. With `OHMQTT_FUZZ_TRACE` set, the targets of the sessions tell each step.

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let target = args.next().unwrap_or_default();
    for path in args {
        ohmqtt_fuzz::run(&target, &std::fs::read(&path)?);
        println!("{path}: ok");
    }
    Ok(())
}
