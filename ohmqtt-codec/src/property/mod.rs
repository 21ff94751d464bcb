//! Properties (section 2.2.2): one table of 27, and one type per packet that holds its block of them.
//!
//! A block is kept as its validated wire bytes, in their order, and read on demand: `table` is the data and what it
//! stamps, `check` the one validating pass, `block` reading and changing, `value` all properties alike. Whether a property's value suits the
//! connection's state (an alias over the maximum, an authentication method that changed) is the session's to say.

mod block;
mod check;
mod place;
mod special;
mod table;
mod value;

pub use place::{
    AckProperties, AuthProperties, ConnAckProperties, ConnectProperties, DisconnectProperties,
    PublishProperties, SubAckProperties, SubscribeProperties, UnsubscribeProperties,
    WillProperties,
};
pub use table::PropertyId;
pub use value::{InvalidProperties, PropertyType, PropertyValue};

pub(crate) use block::Block;
pub(crate) use check::PropertyFault;
pub(crate) use place::Place;
