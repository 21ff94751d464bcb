//! The client against brokers: scripted ones, the embedded one, and a real Mosquitto.

mod acknowledge;
mod backpressure;
mod bad_input;
mod blocking;
mod cancel;
mod close;
#[cfg(unix)]
mod mosquitto;
mod own_transport;
mod publish;
mod quickstart;
mod reconnect;
mod store;
mod subscribe;
mod support;
