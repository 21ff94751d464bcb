//! The broker as scripted clients see it: raw packets over TCP.

mod bounds;
mod client;
mod connecting;
mod disk;
mod examples;
mod forwarding;
mod lifecycle;
mod operation;
mod persistence;
mod qos;
mod retained;
mod sessions;
mod shared;
mod storing;
mod subscriptions;
mod violations;
mod wills;
