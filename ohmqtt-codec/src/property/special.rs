//! The properties whose accessors are more than get, set and remove: those that repeat, and authentication.

use super::PropertyId;
use super::block::Value;
use super::place::{
    AckProperties, AuthProperties, ConnAckProperties, ConnectProperties, DisconnectProperties,
    PublishProperties, SubAckProperties, SubscribeProperties, UnsubscribeProperties,
    WillProperties,
};
use crate::value::{Binary, MqttString, SubscriptionId};

macro_rules! user_properties {
    ($($place:ident)*) => {$(
        impl $place {
            /// The User Properties, names with values, in their order. A name may come more than once.
            pub fn user_properties(&self) -> impl Iterator<Item = (&str, &str)> {
                self.0.entries().filter(|entry| entry.id == PropertyId::UserProperty).map(|entry| entry.pair())
            }

            /// Adds a User Property after all there are.
            pub fn add_user_property(&mut self, name: &MqttString, value: &MqttString) {
                self.0.add(PropertyId::UserProperty, Value::Pair(name.as_bytes(), value.as_bytes()));
            }

            /// Removes all User Properties; tells whether there was one.
            pub fn remove_user_properties(&mut self) -> bool {
                self.0.remove(PropertyId::UserProperty)
            }
        }
    )*};
}

user_properties! {
    ConnectProperties ConnAckProperties PublishProperties WillProperties AckProperties SubscribeProperties
    SubAckProperties UnsubscribeProperties DisconnectProperties AuthProperties
}

macro_rules! authentication {
    ($($place:ident)*) => {$(
        impl $place {
            /// Authentication Method: the name of the method of enhanced authentication (section 4.12).
            pub fn authentication_method(&self) -> Option<&str> {
                Some(self.0.find(PropertyId::AuthenticationMethod)?.text())
            }

            /// Authentication Data: what the method has to say. Never without a method.
            pub fn authentication_data(&self) -> Option<&[u8]> {
                Some(self.0.find(PropertyId::AuthenticationData)?.bytes())
            }

            /// Sets Authentication Method and Authentication Data, in place of those that are there.
            pub fn set_authentication(&mut self, method: &MqttString, data: Option<&Binary>) {
                self.0.set(PropertyId::AuthenticationMethod, Value::Prefixed(method.as_bytes()));
                match data {
                    Some(data) => self.0.set(PropertyId::AuthenticationData, Value::Prefixed(data.as_bytes())),
                    None => drop(self.0.remove(PropertyId::AuthenticationData)),
                }
            }

            /// Removes Authentication Method and Authentication Data; tells whether they were there.
            pub fn remove_authentication(&mut self) -> bool {
                self.0.remove(PropertyId::AuthenticationData);
                self.0.remove(PropertyId::AuthenticationMethod)
            }
        }
    )*};
}

authentication! { ConnectProperties ConnAckProperties AuthProperties }

impl SubscribeProperties {
    /// Subscription Identifier: the client's number for the subscriptions this SUBSCRIBE makes (section 3.8.2.1.2).
    pub fn subscription_identifier(&self) -> Option<SubscriptionId> {
        SubscriptionId::new(self.0.find(PropertyId::SubscriptionIdentifier)?.number())
    }

    /// Sets Subscription Identifier, in place of one that is there.
    pub fn set_subscription_identifier(&mut self, id: SubscriptionId) {
        self.0
            .set(PropertyId::SubscriptionIdentifier, Value::Varint(id.get()));
    }

    /// Removes Subscription Identifier; tells whether it was there.
    pub fn remove_subscription_identifier(&mut self) -> bool {
        self.0.remove(PropertyId::SubscriptionIdentifier)
    }
}

impl PublishProperties {
    /// Subscription Identifiers: the numbers of the subscriptions this message is for (section 3.3.2.3.8).
    pub fn subscription_identifiers(&self) -> impl Iterator<Item = SubscriptionId> {
        let ids = self
            .0
            .entries()
            .filter(|entry| entry.id == PropertyId::SubscriptionIdentifier);
        ids.filter_map(|entry| SubscriptionId::new(entry.number()))
    }

    /// Adds a Subscription Identifier after all there are.
    pub fn add_subscription_identifier(&mut self, id: SubscriptionId) {
        self.0
            .add(PropertyId::SubscriptionIdentifier, Value::Varint(id.get()));
    }

    /// Removes all Subscription Identifiers; tells whether there was one.
    pub fn remove_subscription_identifiers(&mut self) -> bool {
        self.0.remove(PropertyId::SubscriptionIdentifier)
    }
}
