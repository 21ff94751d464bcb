//! The command as people have it: run as a process, against brokers of ours and of others.

mod benching;
mod beside;
mod brokering;
mod checking;
mod configuring;
mod connecting;
mod errors;
mod publishing;
mod requesting;
mod secrets;
mod subscribing;
mod support;
