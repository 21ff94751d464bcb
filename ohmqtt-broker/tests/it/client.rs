//! A scripted client: it sends the packets it is told to, and hands out the packets that come. It knows no rule.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;
use ohmqtt_broker::{Broker, Limits};
use ohmqtt_codec::{
    Ack, ConnAck, Connect, ConnectProperties, Delivery, Disconnect, EncodeBuf, Filters, MqttString,
    Packet, PacketId, Publish, PublishTopic, Qos, ReasonCode, Subscribe, SubscribeProperties,
    SubscriptionId, SubscriptionOptions, TopicFilter, TopicName, Unsubscribe, UnsubscribeFilters,
    UnsubscribeProperties, Will, decode,
};
use ohmqtt_transport::Transport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a packet that has to come may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn broker() -> Broker {
    broker_with(|_| {}).await
}

pub(crate) async fn broker_with(change: impl FnOnce(&mut Limits)) -> Broker {
    let mut limits = Limits::default();
    change(&mut limits);
    let builder = Broker::builder()
        .listen("mqtt://127.0.0.1:0")
        .limits(limits);
    builder.start().await.unwrap()
}

pub(crate) struct Client {
    stream: Box<dyn Transport>,
    read: BytesMut,
    /// Packets that came while another one was waited for.
    aside: VecDeque<Packet>,
    last_id: u16,
}

impl Client {
    /// A connection without CONNECT.
    pub(crate) async fn open(broker: &Broker) -> Self {
        Self::open_at(broker.url()).await
    }

    /// The same by the URL of a broker.
    pub(crate) async fn open_at(url: &str) -> Self {
        let address = url.strip_prefix("mqtt://").unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(Box::new(stream))
    }

    /// The same over a stream of another kind.
    pub(crate) fn over(stream: Box<dyn Transport>) -> Self {
        Self {
            stream,
            read: BytesMut::new(),
            aside: VecDeque::new(),
            last_id: 0,
        }
    }

    /// A client that starts anew and whose session ends with its connection.
    pub(crate) async fn connect(broker: &Broker, id: &str) -> Self {
        let (client, connack) = Self::connect_with(broker, connect(id)).await;
        assert_eq!(connack.reason, ReasonCode::Success);
        client
    }

    /// A client with a session that is kept for so many seconds; tells whether there was one.
    pub(crate) async fn resume(broker: &Broker, id: &str, interval: u32) -> (Self, bool) {
        let (client, connack) = Self::connect_with(broker, resuming(id, interval)).await;
        assert_eq!(connack.reason, ReasonCode::Success);
        (client, connack.session_present)
    }

    /// The same at a URL.
    pub(crate) async fn resume_at(url: &str, id: &str, interval: u32) -> Self {
        let mut client = Self::open_at(url).await;
        let connack = client.say_connect(resuming(id, interval)).await;
        assert_eq!(connack.reason, ReasonCode::Success);
        client
    }

    pub(crate) async fn connect_with(broker: &Broker, connect: Connect) -> (Self, ConnAck) {
        let mut client = Self::open(broker).await;
        let connack = client.say_connect(connect).await;
        (client, connack)
    }

