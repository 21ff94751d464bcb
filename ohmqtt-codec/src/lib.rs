//! MQTT 5.0 packets to bytes and back: strict, zero-copy, no_std.
