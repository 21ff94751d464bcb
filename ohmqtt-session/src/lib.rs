//! The rules of MQTT 5.0 as sans-IO state machines, for the client and for the server.