    /// Says CONNECT, and gives the answer.
    pub(crate) async fn say_connect(&mut self, connect: Connect) -> ConnAck {
        self.send(Packet::Connect(connect.into())).await;
        match self.receive().await {
            Packet::ConnAck(connack) => *connack,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn send(&mut self, packet: Packet) {
        let mut out = EncodeBuf::new();
        packet.encode(&mut out).unwrap();
        self.send_bytes(&out.into_bytes()).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.try_send(bytes).await.unwrap();
    }

    /// The same where the broker may have ended the stream.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Asserts that the broker has not ended the stream.
    pub(crate) async fn is_open(&mut self) {
        let ended = timeout(Duration::ZERO, self.stream.read_buf(&mut self.read));
        assert!(ended.await.is_err());
    }

    /// The next packet; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Packet> {
        match self.aside.pop_front() {
            Some(packet) => Some(packet),
            None => self.read().await,
        }
    }

    async fn read(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = decode(&mut self.read, &ohmqtt_codec::Limits::default()).unwrap()
            {
                return Some(packet);
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.read));
            match read.await.expect("nothing came") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    pub(crate) async fn receive(&mut self) -> Packet {
        self.next().await.expect("the stream ended")
    }

    /// The next packet that is no message. Messages that come before it are set aside.
    async fn answer(&mut self) -> Packet {
        loop {
            match self.read().await.expect("the stream ended") {
                message @ Packet::Publish(_) => self.aside.push_back(message),
                other => break other,
            }
        }
    }

    /// The next packet, which is a PUBLISH. It is not acknowledged.
    pub(crate) async fn receive_publish(&mut self) -> Publish {
        match self.receive().await {
            Packet::Publish(publish) => publish,
            other => panic!("{other:?}"),
        }
    }

    /// The next message, with its flow of acknowledgements done.
    pub(crate) async fn receive_message(&mut self) -> Publish {
        let publish = self.receive_publish().await;
        match publish.delivery {
            Delivery::AtMostOnce => {}
            Delivery::AtLeastOnce { packet_id, .. } => {
                self.send(Packet::PubAck(Ack::new(packet_id))).await;
            }
            Delivery::ExactlyOnce { packet_id, .. } => {
                self.send(Packet::PubRec(Ack::new(packet_id))).await;
                assert_eq!(self.answer().await, Packet::PubRel(Ack::new(packet_id)));
                self.send(Packet::PubComp(Ack::new(packet_id))).await;
            }
        }
        publish
    }

    /// Asserts that nothing is on its way: what was sent to this client before comes before the PINGRESP.
    pub(crate) async fn expect_nothing(&mut self) {
        self.send(Packet::PingReq).await;
        assert_eq!(self.receive().await, Packet::PingResp);
    }

    /// Asserts that the broker says DISCONNECT with this reason and ends the stream.
    pub(crate) async fn expect_disconnect(&mut self, reason: ReasonCode) {
        loop {
            match self.receive().await {
                Packet::Disconnect(disconnect) => {
                    assert_eq!(disconnect.reason, reason);
                    break;
                }
                Packet::Publish(_) | Packet::PubAck(_) => {}
                other => panic!("{other:?}"),
            }
        }
        self.expect_end().await;
    }

    /// Asserts that the stream ends without a packet.
    pub(crate) async fn expect_end(&mut self) {
        assert_eq!(self.next().await, None);
    }

    pub(crate) fn next_id(&mut self) -> PacketId {
        self.last_id += 1;
        PacketId::new(self.last_id).unwrap()
    }

    /// Publishes with this QoS and does the flow; the reason code of PUBACK or PUBREC.
    pub(crate) async fn publish(&mut self, topic: &str, payload: &str, qos: Qos) -> ReasonCode {
        self.publish_packet(publish(topic, payload), qos).await
    }

    pub(crate) async fn publish_retained(&mut self, topic: &str, payload: &str) -> ReasonCode {
        let mut publish = publish(topic, payload);
        publish.retain = true;
        self.publish_packet(publish, Qos::AtLeastOnce).await
    }

    pub(crate) async fn publish_packet(&mut self, mut publish: Publish, qos: Qos) -> ReasonCode {
        let packet_id = self.next_id();
        publish.delivery = match qos {
            Qos::AtMostOnce => Delivery::AtMostOnce,
            Qos::AtLeastOnce => Delivery::AtLeastOnce {
                packet_id,
                dup: false,
            },
            Qos::ExactlyOnce => Delivery::ExactlyOnce {
                packet_id,
                dup: false,
            },
        };
        self.send(Packet::Publish(publish)).await;
        match qos {
            Qos::AtMostOnce => ReasonCode::Success,
            Qos::AtLeastOnce => match self.answer().await {
                Packet::PubAck(ack) if ack.packet_id == packet_id => ack.reason,
                other => panic!("{other:?}"),
            },
            Qos::ExactlyOnce => match self.answer().await {
                Packet::PubRec(ack) if ack.packet_id == packet_id => {
                    if !ack.reason.is_error() {
                        self.send(Packet::PubRel(Ack::new(packet_id))).await;
                        assert_eq!(self.answer().await, Packet::PubComp(Ack::new(packet_id)));
                    }
                    ack.reason
                }
                other => panic!("{other:?}"),
            },
        }
    }

    pub(crate) async fn subscribe(&mut self, filter: &str, qos: Qos) -> ReasonCode {
        self.subscribe_with(filter, SubscriptionOptions::new(qos), None)
            .await
    }

    pub(crate) async fn subscribe_with(
        &mut self,
        filter: &str,
        options: SubscriptionOptions,
        identifier: Option<u32>,
    ) -> ReasonCode {
        let packet_id = self.next_id();
        let mut properties = SubscribeProperties::default();
        if let Some(id) = identifier {
            properties.set_subscription_identifier(SubscriptionId::new(id).unwrap());
        }
        let filters = Filters::new(&TopicFilter::new(filter).unwrap(), options).unwrap();
        self.send(Packet::Subscribe(Subscribe {
            packet_id,
            properties,
            filters,
        }))
        .await;
        match self.receive().await {
            Packet::SubAck(suback) if suback.packet_id == packet_id => {
                suback.codes.iter().next().unwrap()
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn unsubscribe(&mut self, filter: &str) -> ReasonCode {
        let packet_id = self.next_id();
        let filters = UnsubscribeFilters::new(&TopicFilter::new(filter).unwrap());
        self.send(Packet::Unsubscribe(Unsubscribe {
            packet_id,
            properties: UnsubscribeProperties::default(),
            filters,
        }))
        .await;
        match self.receive().await {
            Packet::UnsubAck(unsuback) if unsuback.packet_id == packet_id => {
                unsuback.codes.iter().next().unwrap()
            }
            other => panic!("{other:?}"),
        }
    }

    /// Says DISCONNECT and waits for the end of the stream, which comes when the broker has taken note.
    pub(crate) async fn disconnect(mut self, reason: ReasonCode) {
        self.send(Packet::Disconnect(Disconnect::new(reason))).await;
        self.expect_end().await;
    }
}

/// A CONNECT that starts anew.
pub(crate) fn connect(id: &str) -> Connect {
    Connect {
        client_id: MqttString::try_from(id).unwrap(),
        clean_start: true,
        keep_alive: 0,
        properties: ConnectProperties::default(),
        will: None,
        user_name: None,
        password: None,
    }
}

/// A CONNECT that takes up its session if there is one.
pub(crate) fn resuming(id: &str, interval: u32) -> Connect {
    let mut connect = connect(id);
    connect.clean_start = false;
    connect.properties.set_session_expiry_interval(interval);
    connect
}

pub(crate) fn will(topic: &str, payload: &str) -> Will {
    Will {
        topic: TopicName::new(topic).unwrap(),
        payload: payload.as_bytes().try_into().unwrap(),
        qos: Qos::AtLeastOnce,
        retain: false,
        properties: ohmqtt_codec::WillProperties::default(),
    }
}

pub(crate) fn publish(topic: &str, payload: &str) -> Publish {
    let topic = TopicName::new(topic).unwrap();
    Publish::new(topic, payload.as_bytes().to_vec())
}

pub(crate) fn topic(publish: &Publish) -> &str {
    match &publish.topic {
        PublishTopic::Name(name) => name.as_str(),
        PublishTopic::Alias(_) => panic!("{publish:?}"),
    }
}

/// The Subscription Identifiers of a message, sorted.
pub(crate) fn identifiers(publish: &Publish) -> Vec<u32> {
    let identifiers = publish.properties.subscription_identifiers();
    let mut identifiers: Vec<_> = identifiers.map(SubscriptionId::get).collect();
    identifiers.sort_unstable();
    identifiers
}
