//! What a client may do: the trait that decides, and what it is asked.

use ohmqtt_codec::{MqttString, Qos};

use super::User;

/// Says what clients may do. Given to [`Builder::authorize`](crate::Builder::authorize).
///
/// It is asked at each of [`Action`]'s occasions, for each message and each of its receivers, with the broker's lock held: it must be
/// quick, must not block, and must not call the broker. What takes time to find out is found out in
/// [`Authenticate`](super::Authenticate), or beforehand. An answer holds for that occasion only, so that rights may change at any time.
///
/// ```
/// use ohmqtt_broker::{Action, Authorize, Broker, Principal};
///
/// /// Everybody has a branch of their own, and reads what is public.
/// struct Branches;
///
/// impl Authorize for Branches {
///     fn allows(&self, who: &Principal<'_>, action: &Action<'_>) -> bool {
///         let own = |topic: &str| topic.split_once('/').is_some_and(|(first, _)| first == who.client_id);
///         match action {
///             Action::Publish { topic, .. } | Action::Will { topic, .. } => own(topic),
///             Action::Deliver { topic } => own(topic) || topic.starts_with("public/"),
///             _ => true, // to connect, and to subscribe: what is delivered is asked about each time
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), ohmqtt_broker::StartError> {
/// let builder = Broker::builder().listen("mqtt://127.0.0.1:0");
/// let broker = builder.authorize(Branches).start().await?;
/// # broker.shutdown(std::time::Duration::ZERO).await;
/// # Ok(())
/// # }
/// ```
pub trait Authorize: Send + Sync + 'static {
    /// Whether this client may do this.
    fn allows(&self, who: &Principal<'_>, action: &Action<'_>) -> bool;
}

/// Who wants to do something.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Principal<'a> {
    /// The Client Identifier, never empty. It may hold any character, also `+`, `#` and `/`.
    pub client_id: &'a str,
    /// The user. Also of a client that is not there at the moment.
    pub user: &'a User,
}

/// What a client wants to do. What is refused:
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action<'a> {
    /// To connect. CONNACK says Not authorized (0x87).
    Connect,
    /// To publish. The message is dropped; PUBACK or PUBREC say Not authorized (0x87), to QoS 0 nothing is said.
    Publish {
        /// On this topic; an alias is resolved.
        topic: &'a str,
        /// As it asks.
        qos: Qos,
        /// To be retained, or with an empty payload removed.
        retain: bool,
    },
    /// To have a will published. At its CONNECT: CONNACK says Not authorized (0x87). When it is time: nothing is published.
    Will {
        /// On this topic.
        topic: &'a str,
        /// As it asks.
        qos: Qos,
        /// To be retained.
        retain: bool,
    },
    /// To subscribe. SUBACK says Not authorized (0x87) for this filter. The subscription is not made.
    Subscribe {
        /// As the client wrote it, with the `$share/` and the name of a shared subscription.
        filter: &'a str,
        /// At most.
        qos: Qos,
    },
    /// To get a message that a subscription of its matches. It does not get it, as if there was no such subscription. Asked when the
    /// message comes, and of what waits for a client again: after [`Broker::reload_access`](crate::Broker::reload_access), when a broker
    /// starts with what another has stored, and when somebody with a name takes the session of nobody in particular.
    Deliver {
        /// On this topic.
        topic: &'a str,
    },
    /// To be the one whose message is retained, asked when it is delivered to somebody. It is not delivered.
    Retained {
        /// On this topic.
        topic: &'a str,
    },
}

impl<'a> Principal<'a> {
    pub(crate) fn new(client_id: &'a MqttString, user: &'a User) -> Self {
        Self {
            client_id: client_id.as_str(),
            user,
        }
    }
}
