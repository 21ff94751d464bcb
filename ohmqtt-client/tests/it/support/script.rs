//! A server whose every packet is the test's own.

use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::time::Duration;

use bytes::BytesMut;
use ohmqtt_client::{
    Client, ClientBuilder, Connect as Connector, Endpoint, Qos, ReasonCode, Subscription,
    Transport, TransportError,
};
use ohmqtt_codec::{
    Ack, ConnAck, ConnAckProperties, Connect, Delivery, Disconnect, EncodeBuf, Limits, Packet,
    PacketId, Publish, ReasonCodes, SubAck, SubAckProperties, Subscribe, TopicName, Unsubscribe,
    decode,
};
use ohmqtt_transport::Phase;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::soon;

/// Listens at a port of its own.
#[derive(Debug)]
pub(crate) struct Script {
    listener: TcpListener,
}

impl Script {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self { listener }
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://{}", self.listener.local_addr().unwrap())
    }

    /// A client of this server, quick to come back.
    pub(crate) fn client(&self) -> ClientBuilder {
        Client::builder(self.url())
            .client_id("c")
            .backoff(Duration::from_millis(1), Duration::from_millis(10))
    }

    /// The next connection, before its CONNECT.
    pub(crate) async fn stream(&self) -> Conn {
        let (stream, _) = soon(self.listener.accept()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Conn::new(stream)
    }

    /// The next connection, and its CONNECT.
    pub(crate) async fn connect(&self) -> (Conn, Connect) {
        let mut conn = self.stream().await;
        let connect = conn.connect().await;
        (conn, connect)
    }

    /// The next connection, accepted with a new session.
    pub(crate) async fn accept(&self) -> Conn {
        let (mut conn, _) = self.connect().await;
        conn.connack(false).await;
        conn
    }

    /// The next connection, accepted with the old session.
    pub(crate) async fn resume(&self) -> Conn {
        let (mut conn, connect) = self.connect().await;
        assert!(!connect.clean_start, "there is nothing to resume");
        conn.connack(true).await;
        conn
    }

    /// Whether somebody has connected and waits to be accepted, or does so in a while.
    pub(crate) async fn is_asked(&self) -> bool {
        let patience = Duration::from_millis(20);
        tokio::time::timeout(patience, self.listener.accept())
            .await
            .is_ok()
    }

    /// A connected client, and the connection.
    pub(crate) async fn pair(&self) -> (Client, Conn) {
        self.pair_of(self.client()).await
    }

    pub(crate) async fn pair_of(&self, client: ClientBuilder) -> (Client, Conn) {
        let (client, conn) = tokio::join!(soon(client.connect()), self.accept());
        (client.unwrap(), conn)
    }

    /// A connected client with a subscription that was granted.
    pub(crate) async fn subscribed(&self, filter: &str) -> (Client, Conn, Subscription) {
        let (client, mut conn) = self.pair().await;
        let inbox = client.subscribe(filter).send().unwrap();
        let subscribe = conn.subscribe().await;
        conn.grant(&subscribe).await;
        soon(inbox.granted()).await.unwrap();
        (client, conn, inbox)
    }
}

/// Connects by streams in memory, so that the clock can be the test's own.
#[derive(Debug)]
pub(crate) struct Wire {
    streams: mpsc::UnboundedSender<DuplexStream>,
    /// How long connecting takes.
    pub(crate) takes: Duration,
}

impl Wire {
    /// A connector, and the far ends of its streams.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<DuplexStream>) {
        let (streams, ends) = mpsc::unbounded_channel();
        let takes = Duration::ZERO;
        (Self { streams, takes }, ends)
    }
}

impl Connector for Wire {
    /// Nobody listens once the receiver is gone.
    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
    ) -> Pin<Box<dyn Future<Output = Result<Box<dyn Transport>, TransportError>> + Send + 'a>> {
        Box::pin(async move {
            tokio::time::sleep(self.takes).await;
            let (near, far) = duplex(64 * 1024);
            self.streams.send(far).map_err(|_| {
                let refused = io::ErrorKind::ConnectionRefused.into();
                TransportError::from_io(Phase::Connect, to, refused)
            })?;
            Ok(Box::new(near) as Box<dyn Transport>)
        })
    }
}

/// One connection, from the server's side. Dropping it cuts it.
pub(crate) struct Conn {
    stream: Box<dyn Transport>,
    read: BytesMut,
    /// Whether PINGREQ is answered here, and not handed out.
    pub(crate) answers_pings: bool,
}

impl Conn {
    pub(crate) fn new(stream: impl Transport) -> Self {
        Self {
            stream: Box::new(stream),
            read: BytesMut::new(),
            answers_pings: false,
        }
    }

    /// The next packet, or `None` at the end of the stream, however it ends.
    pub(crate) async fn next(&mut self) -> Option<Packet> {
        loop {
            match decode(&mut self.read, &Limits::default()).unwrap() {
                Some(Packet::PingReq) if self.answers_pings => {
                    self.send(Packet::PingResp).await;
                    continue;
                }
                Some(packet) => return Some(packet),
                None => {}
            }
            match soon(self.stream.read_buf(&mut self.read)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return None,
            }
        }
    }

    /// The next packet.
    pub(crate) async fn recv(&mut self) -> Packet {
        self.next().await.expect("a packet, not the end")
    }

