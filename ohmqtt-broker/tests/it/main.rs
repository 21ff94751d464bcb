//! The broker as scripted clients see it: raw packets over TCP.

mod client;
mod connecting;
mod qos;
