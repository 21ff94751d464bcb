//! The link of the client that is looked at: a way to the broker that withholds acknowledgements, refuses, cuts, authenticates, and
//! watches over the use of Packet Identifiers.

use std::collections::HashSet;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use ohmqtt_client::{BoxFuture, Connect, Endpoint, Transport, TransportError};
use ohmqtt_codec::{
    Auth, AuthProperties, Delivery, EncodeBuf, Limits, MqttString, Packet, ReasonCode, decode,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;

use crate::pipes::{Pipes, pipe};

/// A link. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Link(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    broker: Pipes,
    /// The server's, in the place of the broker's own.
    receive_maximum: Option<NonZeroU16>,
    rules: watch::Sender<Rules>,
    state: Mutex<State>,
}

/// What a connection is told while it stands.
#[derive(Clone, Copy, Debug, Default)]
struct Rules {
    /// What acknowledges a PUBLISH is kept back.
    withhold: bool,
    /// Who connects waits.
    refuse: bool,
    /// Counted up to end the connection that stands.
    cuts: u64,
}

#[derive(Debug, Default)]
struct State {
    /// So many packets pass yet.
    passes: Option<usize>,
    identifiers: Identifiers,
}

impl Link {
    pub(crate) fn new(broker: Pipes, receive_maximum: Option<NonZeroU16>) -> Self {
        Self(Arc::new(Shared {
            broker,
            receive_maximum,
            rules: watch::Sender::default(),
            state: Mutex::default(),
        }))
    }

    /// Keeps acknowledgements back, or lets them go.
    pub(crate) fn withhold(&self, withhold: bool) {
        self.0.rules.send_modify(|rules| rules.withhold = withhold);
    }

    /// Lets nobody connect, or everybody.
    pub(crate) fn refuse(&self, refuse: bool) {
        self.0.rules.send_modify(|rules| rules.refuse = refuse);
    }

    /// Ends the connection that stands.
    pub(crate) fn cut(&self) {
        self.0.rules.send_modify(|rules| rules.cuts += 1);
    }

    /// Lets so many packets pass, and ends the connection at the next, which does not arrive.
    pub(crate) fn cut_after(&self, passes: usize) {
        self.0.state().passes = Some(passes);
    }

    /// Ends the connection, if too few packets have passed for that.
    pub(crate) fn cut_if_still_to_be_cut(&self) {
        if self.0.state().passes.take().is_some() {
            self.cut();
        }
    }

    /// What was wrong with the use of Packet Identifiers, and whether any is still in use.
    pub(crate) fn identifiers(&self) -> (Vec<String>, bool) {
        let state = self.0.state();
        (
            state.identifiers.faults.clone(),
            state.identifiers.is_any_in_use(),
        )
    }
}

impl Connect for Link {
    fn connect<'a>(
        &'a self,
        _to: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Transport>, TransportError>> {
        Box::pin(async {
            let mut rules = self.0.rules.subscribe();
            // The sender is ours, so it is there.
            let _ = rules.wait_for(|rules| !rules.refuse).await;
            let (near, far) = pipe();
            let relay = Relay {
                client: End::new(far),
                broker: End::new(self.0.broker.open()?),
                withheld: Vec::new(),
                method: None,
                shared: Arc::clone(&self.0),
            };
            tokio::spawn(relay.run(rules));
            Ok(Box::new(near) as Box<dyn Transport>)
        })
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a packet passes.
    fn passes(&self) -> bool {
        let mut state = self.state();
        // The next connection is not cut.
        let left = state.passes.take();
        state.passes = left.and_then(|passes| passes.checked_sub(1));
        left != Some(0)
    }
}

/// One connection.
struct Relay {
    client: End,
    broker: End,
    withheld: Vec<Packet>,
    /// By which the client authenticates.
    method: Option<MqttString>,
    shared: Arc<Shared>,
}

impl Relay {
    /// Until either side ends it, or it is cut. Both sides see the end as it is dropped.
    async fn run(mut self, mut rules: watch::Receiver<Rules>) {
        let cuts = rules.borrow_and_update().cuts;
        while self.step(&mut rules, cuts).await.is_some() {}
    }

    async fn step(&mut self, rules: &mut watch::Receiver<Rules>, cuts: u64) -> Option<()> {
        let now = *rules.borrow_and_update();
        if now.cuts != cuts {
            return None;
        }
        if !now.withhold {
            for packet in std::mem::take(&mut self.withheld) {
                self.deliver(&packet).await?;
            }
        }
        tokio::select! {
            packet = self.client.next() => {
                let packet = packet?;
                self.shared.state().identifiers.sent(&packet);
                self.shared.passes().then_some(())?;
                self.forward(packet).await
            }
            packet = self.broker.next() => {
                let packet = self.altered(packet?);
                if now.withhold && is_acknowledgement(&packet) {
                    self.withheld.push(packet);
                    return Some(());
                }
                self.deliver(&packet).await
            }
            changed = rules.changed() => changed.ok(),
        }
    }

