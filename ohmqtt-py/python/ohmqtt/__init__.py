"""MQTT 5 on a Rust engine.

`ohmqtt.codec` makes bytes of packets, and packets of bytes; `ohmqtt.broker` is a broker in the process.
"""
