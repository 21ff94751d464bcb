//! A client's session, pushed about. The body is in `bodies`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ohmqtt_fuzz::run("client", data));
