//! WebSocket, both ends. The body is in `bodies`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ohmqtt_fuzz::run("websocket", data));
