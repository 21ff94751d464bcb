//! Ordered byte streams for MQTT: connecting, listening, URLs.
