//! The client against brokers: scripted ones, the embedded one, and a real Mosquitto.

mod acknowledge;
mod auth;
mod backpressure;
mod bad_input;
mod blocking;
mod callback;
mod cancel;
mod close;
mod deadlock;
mod events;
mod every;
mod examples;
mod health;
mod inbox;
mod manual;
#[cfg(unix)]
mod mosquitto;
mod overload;
mod own_transport;
mod parking;
#[cfg(all(feature = "http-proxy", feature = "socks5"))]
mod proxy;
mod publish;
mod publish_all;
mod quickstart;
mod reconnect;
mod request;
mod secrets;
#[cfg(feature = "tls")]
mod secure;
mod servers;
mod store;
mod subscribe;
mod support;
mod watch;
