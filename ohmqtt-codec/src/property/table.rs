//! The table of properties (table 2-4 of the specification) and what it stamps: identifiers, names, rules, accessors.
//!
//! A row is: identifier, variant, name, kind, the names of its accessors, and where it may stand. The oracle of the tests
//! is `spec/properties.tsv`, not this table.

use core::num::{NonZeroU16, NonZeroU32};

use super::block::{Kind, Rule, Value};
use super::place::{
    AckProperties, AuthProperties, ConnAckProperties, ConnectProperties, DisconnectProperties,
    Place, PublishProperties, SubAckProperties, SubscribeProperties, UnsubscribeProperties,
    WillProperties,
};
use crate::value::{Binary, MqttString, Qos, TopicAlias, TopicName};

macro_rules! properties {
    ($($id:literal $variant:ident $name:literal $kind:ident $methods:tt [$($place:ident)*] $doc:literal;)*) => {
        /// Which property: its identifier on the wire.
        ///
        /// [Section 2.2.2.2](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901029)
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum PropertyId {
            $(#[doc = $doc] $variant = $id,)*
        }

        impl PropertyId {
            /// Every property, in the order of the identifiers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name the specification gives it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        /// By identifier: the property and its rule.
        static RULES: [Option<Rule>; 0x2B] = {
            let mut rules = [None; 0x2B];
            $(rules[$id] = Some(Rule {
                id: PropertyId::$variant,
                kind: Kind::$kind,
                places: 0 $(| $place::PLACE.bit())*,
            });)*
            rules
        };

        $($(accessors! { $kind $place $variant $name $doc $methods })*)*
    };
}

/// The three accessors of one property in one place.
macro_rules! accessor {
    ($place:ident $variant:ident $name:literal $doc:literal ($get:ident $set:ident $remove:ident)
        $ty:ty, $arg:ty, |$block:ident| $read:expr, |$value:ident| $write:expr) => {
        impl $place {
            #[doc = concat!($name, ": ", $doc)]
            #[inline]
            pub fn $get(&self) -> Option<$ty> {
                let $block = self.0.find(PropertyId::$variant)?;
                $read
            }

            #[doc = concat!("Sets ", $name, ", in place of one that is there.")]
            pub fn $set(&mut self, $value: $arg) {
                self.0.set(PropertyId::$variant, $write);
            }

            #[doc = concat!("Removes ", $name, "; tells whether it was there.")]
            pub fn $remove(&mut self) -> bool {
                self.0.remove(PropertyId::$variant)
            }
        }
    };
}

/// What a property's kind makes of its row: how the value reads, and what it is set with.
macro_rules! accessors {
    (Flag $place:ident $variant:ident $name:literal $doc:literal $methods:tt) => {
        accessor! { $place $variant $name $doc $methods bool, bool,
            |value| Some(value.number() != 0), |value| Value::Byte(value.into()) }
    };
    (MaximumQos $place:ident $variant:ident $name:literal $doc:literal ($get:ident $set:ident $remove:ident)) => {
        impl $place {
            #[doc = concat!($name, ": ", $doc)]
            pub fn $get(&self) -> Option<Qos> {
                let number = self.0.find(PropertyId::$variant)?.number();
                Qos::try_from(u8::try_from(number).ok()?).ok()
            }

            #[doc = concat!("Sets ", $name, ", in place of one that is there; `ExactlyOnce` is its absence.")]
            pub fn $set(&mut self, value: Qos) {
                match value {
                    Qos::ExactlyOnce => drop(self.$remove()),
                    qos => self.0.set(PropertyId::$variant, Value::Byte(qos.into())),
                }
            }

            #[doc = concat!("Removes ", $name, "; tells whether it was there.")]
            pub fn $remove(&mut self) -> bool {
                self.0.remove(PropertyId::$variant)
            }
        }
    };
    (U16 $place:ident $variant:ident $name:literal $doc:literal $methods:tt) => {
        accessor! { $place $variant $name $doc $methods u16, u16,
            |value| value.number16(), |value| Value::U16(value) }
    };
    (NonZeroU16 $place:ident $variant:ident $name:literal $doc:literal $methods:tt) => {
        accessor! { $place $variant $name $doc $methods NonZeroU16, NonZeroU16,
            |value| NonZeroU16::new(value.number16()?), |value| Value::U16(value.get()) }
    };
    (TopicAlias $place:ident $variant:ident $name:literal $doc:literal $methods:tt) => {
        accessor! { $place $variant $name $doc $methods TopicAlias, TopicAlias,
            |value| TopicAlias::new(value.number16()?), |value| Value::U16(value.get()) }
    };
    (U32 $place:ident $variant:ident $name:literal $doc:literal $methods:tt) => {
        accessor! { $place $variant $name $doc $methods u32, u32,
            |value| Some(value.number()), |value| Value::U32(value) }
    };
    (NonZeroU32 $place:ident $variant:ident $name:literal $doc:literal $methods:tt) => {
        accessor! { $place $variant $name $doc $methods NonZeroU32, NonZeroU32,
            |value| NonZeroU32::new(value.number()), |value| Value::U32(value.get()) }
    };
    (Text $place:ident $variant:ident $name:literal $doc:literal $methods:tt) => {
        accessor! { $place $variant $name $doc $methods &str, &MqttString,
            |value| Some(value.text()), |value| Value::Prefixed(value.as_bytes()) }
    };
    (Topic $place:ident $variant:ident $name:literal $doc:literal $methods:tt) => {
        accessor! { $place $variant $name $doc $methods &str, &TopicName,
            |value| Some(value.text()), |value| Value::Prefixed(value.as_bytes()) }
    };
    (Binary $place:ident $variant:ident $name:literal $doc:literal $methods:tt) => {
        accessor! { $place $variant $name $doc $methods &[u8], &Binary,
            |value| Some(value.bytes()), |value| Value::Prefixed(value.as_bytes()) }
    };
    // Written out in `special`: these belong together, or repeat.
    (AuthMethod $($rest:tt)*) => {};
    (AuthData $($rest:tt)*) => {};
    (SubscriptionId $($rest:tt)*) => {};
    (Pair $($rest:tt)*) => {};
}

properties! {
    0x01 PayloadFormatIndicator "Payload Format Indicator" Flag
        (payload_format_indicator set_payload_format_indicator remove_payload_format_indicator)
        [PublishProperties WillProperties]
        "whether the payload is UTF-8 text (section 3.3.2.3.2). Absent: unspecified bytes.";
    0x02 MessageExpiryInterval "Message Expiry Interval" U32
        (message_expiry_interval set_message_expiry_interval remove_message_expiry_interval)
        [PublishProperties WillProperties]
        "how long the message lives, in seconds (section 3.3.2.3.3). Absent: for ever.";
    0x03 ContentType "Content Type" Text
        (content_type set_content_type remove_content_type)
        [PublishProperties WillProperties]
        "what the payload is, in the application's words, often a MIME type (section 3.3.2.3.9).";
    0x08 ResponseTopic "Response Topic" Topic
        (response_topic set_response_topic remove_response_topic)
        [PublishProperties WillProperties]
        "the topic name an answer should go to (section 3.3.2.3.5).";
    0x09 CorrelationData "Correlation Data" Binary
        (correlation_data set_correlation_data remove_correlation_data)
        [PublishProperties WillProperties]
        "what tells the requester which request an answer is for (section 3.3.2.3.6).";
    0x0B SubscriptionIdentifier "Subscription Identifier" SubscriptionId
        ()
        [PublishProperties SubscribeProperties]
        "the client's number for a subscription (sections 3.8.2.1.2 and 3.3.2.3.8).";
    0x11 SessionExpiryInterval "Session Expiry Interval" U32
        (session_expiry_interval set_session_expiry_interval remove_session_expiry_interval)
        [ConnectProperties ConnAckProperties DisconnectProperties]
        "how long the session outlives its connection, in seconds; 0xFFFFFFFF is for ever (section 3.1.2.11.2).";
    0x12 AssignedClientIdentifier "Assigned Client Identifier" Text
        (assigned_client_identifier set_assigned_client_identifier remove_assigned_client_identifier)
        [ConnAckProperties]
        "the client identifier the server chose (section 3.2.2.3.7).";
    0x13 ServerKeepAlive "Server Keep Alive" U16
        (server_keep_alive set_server_keep_alive remove_server_keep_alive)
        [ConnAckProperties]
        "the Keep Alive to use in place of the client's, in seconds (section 3.2.2.3.14).";
    0x15 AuthenticationMethod "Authentication Method" AuthMethod
        ()
        [ConnectProperties ConnAckProperties AuthProperties]
        "the name of the method of enhanced authentication (section 3.1.2.11.9).";
    0x16 AuthenticationData "Authentication Data" AuthData
        ()
        [ConnectProperties ConnAckProperties AuthProperties]
        "what the authentication method has to say (section 3.1.2.11.10).";
    0x17 RequestProblemInformation "Request Problem Information" Flag
        (request_problem_information set_request_problem_information remove_request_problem_information)
        [ConnectProperties]
        "whether the server may send Reason Strings and User Properties with failures (section 3.1.2.11.7). Absent: it may.";
    0x18 WillDelayInterval "Will Delay Interval" U32
        (will_delay_interval set_will_delay_interval remove_will_delay_interval)
        [WillProperties]
        "how long the server waits before it publishes the will, in seconds (section 3.1.3.2.2). Absent: it does not.";
    0x19 RequestResponseInformation "Request Response Information" Flag
        (request_response_information set_request_response_information remove_request_response_information)
        [ConnectProperties]
        "whether the client asks for Response Information (section 3.1.2.11.6). Absent: it does not.";
    0x1A ResponseInformation "Response Information" Text
        (response_information set_response_information remove_response_information)
        [ConnAckProperties]
        "what the client may build its response topics on (section 3.2.2.3.15).";
    0x1C ServerReference "Server Reference" Text
        (server_reference set_server_reference remove_server_reference)
        [ConnAckProperties DisconnectProperties]
        "another server to use (sections 3.2.2.3.16 and 4.11).";
    0x1F ReasonString "Reason String" Text
        (reason_string set_reason_string remove_reason_string)
        [ConnAckProperties AckProperties SubAckProperties DisconnectProperties AuthProperties]
        "the reason in words, for diagnosis (section 3.2.2.3.9).";
    0x21 ReceiveMaximum "Receive Maximum" NonZeroU16
        (receive_maximum set_receive_maximum remove_receive_maximum)
        [ConnectProperties ConnAckProperties]
        "how many QoS 1 and 2 messages the sender takes unacknowledged, 1 to 65,535 (section 3.1.2.11.3). Absent: 65,535.";
    0x22 TopicAliasMaximum "Topic Alias Maximum" U16
        (topic_alias_maximum set_topic_alias_maximum remove_topic_alias_maximum)
        [ConnectProperties ConnAckProperties]
        "the highest topic alias the sender takes (section 3.1.2.11.5). Absent: 0, none.";
    0x23 TopicAlias "Topic Alias" TopicAlias
        (topic_alias set_topic_alias remove_topic_alias)
        [PublishProperties]
        "the number that stands for the topic name, 1 to 65,535 (section 3.3.2.3.4).";
    0x24 MaximumQos "Maximum QoS" MaximumQos
        (maximum_qos set_maximum_qos remove_maximum_qos)
        [ConnAckProperties]
        "the highest QoS the server takes (section 3.2.2.3.4). Absent: 2.";
    0x25 RetainAvailable "Retain Available" Flag
        (retain_available set_retain_available remove_retain_available)
        [ConnAckProperties]
        "whether the server retains messages (section 3.2.2.3.5). Absent: it does.";
    0x26 UserProperty "User Property" Pair
        ()
        [ConnectProperties ConnAckProperties PublishProperties WillProperties AckProperties SubscribeProperties
            SubAckProperties UnsubscribeProperties DisconnectProperties AuthProperties]
        "a name and a value of the application's own; it may stand many times, in an order that is kept.";
    0x27 MaximumPacketSize "Maximum Packet Size" NonZeroU32
        (maximum_packet_size set_maximum_packet_size remove_maximum_packet_size)
        [ConnectProperties ConnAckProperties]
        "the largest packet the sender takes, in bytes, at least 1 (section 3.1.2.11.4). Absent: the format's limit.";
    0x28 WildcardSubscriptionAvailable "Wildcard Subscription Available" Flag
        (wildcard_subscription_available set_wildcard_subscription_available remove_wildcard_subscription_available)
        [ConnAckProperties]
        "whether the server takes filters with wildcards (section 3.2.2.3.11). Absent: it does.";
    0x29 SubscriptionIdentifierAvailable "Subscription Identifier Available" Flag
        (subscription_identifier_available set_subscription_identifier_available
            remove_subscription_identifier_available)
        [ConnAckProperties]
        "whether the server takes subscription identifiers (section 3.2.2.3.12). Absent: it does.";
    0x2A SharedSubscriptionAvailable "Shared Subscription Available" Flag
        (shared_subscription_available set_shared_subscription_available remove_shared_subscription_available)
        [ConnAckProperties]
        "whether the server takes shared subscriptions (section 3.2.2.3.13). Absent: it does.";
}

/// What the table says about an identifier.
#[inline]
pub(super) fn rule(id: u8) -> Option<&'static Rule> {
    RULES.get(usize::from(id))?.as_ref()
}

impl Rule {
    #[inline]
    pub(super) const fn allows(self, place: Place) -> bool {
        self.places & place.bit() != 0
    }
}
