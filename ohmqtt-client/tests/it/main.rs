//! The client against brokers: scripted ones, the embedded one, and a real Mosquitto.

mod bad_input;
#[cfg(unix)]
mod mosquitto;
mod publish;
mod quickstart;
mod reconnect;
mod subscribe;
mod support;
