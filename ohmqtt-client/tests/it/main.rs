//! The client against brokers: scripted ones, the embedded one, and a real Mosquitto.

#[cfg(unix)]
mod mosquitto;
mod support;
