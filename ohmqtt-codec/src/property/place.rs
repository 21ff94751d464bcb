//! The places properties stand in: a type for each, so that a misplaced property does not compile.

use core::fmt;

use bytes::Bytes;

use super::PropertyId;
use super::block::Block;
use super::check::PropertyFault;
use crate::error::Fault;

/// Where a block stands. The four acks have one place, and so have SUBACK and UNSUBACK: the table allows them the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Place {
    Connect,
    Will,
    ConnAck,
    Publish,
    Ack,
    Subscribe,
    SubAck,
    Unsubscribe,
    Disconnect,
    Auth,
}

impl Place {
    pub(crate) const fn bit(self) -> u16 {
        1 << self as u8
    }

    /// What the block is called in an error.
    pub(crate) fn field(self) -> &'static str {
        if matches!(self, Self::Will) {
            "will properties"
        } else {
            "properties"
        }
    }

    /// May there be no property?
    #[inline]
    pub(crate) fn may_be_empty(self) -> bool {
        self != Self::Auth
    }

    /// Refuses Authentication Data without a method, and an AUTH without one. `seen` has a bit for each property.
    #[inline]
    pub(crate) fn check_authentication(self, seen: u64) -> Result<(), PropertyFault> {
        let method = PropertyId::AuthenticationMethod;
        let has = |id: PropertyId| seen & 1 << id as u8 != 0;
        if (matches!(self, Self::Auth) || has(PropertyId::AuthenticationData)) && !has(method) {
            return Err((method.name(), Fault::NoAuthenticationMethod));
        }
        Ok(())
    }
}

macro_rules! places {
    ($($(#[$doc:meta])* $name:ident $place:ident;)*) => {
        $(
            $(#[$doc])*
            ///
            /// Kept as wire bytes in their order; a decoded block is a slice of its read chunk. A read looks through the
            /// block; setting replaces.
            #[derive(Clone, Default, PartialEq, Eq)]
            pub struct $name(pub(super) Block);

            impl $name {
                pub(crate) const PLACE: Place = Place::$place;

                /// Wraps bytes that were checked for this place.
                pub(crate) fn trusted(bytes: Bytes) -> Self {
                    Self(Block::trusted(bytes))
                }

                pub(crate) fn block(&self) -> &Block {
                    &self.0
                }

                /// Is there no property?
                #[inline]
                pub fn is_empty(&self) -> bool {
                    self.0.as_bytes().is_empty()
                }

                /// The properties as on the wire, without the length before them.
                pub fn as_bytes(&self) -> &[u8] {
                    self.0.as_bytes()
                }

                /// Their length on the wire in bytes, with the length before them.
                #[inline]
                pub fn wire_len(&self) -> usize {
                    self.0.wire_len()
                }

                /// The same properties in memory of their own, no longer in the read chunk they came in.
                #[must_use]
                #[inline]
                pub fn detached(self) -> Self {
                    Self(self.0.detached())
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.0.fmt_as(stringify!($name), f)
                }
            }
        )*
    };
}

places! {
    /// The properties of a CONNECT, those of its will apart.
    ConnectProperties Connect;
    /// The properties of a will; with those of a PUBLISH they go out with the Will Message.
    WillProperties Will;
    /// The properties of a CONNACK.
    ConnAckProperties ConnAck;
    /// The properties of a PUBLISH.
    PublishProperties Publish;
    /// The properties of a PUBACK, PUBREC, PUBREL or PUBCOMP.
    AckProperties Ack;
    /// The properties of a SUBSCRIBE.
    SubscribeProperties Subscribe;
    /// The properties of a SUBACK or UNSUBACK.
    SubAckProperties SubAck;
    /// The properties of an UNSUBSCRIBE.
    UnsubscribeProperties Unsubscribe;
    /// The properties of a DISCONNECT.
    DisconnectProperties Disconnect;
    /// The properties of an AUTH.
    AuthProperties Auth;
}
