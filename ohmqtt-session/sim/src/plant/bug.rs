//! The bugs that can be planted, and what each does wrong.

use std::fmt;

use crate::side::Side;
use crate::trace::Failure;

macro_rules! bugs {
    ($($bug:ident: $sentence:literal => $shows:literal,)*) => {
        /// A bug that can be planted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug {
            $(#[doc = $sentence] $bug,)*
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$bug,)*];

            /// Whether this failure is what the bug does, and not something that came of it before.
            pub fn shows_in(self, failure: &Failure) -> bool {
                failure.0.contains(match self {
                    $(Self::$bug => $shows,)*
                })
            }
        }

        impl fmt::Display for Bug {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$bug => $sentence,)*
                })
            }
        }
    };
}

bugs! {
    DupNotSet: "what goes again has DUP 0" => "goes again with DUP 0",
    PublishBeforeRecord: "PUBLISH before its message is stored" => "goes before its record is stored",
    PubrecBeforeRecord: "PUBREC before the identifier is stored" => "PUBREC id",
    PubrecWithoutRecord: "PUBREC for an identifier that is never stored" => "PUBREC id",
    PubrelBeforeRecord: "PUBREL before the release is stored" => "PUBREL id",
    PubcompBeforeDeletion: "PUBCOMP before the identifier is deleted" => "before its store has let it go",
    IdReused: "a new message under an identifier that is in use" => "which is in use",
    QuotaOffByOne: "one message more than the Receive Maximum" => "and the Receive Maximum is",
    PacketSizeIgnored: "packets larger than the Maximum Packet Size" => "bytes and the other side accepts",
    Qos2DeliveredTwice: "a repeated QoS 2 message is delivered again" => "at QoS 2 is delivered twice",
    ResentOutOfOrder: "what goes again changes places" => " after #",
    AcksOutOfOrder: "PUBACKs change places" => "comes next",
    PubrelNotResent: "PUBREL is not sent again on a new connection" => "stuck",
    PublishedAfterPubrec: "PUBLISH again in place of PUBREL on a new connection" => "goes again after its PUBREC",
    AckForgotten: "a PUBACK or PUBCOMP is lost on its way in" => "stuck",
    DroppedAtReconnect: "a message that should go again does not" => "stuck",
    DeletedBeforeAck: "the record of a message is deleted when it is written" => "is deleted before it is acknowledged",
    SessionKept: "the session goes on although the server has none" => "the unknown id",
    AliasKept: "topic aliases outlive their connection" => "stands for nothing on this connection",
    BehindDisconnect: "a packet behind DISCONNECT" => "after its last packet",
    PingStorm: "two PINGREQs for one" => "PINGREQ number",
    PingForgotten: "no PINGREQ" => "is to send by",
    RestoredAsNew: "a message read back from the store goes as a new one" => "goes again",
    ReleaseForgotten: "a release is not read back from the store" => "the store of the",
    DroppedInVain: "an outbox that is not full drops messages" => "without need",
    NewestDropped: "the oldest message is dropped, though it is the newest on its topic" => "is the newest on its topic",
    OldestKept: "a message is dropped that is not the oldest" => "is older",
    DeadlineIgnored: "a deadline that is not heeded" => "missed its deadline",
    LossUntold: "a message that is given up, and nobody is told" => "before it is acknowledged",
    BacklogStale: "where the backlog begins is written once" => "its identifier is not read back",
    LoadCutShort: "of a stretch that is read the last message is left out" => "stuck",
    PayloadKept: "payloads that are stored stay in memory" => "payloads in memory",
    ReceivedForgotten: "a received identifier is not read back from the store" => "at QoS 2 is delivered twice",
    ReadinessIgnored: "packets are read though the session takes none" => "finds fault with the server",
    AbandonedKept: "the session does not hear that a message is abandoned" => "stuck",
    AbandonedAcknowledged: "a message that is abandoned is acknowledged" => "has abandoned it",
}

impl Bug {
    /// The side that it can stand at, if not both.
    pub(super) fn side(self) -> Option<Side> {
        match self {
            Self::SessionKept
            | Self::PingStorm
            | Self::PingForgotten
            | Self::ReadinessIgnored
            | Self::AbandonedKept
            | Self::AbandonedAcknowledged => Some(Side::Client),
            _ => None,
        }
    }
}
