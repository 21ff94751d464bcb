//! The fifteen packets: the enum, the fixed header's flags, and which file has which body.
//!
//! Fields are public. What no field type can hold by itself (QoS with its packet identifier, a list that is never
//! empty) is one enum or constructor. Whether a packet is allowed now, from this side, is the session's to say.

mod ack;
mod auth;
mod connack;
mod connect;
mod disconnect;
mod filters;
mod publish;
mod publish_ref;
mod suback;
mod subscribe;
mod unsubscribe;

use core::fmt;

use bytes::{Bytes, BytesMut};

use crate::encode_buf::{EncodeBuf, TooLarge};
use crate::error::{DecodeError, Fault};
use crate::reader::Reader;
use crate::wire::varint_len;

pub use ack::Ack;
pub use auth::Auth;
pub use connack::ConnAck;
pub use connect::{Connect, Will};
pub use disconnect::Disconnect;
pub use filters::{Filters, RetainHandling, SubscriptionOptions, UnsubscribeFilters};
pub use publish::{Delivery, Publish, PublishTopic};
pub use publish_ref::PublishRef;
pub use suback::{ReasonCodes, SubAck};
pub use subscribe::Subscribe;
pub use unsubscribe::Unsubscribe;

pub(crate) use ack::take_shortest as take_shortest_ack;

/// An MQTT control packet.
///
/// [Section 2](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901019)
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// A client asks for a session.
    Connect(alloc::boxed::Box<Connect>),
    /// The answer to a CONNECT.
    ConnAck(alloc::boxed::Box<ConnAck>),
    /// A message.
    Publish(Publish),
    /// The end of a QoS 1 delivery.
    PubAck(Ack),
    /// Step two of a QoS 2 delivery.
    PubRec(Ack),
    /// Step three of a QoS 2 delivery.
    PubRel(Ack),
    /// The end of a QoS 2 delivery.
    PubComp(Ack),
    /// A client subscribes.
    Subscribe(Subscribe),
    /// The answer to a SUBSCRIBE.
    SubAck(SubAck),
    /// A client ends subscriptions.
    Unsubscribe(Unsubscribe),
    /// The answer to an UNSUBSCRIBE.
    UnsubAck(SubAck),
    /// Are you there?
    PingReq,
    /// I am.
    PingResp,
    /// The connection's last packet.
    Disconnect(Disconnect),
    /// A step of enhanced authentication.
    Auth(Auth),
}

/// Encodes what a [`Packet`] or [`PacketRef`] has.
macro_rules! encode_each {
    ($of:ident, $packet:expr, $out:expr) => {
        match $packet {
            $of::Connect(packet) => packet.encode(0x10, $out),
            $of::ConnAck(packet) => packet.encode(0x20, $out),
            $of::Publish(packet) => packet.encode(0x30, $out),
            $of::PubAck(packet) => packet.encode(0x40, $out),
            $of::PubRec(packet) => packet.encode(0x50, $out),
            // [MQTT-3.6.1-1] PUBREL, [MQTT-3.8.1-1] SUBSCRIBE and [MQTT-3.10.1-1] UNSUBSCRIBE have the flags 0010.
            $of::PubRel(packet) => packet.encode(0x62, $out),
            $of::PubComp(packet) => packet.encode(0x70, $out),
            $of::Subscribe(packet) => packet.encode(0x82, $out),
            $of::SubAck(packet) => packet.encode(0x90, $out),
            $of::Unsubscribe(packet) => packet.encode(0xA2, $out),
            $of::UnsubAck(packet) => packet.encode(0xB0, $out),
            $of::PingReq => $out.begin(0xC0, 0, 0).map(drop),
            $of::PingResp => $out.begin(0xD0, 0, 0).map(drop),
            $of::Disconnect(packet) => packet.encode(0xE0, $out),
            $of::Auth(packet) => packet.encode(0xF0, $out),
        }
    };
}

impl Packet {
    /// Writes the packet in its shortest form at the end of `out`.
    ///
    /// # Errors
    /// [`TooLarge`] when the body has more than 268,435,455 bytes; `out` is as it was.
    pub fn encode(&self, out: &mut EncodeBuf) -> Result<(), TooLarge> {
        encode_each!(Self, self, out)
    }