    /// To the broker, which knows of no authentication: that part of it is played here.
    async fn forward(&mut self, mut packet: Packet) -> Option<()> {
        match &mut packet {
            Packet::Connect(connect) => {
                let method = connect.properties.authentication_method();
                self.method = method.and_then(|method| MqttString::try_from(method).ok());
                connect.properties.remove_authentication();
            }
            Packet::Auth(auth) => {
                let reason = match auth.reason {
                    ReasonCode::ReAuthenticate => ReasonCode::ContinueAuthentication,
                    _ => ReasonCode::Success,
                };
                let mut properties = AuthProperties::default();
                properties.set_authentication(self.method.as_ref()?, None);
                let answer = Auth { reason, properties };
                return self.deliver(&Packet::Auth(answer)).await;
            }
            _ => {}
        }
        self.broker.send(&packet).await
    }

    async fn deliver(&mut self, packet: &Packet) -> Option<()> {
        self.shared.passes().then_some(())?;
        self.shared.state().identifiers.received(packet);
        self.client.send(packet).await
    }

    fn altered(&self, mut packet: Packet) -> Packet {
        if let Packet::ConnAck(connack) = &mut packet {
            if let Some(maximum) = self.shared.receive_maximum {
                connack.properties.set_receive_maximum(maximum);
            }
            if let Some(method) = &self.method {
                connack.properties.set_authentication(method, None);
            }
        }
        packet
    }
}

fn is_acknowledgement(packet: &Packet) -> bool {
    matches!(
        packet,
        Packet::PubAck(_) | Packet::PubRec(_) | Packet::PubComp(_)
    )
}

/// One end of a relay.
struct End {
    stream: DuplexStream,
    read: BytesMut,
}

impl End {
    fn new(stream: DuplexStream) -> Self {
        Self {
            stream,
            read: BytesMut::new(),
        }
    }

    /// The next packet; `None` at the end. Nothing is lost when the future is dropped.
    async fn next(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = decode(&mut self.read, &Limits::default()).ok()? {
                return Some(packet);
            }
            if self.stream.read_buf(&mut self.read).await.ok()? == 0 {
                return None;
            }
        }
    }

    async fn send(&mut self, packet: &Packet) -> Option<()> {
        let mut out = EncodeBuf::new();
        packet.encode(&mut out).ok()?;
        self.stream.write_all(&out.into_bytes()).await.ok()
    }
}

/// The Packet Identifiers that the client has in use, as the wire shows them.
#[derive(Debug, Default)]
struct Identifiers {
    publishes: HashSet<u16>,
    requests: HashSet<u16>,
    faults: Vec<String>,
}

impl Identifiers {
    fn is_any_in_use(&self) -> bool {
        !self.publishes.is_empty() || !self.requests.is_empty()
    }

    fn sent(&mut self, packet: &Packet) {
        match packet {
            // Requests end with their connection.
            Packet::Connect(_) => self.requests.clear(),
            Packet::Publish(publish) => {
                if let Delivery::AtLeastOnce { packet_id, dup }
                | Delivery::ExactlyOnce { packet_id, dup } = publish.delivery
                {
                    self.take(packet_id.get(), dup);
                    self.publishes.insert(packet_id.get());
                }
            }
            Packet::Subscribe(subscribe) => self.request(subscribe.packet_id.get()),
            Packet::Unsubscribe(unsubscribe) => self.request(unsubscribe.packet_id.get()),
            _ => {}
        }
    }

    fn request(&mut self, id: u16) {
        self.take(id, false);
        self.requests.insert(id);
    }

    fn take(&mut self, id: u16, again: bool) {
        let is_in_use = self.requests.contains(&id) || self.publishes.contains(&id) && !again;
        if is_in_use {
            self.faults
                .push(format!("packet identifier {id} is used twice at a time"));
        }
    }

    fn received(&mut self, packet: &Packet) {
        match packet {
            Packet::ConnAck(connack) if !connack.session_present => self.publishes.clear(),
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                self.publishes.remove(&ack.packet_id.get());
            }
            Packet::PubRec(ack) if ack.reason.is_error() => {
                self.publishes.remove(&ack.packet_id.get());
            }
            Packet::SubAck(ack) | Packet::UnsubAck(ack) => {
                self.requests.remove(&ack.packet_id.get());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use ohmqtt_codec::{Ack, PacketId, Publish, TopicName};

    use super::*;

    fn publish(id: u16, dup: bool) -> Packet {
        let mut publish = Publish::new(TopicName::new("t").unwrap(), "");
        let packet_id = PacketId::new(id).unwrap();
        publish.delivery = Delivery::AtLeastOnce { packet_id, dup };
        Packet::Publish(publish)
    }

    #[test]
    fn an_identifier_in_use_may_be_used_again_for_the_same_message_only() {
        let mut identifiers = Identifiers::default();
        identifiers.sent(&publish(1, false));
        identifiers.sent(&publish(2, false));
        identifiers.sent(&publish(1, true));
        assert_eq!(identifiers.faults, [""; 0]);
        identifiers.sent(&publish(2, false));
        assert_eq!(
            identifiers.faults,
            ["packet identifier 2 is used twice at a time"]
        );
    }

    #[test]
    fn an_acknowledged_identifier_is_free() {
        let mut identifiers = Identifiers::default();
        identifiers.sent(&publish(1, false));
        assert!(identifiers.is_any_in_use());
        identifiers.received(&Packet::PubAck(Ack::new(PacketId::new(1).unwrap())));
        assert!(!identifiers.is_any_in_use());
        identifiers.sent(&publish(1, false));
        assert_eq!(identifiers.faults, [""; 0]);
    }
}