    pub(crate) async fn connect(&mut self) -> Connect {
        match self.recv().await {
            Packet::Connect(connect) => *connect,
            other => panic!("not CONNECT: {other:?}"),
        }
    }

    pub(crate) async fn publish(&mut self) -> Publish {
        match self.recv().await {
            Packet::Publish(publish) => publish,
            other => panic!("not PUBLISH: {other:?}"),
        }
    }

    pub(crate) async fn subscribe(&mut self) -> Subscribe {
        match self.recv().await {
            Packet::Subscribe(subscribe) => subscribe,
            other => panic!("not SUBSCRIBE: {other:?}"),
        }
    }

    pub(crate) async fn unsubscribe(&mut self) -> Unsubscribe {
        match self.recv().await {
            Packet::Unsubscribe(unsubscribe) => unsubscribe,
            other => panic!("not UNSUBSCRIBE: {other:?}"),
        }
    }

    /// The client leaves in order: DISCONNECT, then the end.
    pub(crate) async fn goodbye(&mut self) -> Disconnect {
        match self.recv().await {
            Packet::Disconnect(disconnect) => {
                assert_eq!(self.next().await, None);
                disconnect
            }
            other => panic!("not DISCONNECT: {other:?}"),
        }
    }

    pub(crate) async fn send(&mut self, packet: Packet) {
        let mut out = EncodeBuf::new();
        packet.encode(&mut out).unwrap();
        soon(self.stream.write_all(&out.into_bytes()))
            .await
            .unwrap();
    }

    pub(crate) async fn connack(&mut self, session_present: bool) {
        let properties = ConnAckProperties::default();
        self.answer(session_present, ReasonCode::Success, properties)
            .await;
    }

    /// CONNACK with all of it chosen.
    pub(crate) async fn answer(
        &mut self,
        session_present: bool,
        reason: ReasonCode,
        properties: ConnAckProperties,
    ) {
        let connack = ConnAck {
            session_present,
            reason,
            properties,
        };
        self.send(Packet::ConnAck(connack.into())).await;
    }

    /// Grants a SUBSCRIBE what it asks for.
    pub(crate) async fn grant(&mut self, subscribe: &Subscribe) {
        let granted = subscribe
            .filters
            .iter()
            .map(|(_, options)| ReasonCode::try_from(u8::from(options.qos)).unwrap());
        self.suback(subscribe.packet_id, granted).await;
    }

    pub(crate) async fn suback(
        &mut self,
        packet_id: PacketId,
        codes: impl IntoIterator<Item = ReasonCode>,
    ) {
        let properties = SubAckProperties::default();
        let codes = ReasonCodes::from_iter_nonempty(codes).unwrap();
        self.send(Packet::SubAck(SubAck {
            packet_id,
            properties,
            codes,
        }))
        .await;
    }

    pub(crate) async fn unsuback(&mut self, unsubscribe: &Unsubscribe) {
        let codes = unsubscribe.filters.iter().map(|_| ReasonCode::Success);
        self.send(Packet::UnsubAck(SubAck {
            packet_id: unsubscribe.packet_id,
            properties: SubAckProperties::default(),
            codes: ReasonCodes::from_iter_nonempty(codes).unwrap(),
        }))
        .await;
    }

    /// Acknowledges a PUBLISH as its QoS demands, up to PUBCOMP.
    pub(crate) async fn ack(&mut self, publish: &Publish) {
        match publish.delivery {
            Delivery::AtMostOnce => {}
            Delivery::AtLeastOnce { packet_id, .. } => {
                self.send(Packet::PubAck(Ack::new(packet_id))).await;
            }
            Delivery::ExactlyOnce { packet_id, .. } => {
                self.send(Packet::PubRec(Ack::new(packet_id))).await;
                assert_eq!(self.recv().await, Packet::PubRel(Ack::new(packet_id)));
                self.send(Packet::PubComp(Ack::new(packet_id))).await;
            }
        }
    }

    /// Publishes to the client; the identifier counts at QoS 1 and 2.
    pub(crate) async fn deliver(&mut self, topic: &str, text: &str, qos: Qos, id: u16) {
        let mut publish = Publish::new(TopicName::new(topic).unwrap(), text.to_owned());
        let (packet_id, dup) = (PacketId::new(id.max(1)).unwrap(), false);
        publish.delivery = match qos {
            Qos::AtMostOnce => Delivery::AtMostOnce,
            Qos::AtLeastOnce => Delivery::AtLeastOnce { packet_id, dup },
            Qos::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup },
        };
        self.send(Packet::Publish(publish)).await;
    }

    /// The client acknowledges the message with this identifier.
    pub(crate) async fn puback(&mut self, id: u16) -> ReasonCode {
        match self.recv().await {
            Packet::PubAck(ack) if ack.packet_id.get() == id => ack.reason,
            other => panic!("not PUBACK {id}: {other:?}"),
        }
    }

    /// Whether the client has had all that was sent: it is asked something and answers.
    ///
    /// An unknown PUBREL is answered at once by PUBCOMP, with an error and without harm; what comes before is returned.
    pub(crate) async fn before_echo(&mut self) -> Vec<Packet> {
        let packet_id = PacketId::new(u16::MAX).unwrap();
        self.send(Packet::PubRel(Ack::new(packet_id))).await;
        let mut before = Vec::new();
        loop {
            match self.recv().await {
                Packet::PubComp(ack) if ack.packet_id == packet_id => return before,
                other => before.push(other),
            }
        }
    }
}
