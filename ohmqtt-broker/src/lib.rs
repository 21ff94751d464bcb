//! A small embeddable MQTT 5.0 broker for tests, development and small sites.
