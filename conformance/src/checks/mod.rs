//! All checks, a file for each part of the protocol.

mod acknowledging;
mod authenticating;
mod connect_form;
mod connecting;
mod ending;
mod flags;
mod flow;
mod forwarding;
mod limited;
mod limits;
mod properties;
mod publish_form;
mod qos;
mod resuming;
mod retained;
mod sessions;
mod shared;
mod subscribe_form;
mod subscribing;
mod time;
mod topics;
mod websocket;
mod wills;

use crate::check::Check;

/// All checks; those that wait for time to pass come first.
pub(crate) fn all() -> Vec<Check> {
    [
        time::CHECKS,
        wills::CHECKS,
        acknowledging::CHECKS,
        authenticating::CHECKS,
        connect_form::CHECKS,
        connecting::CHECKS,
        ending::CHECKS,
        flags::CHECKS,
        flow::CHECKS,
        forwarding::CHECKS,
        limited::CHECKS,
        limits::CHECKS,
        properties::CHECKS,
        publish_form::CHECKS,
        qos::CHECKS,
        resuming::CHECKS,
        retained::CHECKS,
        sessions::CHECKS,
        shared::CHECKS,
        subscribe_form::CHECKS,
        subscribing::CHECKS,
        topics::CHECKS,
        websocket::CHECKS,
    ]
    .concat()
}
