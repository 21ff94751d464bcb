//! What the tests speak through: a scripted peer for one session, and a pair of sessions joined by bytes. The time, the store and the
//! order of things are the test's own.

mod brief;
mod make;
mod pair;
mod script;
mod side;
mod store;

pub(crate) use brief::{brief, briefs};
pub(crate) use make::*;
pub(crate) use pair::{From, Pair};
pub(crate) use script::Script;
pub(crate) use side::Side;
pub(crate) use store::Store;
