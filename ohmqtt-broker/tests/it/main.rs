//! The broker as scripted clients see it: raw packets over TCP.

mod bounds;
mod client;
mod connecting;
mod examples;
mod forwarding;
mod lifecycle;
mod qos;
mod retained;
mod sessions;
mod shared;
mod subscriptions;
mod violations;
mod wills;
