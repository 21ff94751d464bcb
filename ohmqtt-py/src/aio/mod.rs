//! The native half of `ohmqtt.aio`: the async client, on whatever event loop.
//!
//! The rules are the client's. Here is how its futures meet a loop of Python's (`port`, `waker`), and what its values look
//! like there.

mod client;
mod events;
mod port;
mod publication;
mod publish;
mod subscription;
mod waker;

pub(crate) use client::{AioClient, AioOptions};
pub(crate) use events::AioEvents;
pub(crate) use port::{AioOperation, AioPort};
pub(crate) use publication::{Acknowledgement, AioPublication};
pub(crate) use publish::aio_reply;
pub(crate) use subscription::{AioSubscription, AioUnclaimed};
