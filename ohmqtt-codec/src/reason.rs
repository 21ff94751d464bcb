//! Reason codes (section 2.4): one table, and what it says about each code.

use core::fmt;

use crate::packet::PacketType;

macro_rules! reason_codes {
    ($($(#[$doc:meta])* $code:literal $variant:ident $name:literal [$($packet:ident)*];)*) => {
        /// How an operation ended: below 0x80 well, from 0x80 on with an error.
        ///
        /// [Section 2.4](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901031)
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum ReasonCode {
            $($(#[$doc])* $variant = $code,)*
        }

        impl ReasonCode {
            /// Every reason code, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name the specification gives it; of 0x00 `Success`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        /// By code: its variant and the packets it may stand in, as bits by packet type.
        static TABLE: [Option<(ReasonCode, u16)>; 0xA3] = {
            let mut table = [None; 0xA3];
            $(table[$code] = Some((ReasonCode::$variant, 0 $(| 1 << PacketType::$packet as u16)*));)*
            table
        };
    };
}

reason_codes! {
    /// Done as asked. In a DISCONNECT `Normal disconnection`, in a SUBACK `Granted QoS 0`.
    0x00 Success "Success" [ConnAck PubAck PubRec PubRel PubComp SubAck UnsubAck Disconnect Auth];
    /// Subscribed at QoS 1 at most.
    0x01 GrantedQos1 "Granted QoS 1" [SubAck];
    /// Subscribed at QoS 2 at most.
    0x02 GrantedQos2 "Granted QoS 2" [SubAck];
    /// The client disconnects and wants its Will Message published.
    0x04 DisconnectWithWillMessage "Disconnect with Will Message" [Disconnect];
    /// The message was taken, nobody is subscribed to its topic.
    0x10 NoMatchingSubscribers "No matching subscribers" [PubAck PubRec];
    /// There was no such subscription.
    0x11 NoSubscriptionExisted "No subscription existed" [UnsubAck];
    /// One more step of authentication follows.
    0x18 ContinueAuthentication "Continue authentication" [Auth];
    /// The client starts a re-authentication.
    0x19 ReAuthenticate "Re-authenticate" [Auth];
    /// The sender does not tell why, or no other code fits.
    0x80 UnspecifiedError "Unspecified error" [ConnAck PubAck PubRec SubAck UnsubAck Disconnect];
    /// The packet cannot be parsed.
    0x81 MalformedPacket "Malformed Packet" [ConnAck Disconnect];
    /// The packet can be parsed and is not allowed.
    0x82 ProtocolError "Protocol Error" [ConnAck Disconnect];
    /// Valid, and not accepted by this implementation.
    0x83 ImplementationSpecificError "Implementation specific error" [ConnAck PubAck PubRec SubAck UnsubAck Disconnect];
    /// The server does not speak this version.
    0x84 UnsupportedProtocolVersion "Unsupported Protocol Version" [ConnAck];
    /// A valid client identifier the server does not allow.
    0x85 ClientIdentifierNotValid "Client Identifier not valid" [ConnAck];
    /// The server does not accept the user name or the password.
    0x86 BadUserNameOrPassword "Bad User Name or Password" [ConnAck];
    /// Not allowed to do this.
    0x87 NotAuthorized "Not authorized" [ConnAck PubAck PubRec SubAck UnsubAck Disconnect];
    /// The server is not available.
    0x88 ServerUnavailable "Server unavailable" [ConnAck];
    /// The server is busy: try again later.
    0x89 ServerBusy "Server busy" [ConnAck Disconnect];
    /// This client is banned.
    0x8A Banned "Banned" [ConnAck];
    /// The server is shutting down.
    0x8B ServerShuttingDown "Server shutting down" [Disconnect];
    /// The authentication method is not supported, or not the one in use.
    0x8C BadAuthenticationMethod "Bad authentication method" [ConnAck Disconnect];
    /// Nothing was received for one and a half times the Keep Alive.
    0x8D KeepAliveTimeout "Keep Alive timeout" [Disconnect];
    /// Another connection with this client identifier came.
    0x8E SessionTakenOver "Session taken over" [Disconnect];
    /// A topic filter that is not accepted.
    0x8F TopicFilterInvalid "Topic Filter invalid" [SubAck UnsubAck Disconnect];
    /// A topic name that is not accepted.
    0x90 TopicNameInvalid "Topic Name invalid" [ConnAck PubAck PubRec Disconnect];
    /// The packet identifier is in use: the two sides' sessions differ.
    0x91 PacketIdentifierInUse "Packet Identifier in use" [PubAck PubRec SubAck UnsubAck];
    /// The packet identifier is not known: the two sides' sessions may differ.
    0x92 PacketIdentifierNotFound "Packet Identifier not found" [PubRel PubComp];
    /// More messages are unacknowledged than Receive Maximum allows.
    0x93 ReceiveMaximumExceeded "Receive Maximum exceeded" [Disconnect];
    /// The topic alias is 0 or over the maximum.
    0x94 TopicAliasInvalid "Topic Alias invalid" [Disconnect];
    /// The packet is over the Maximum Packet Size.
    0x95 PacketTooLarge "Packet too large" [ConnAck Disconnect];
    /// Data comes too fast.
    0x96 MessageRateTooHigh "Message rate too high" [Disconnect];
    /// A limit set by the implementation or an administrator is reached.
    0x97 QuotaExceeded "Quota exceeded" [ConnAck PubAck PubRec SubAck Disconnect];
    /// An administrator ended it.
    0x98 AdministrativeAction "Administrative action" [Disconnect];
    /// The payload is not what its Payload Format Indicator says.
    0x99 PayloadFormatInvalid "Payload format invalid" [ConnAck PubAck PubRec Disconnect];
    /// The server does not retain messages.
    0x9A RetainNotSupported "Retain not supported" [ConnAck Disconnect];
    /// The server does not support this QoS.
    0x9B QosNotSupported "QoS not supported" [ConnAck Disconnect];
    /// Use another server, for now.
    0x9C UseAnotherServer "Use another server" [ConnAck Disconnect];
    /// Use another server, from now on.
    0x9D ServerMoved "Server moved" [ConnAck Disconnect];
    /// The server has no shared subscriptions.
    0x9E SharedSubscriptionsNotSupported "Shared Subscriptions not supported" [SubAck Disconnect];
    /// Connections come too fast.
    0x9F ConnectionRateExceeded "Connection rate exceeded" [ConnAck Disconnect];
    /// The time allowed for this connection is over.
    0xA0 MaximumConnectTime "Maximum connect time" [Disconnect];
    /// The server has no subscription identifiers.
    0xA1 SubscriptionIdentifiersNotSupported "Subscription Identifiers not supported" [SubAck Disconnect];
    /// The server has no subscriptions with wildcards.
    0xA2 WildcardSubscriptionsNotSupported "Wildcard Subscriptions not supported" [SubAck Disconnect];
}

impl ReasonCode {
    /// What 0x00 is called in a DISCONNECT.
    pub const NORMAL_DISCONNECTION: Self = Self::Success;
    /// What 0x00 is called in a SUBACK.
    pub const GRANTED_QOS_0: Self = Self::Success;

    /// Does it tell of a failure? So do all codes from 0x80 on.
    pub const fn is_error(self) -> bool {
        self as u8 >= 0x80
    }

    /// May it stand in this packet? 0x8C may stand in DISCONNECT, by table 2-6, which section 3.14.2.1 forgets.
    pub fn allowed_in(self, packet: PacketType) -> bool {
        matches!(TABLE.get(usize::from(self as u8)), Some(Some((_, packets))) if packets & 1 << packet as u16 != 0)
    }
}

impl From<ReasonCode> for u8 {
    fn from(reason: ReasonCode) -> Self {
        reason as u8
    }
}

/// The error of making a [`ReasonCode`] from a number that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("reason code {0:#04x} is not defined: see section 2.4 of MQTT 5.0 for those that are")]
pub struct UndefinedReasonCode(pub u8);

impl TryFrom<u8> for ReasonCode {
    type Error = UndefinedReasonCode;

    fn try_from(code: u8) -> Result<Self, UndefinedReasonCode> {
        match TABLE.get(usize::from(code)) {
            Some(&Some((reason, _))) => Ok(reason),
            _ => Err(UndefinedReasonCode(code)),
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (0x{:02X})", self.name(), *self as u8)
    }
}
