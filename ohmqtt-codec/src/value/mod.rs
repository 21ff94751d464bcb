//! The values packets are made of, each with its range in its type, so that encoding cannot meet a wrong one.

mod binary;
mod filter;
mod number;
mod string;
mod text;
mod topic;

pub use binary::{Binary, InvalidBinary};
pub use filter::{FilterFault, TopicFilter};
pub use number::{PacketId, Qos, SubscriptionId, TopicAlias, UndefinedQos};
pub use string::{InvalidString, MqttString};
pub use topic::{InvalidTopic, TopicFault, TopicName};

pub(crate) use string::str_of;
pub(crate) use text::{TextFault, check_text, check_topic};
