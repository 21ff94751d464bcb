//! The session's facts: each test names one. Both roles are driven by a scripted peer or by each other, with a clock and a store of the
//! test's own.

/// Runs a check of what both roles share for each of them.
macro_rules! both_roles {
    ($check:ident) => {
        $check::<ohmqtt_session::ClientSession>();
        $check::<ohmqtt_session::ServerSession>();
    };
}

mod abandon;
mod accept;
mod alias;
mod backlog;
mod connect;
mod crash;
mod deliver;
mod disconnect;
mod doubts;
mod driven;
mod durable;
mod excess;
mod facts;
mod found;
mod hostile;
mod ids;
mod keep_alive;
mod loss;
mod order;
mod outbox;
mod overflow;
mod peer;
mod qos;
mod quota;
mod random;
mod reconfigure;
mod resume;
mod subscribe;
mod violations;
mod will;