    /// How many bytes [`encode`](Self::encode) writes, fixed header included. A size no packet can have is over
    /// 268,435,460.
    pub fn encoded_len(&self) -> usize {
        with_header(match self {
            Self::Connect(packet) => packet.body_len(),
            Self::ConnAck(packet) => packet.body_len(),
            Self::Publish(packet) => packet.body_len(),
            Self::PubAck(packet)
            | Self::PubRec(packet)
            | Self::PubRel(packet)
            | Self::PubComp(packet) => packet.body_len(),
            Self::Subscribe(packet) => packet.body_len(),
            Self::Unsubscribe(packet) => packet.body_len(),
            Self::SubAck(packet) | Self::UnsubAck(packet) => packet.body_len(),
            Self::PingReq | Self::PingResp => 0,
            Self::Disconnect(packet) => packet.body_len(),
            Self::Auth(packet) => packet.body_len(),
        })
    }

    /// Which packet it is.
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel(_) => PacketType::PubRel,
            Self::PubComp(_) => PacketType::PubComp,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect(_) => PacketType::Disconnect,
            Self::Auth(_) => PacketType::Auth,
        }
    }
}

/// A packet by reference, to be encoded by those who have its parts: `PacketRef::Publish(&publish)`.
#[derive(Debug, Clone, Copy)]
pub enum PacketRef<'a> {
    /// As [`Packet::Connect`].
    Connect(&'a Connect),
    /// As [`Packet::ConnAck`].
    ConnAck(&'a ConnAck),
    /// As [`Packet::Publish`].
    Publish(&'a Publish),
    /// As [`Packet::PubAck`].
    PubAck(&'a Ack),
    /// As [`Packet::PubRec`].
    PubRec(&'a Ack),
    /// As [`Packet::PubRel`].
    PubRel(&'a Ack),
    /// As [`Packet::PubComp`].
    PubComp(&'a Ack),
    /// As [`Packet::Subscribe`].
    Subscribe(&'a Subscribe),
    /// As [`Packet::SubAck`].
    SubAck(&'a SubAck),
    /// As [`Packet::Unsubscribe`].
    Unsubscribe(&'a Unsubscribe),
    /// As [`Packet::UnsubAck`].
    UnsubAck(&'a SubAck),
    /// As [`Packet::PingReq`].
    PingReq,
    /// As [`Packet::PingResp`].
    PingResp,
    /// As [`Packet::Disconnect`].
    Disconnect(&'a Disconnect),
    /// As [`Packet::Auth`].
    Auth(&'a Auth),
}

impl PacketRef<'_> {
    /// As [`Packet::encode`].
    ///
    /// # Errors
    /// As there.
    pub fn encode(&self, out: &mut EncodeBuf) -> Result<(), TooLarge> {
        encode_each!(Self, self, out)
    }
}

impl<'a> From<&'a Packet> for PacketRef<'a> {
    fn from(packet: &'a Packet) -> Self {
        match packet {
            Packet::Connect(packet) => Self::Connect(packet),
            Packet::ConnAck(packet) => Self::ConnAck(packet),
            Packet::Publish(packet) => Self::Publish(packet),
            Packet::PubAck(packet) => Self::PubAck(packet),
            Packet::PubRec(packet) => Self::PubRec(packet),
            Packet::PubRel(packet) => Self::PubRel(packet),
            Packet::PubComp(packet) => Self::PubComp(packet),
            Packet::Subscribe(packet) => Self::Subscribe(packet),
            Packet::SubAck(packet) => Self::SubAck(packet),
            Packet::Unsubscribe(packet) => Self::Unsubscribe(packet),
            Packet::UnsubAck(packet) => Self::UnsubAck(packet),
            Packet::PingReq => Self::PingReq,
            Packet::PingResp => Self::PingResp,
            Packet::Disconnect(packet) => Self::Disconnect(packet),
            Packet::Auth(packet) => Self::Auth(packet),
        }
    }
}

/// The length of a packet with this body.
fn with_header(body: usize) -> usize {
    body.saturating_add(1 + varint_len(body))
}

/// Takes a packet of `size` bytes, `header` of them its fixed header, off `buf`, which has them all.
#[inline]
pub(crate) fn take(
    buf: &mut BytesMut,
    packet: PacketType,
    flags: u8,
    header: usize,
    size: usize,
) -> Result<Option<Packet>, DecodeError> {
    match packet {
        PacketType::Publish => publish::take(buf, flags, header, size),
        _ => take_frame(buf, packet, header, size),
    }
}

/// As [`take`], for packets that are shared first and read then. Apart, to keep the way of a PUBLISH short.
#[inline(never)]
fn take_frame(
    buf: &mut BytesMut,
    packet: PacketType,
    header: usize,
    size: usize,
) -> Result<Option<Packet>, DecodeError> {
    let frame = buf.split_to(size).freeze();
    decode(packet, &frame, header).map(Some)
}

/// Decodes the packet `frame` after its fixed header of `header` bytes.
fn decode(packet: PacketType, frame: &Bytes, header: usize) -> Result<Packet, DecodeError> {
    let reader = &mut Reader::new(packet, frame.get(header..).unwrap_or_default());
    let decoded = match packet {
        PacketType::Connect => Packet::Connect(connect::decode(reader, frame)?.into()),
        PacketType::ConnAck => Packet::ConnAck(connack::decode(reader, frame)?.into()),
        PacketType::PubAck => Packet::PubAck(ack::decode(reader, frame)?),
        PacketType::PubRec => Packet::PubRec(ack::decode(reader, frame)?),
        PacketType::PubRel => Packet::PubRel(ack::decode(reader, frame)?),
        PacketType::PubComp => Packet::PubComp(ack::decode(reader, frame)?),
        PacketType::Subscribe => Packet::Subscribe(subscribe::decode(reader, frame)?),
        PacketType::SubAck => Packet::SubAck(suback::decode(reader, frame)?),
        PacketType::Unsubscribe => Packet::Unsubscribe(unsubscribe::decode(reader, frame)?),
        PacketType::UnsubAck => Packet::UnsubAck(suback::decode(reader, frame)?),
        PacketType::PingReq => Packet::PingReq,
        PacketType::PingResp => Packet::PingResp,
        PacketType::Disconnect => Packet::Disconnect(disconnect::decode(reader, frame)?),
        PacketType::Auth => Packet::Auth(auth::decode(reader, frame)?),
        // `take` has it.
        PacketType::Publish => return Err(reader.fail("packet type", Fault::ReservedType)),
    };
    reader.finish()?;
    Ok(decoded)
}

macro_rules! packet_types {
    ($($(#[$doc:meta])* $variant:ident = $number:literal $name:literal $flags:literal;)*) => {
        /// The type of a packet, 1 to 15.
        ///
        /// [Section 2.1.2](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901022)
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum PacketType {
            $($(#[$doc])* $variant = $number,)*
        }

        impl PacketType {
            /// Every packet type, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The type of this number; 0 is of none, and larger numbers are.
            pub(crate) const fn of(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Its name, as the specification writes it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            const fn fixed_flags(self) -> u8 {
                match self {
                    $(Self::$variant => $flags,)*
                }
            }
        }
    };
}

packet_types! {
    /// CONNECT
    Connect = 1 "CONNECT" 0;
    /// CONNACK
    ConnAck = 2 "CONNACK" 0;
    /// PUBLISH
    Publish = 3 "PUBLISH" 0;
    /// PUBACK
    PubAck = 4 "PUBACK" 0;
    /// PUBREC
    PubRec = 5 "PUBREC" 0;
    /// PUBREL
    PubRel = 6 "PUBREL" 2;
    /// PUBCOMP
    PubComp = 7 "PUBCOMP" 0;
    /// SUBSCRIBE
    Subscribe = 8 "SUBSCRIBE" 2;
    /// SUBACK
    SubAck = 9 "SUBACK" 0;
    /// UNSUBSCRIBE
    Unsubscribe = 10 "UNSUBSCRIBE" 2;
    /// UNSUBACK
    UnsubAck = 11 "UNSUBACK" 0;
    /// PINGREQ
    PingReq = 12 "PINGREQ" 0;
    /// PINGRESP
    PingResp = 13 "PINGRESP" 0;
    /// DISCONNECT
    Disconnect = 14 "DISCONNECT" 0;
    /// AUTH
    Auth = 15 "AUTH" 0;
}

impl PacketType {
    /// Refuses flags of the fixed header, `flags` being its low four bits, that this packet cannot have.
    #[inline]
    pub(crate) fn check_flags(self, flags: u8) -> Result<(), Fault> {
        if self == Self::Publish {
            return publish::check_flags(flags);
        }
        // [MQTT-2.1.3-1] Reserved flags have the listed value: [MQTT-3.6.1-1] PUBREL, [MQTT-3.8.1-1] SUBSCRIBE,
        // [MQTT-3.10.1-1] UNSUBSCRIBE, [MQTT-3.14.1-1] DISCONNECT and [MQTT-3.15.1-1] AUTH among them.
        if flags == self.fixed_flags() {
            Ok(())
        } else {
            Err(Fault::Bits((self as u8) << 4 | flags))
        }
    }
}

impl fmt::Display for PacketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
