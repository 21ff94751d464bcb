"""MQTT 5 on a Rust engine.

`ohmqtt.codec` makes bytes of packets, and packets of bytes; `ohmqtt.sansio` has sessions without I/O;
`ohmqtt.broker` is a broker in the process.
"""
