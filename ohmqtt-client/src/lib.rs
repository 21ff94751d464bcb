//! An MQTT 5.0 client whose messages arrive: async and blocking.
