//! What it costs to find who a message is for, among a hundred subscriptions and among a hundred thousand: in the topic tree alone, in a
//! client, from the bytes of the PUBLISH to its stream, and in a broker, from a publisher's bytes to a subscriber's.
//!
//! Each subscription has one filter, and one of them matches. A case is named by what finds, and the number of subscriptions.

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use ohmqtt_broker::{Broker, Limits as BrokerLimits};
use ohmqtt_client::{Client, Connect, Endpoint, Subscription, Transport, TransportError};
use ohmqtt_codec::{
    ConnAck, ConnAckProperties, ConnectProperties, EncodeBuf, Filters, Limits, MqttString, Packet,
    PacketId, Publish, ReasonCode, ReasonCodes, SubAck, SubAckProperties, SubscribeProperties,
    SubscriptionOptions, TopicFilter, TopicName, decode,
};
use ohmqtt_topics::{FilterTree, Ways};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use crate::{Case, Run};

/// What declaring returns.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// All cases, those that are to be compared one after the other.
pub const CASES: &[Case] = &[
    Case::new("tree/100", tree::<100>),
    Case::new("tree/100000", tree::<100_000>),
    Case::new("client/100", client::<100, false>),
    Case::new("client/100000", client::<100_000, false>),
    Case::new("client-identifiers/100", client::<100, true>),
    Case::new("client-identifiers/100000", client::<100_000, true>),
    Case::new("broker/100", broker::<100>),
    Case::new("broker/100000", broker::<100_000>),
];

/// The one that is published to, of however many.
const TARGET: usize = 57;

/// How many messages are under way at once.
const AT_ONCE: u64 = 32;

pub(crate) fn filter(n: usize) -> String {
    format!("site/{n}/temperature")
}

fn topic() -> TopicName {
    TopicName::new(filter(TARGET)).expect("a topic")
}

pub(crate) fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

/// So many messages, as many at once as may be under way.
fn batches(n: u64) -> impl Iterator<Item = u64> {
    let starts = (0..n).step_by(AT_ONCE.try_into().expect("small"));
    starts.map(move |start| AT_ONCE.min(n - start))
}

pub(crate) fn tree<const N: usize>() -> Run {
    let mut tree = FilterTree::<Vec<usize>>::new();
    for n in 0..N {
        let filter = TopicFilter::new(filter(n)).expect("a filter");
        tree.get_or_insert(&filter).expect("room").push(n);
    }
    let (topic, mut ways) = (topic(), Ways::default());
    Box::new(move |n| {
        for _ in 0..n {
            let mut found = 0;
            tree.visit_matches(black_box(&topic), &mut ways, |_, numbers| {
                found += numbers.len();
            });
            assert_eq!(found, 1);
        }
    })
}

/// The messages a client gets, as it says how many it wants.
struct Fed {
    runtime: Runtime,
    client: Client,
    inbox: Subscription,
    others: Vec<Subscription>,
    wanted: mpsc::UnboundedSender<u64>,
}

fn client<const N: usize, const IDENTIFIERS: bool>() -> Run {
    let mut fed = fed(N, IDENTIFIERS).expect("a client that is fed");
    Box::new(move |n| {
        assert_eq!((fed.others.len(), fed.client.metrics().dropped), (N - 1, 0));
        fed.runtime.block_on(async {
            for count in batches(n) {
                fed.wanted.send(count).expect("a server");
                for _ in 0..count {
                    black_box(fed.inbox.recv().await.expect("a message"));
                }
            }
        });
    })
}

fn fed(count: usize, identifiers: bool) -> Result<Fed> {
    let runtime = runtime();
    let (wanted, wants) = mpsc::unbounded_channel();
    let server = Server {
        identifiers,
        wants: Mutex::new(Some(wants)),
    };
    let client = {
        let _inside = runtime.enter();
        let builder = Client::builder("mqtt://in.memory").client_id("bench");
        builder.connector(server).start()?
    };
    let mut others = Vec::with_capacity(count);
    for n in 0..count {
        others.push(client.subscribe(filter(n)).send()?);
    }
    for inbox in &others {
        runtime.block_on(inbox.granted())?;
    }
    let inbox = others.swap_remove(TARGET);
    Ok(Fed {
        runtime,
        client,
        inbox,
        others,
        wanted,
    })
}

/// A server in memory that grants everything and sends messages when it is told to.
#[derive(Debug)]
struct Server {
    /// It gives messages the identifier of their subscription.
    identifiers: bool,
    /// How many messages it is to send. Taken by the one connection there is.
    wants: Mutex<Option<mpsc::UnboundedReceiver<u64>>>,
}

impl Connect for Server {
    fn connect<'a>(
        &'a self,
        _: &'a Endpoint,
    ) -> Pin<
        Box<
            dyn Future<Output = std::result::Result<Box<dyn Transport>, TransportError>>
                + Send
                + 'a,
        >,
    > {
        let (near, far) = duplex(256 * 1024);
        let mut wants = self.wants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wants) = wants.take() {
            tokio::spawn(serve(far, self.identifiers, wants));
        }
        Box::pin(async { Ok(Box::new(near) as Box<dyn Transport>) })
    }
}

async fn serve(
    mut stream: DuplexStream,
    identifiers: bool,
    mut wants: mpsc::UnboundedReceiver<u64>,
) {
    let mut read = BytesMut::new();
    let mut message = Publish::new(topic(), "21.5");
    loop {
        let answers = tokio::select! {
            got = stream.read_buf(&mut read) => match got {
                Ok(1..) => answers(&mut read, identifiers, &mut message),
                _ => return,
            },
            Some(count) = wants.recv() => {
                let bytes = bytes(&[Packet::Publish(message.clone())]);
                bytes.repeat(count.try_into().expect("a few")).into()
            }
        };
        if stream.write_all(&answers).await.is_err() {
            return;
        }
    }
}

/// What the server says to all packets that have come.
fn answers(read: &mut BytesMut, identifiers: bool, message: &mut Publish) -> Bytes {
    let mut answers = Vec::new();
    while let Some(packet) = decode(read, &Limits::default()).expect("packets") {
        match packet {
            Packet::Connect(_) => {
                let mut properties = ConnAckProperties::default();
                properties.set_subscription_identifier_available(identifiers);
                answers.push(Packet::ConnAck(Box::new(ConnAck {
                    session_present: false,
                    reason: ReasonCode::Success,
                    properties,
                })));
            }
            Packet::Subscribe(subscribe) => {
                let is_target = subscribe
                    .filters
                    .iter()
                    .any(|(own, _)| own.as_bytes() == topic().as_bytes());
                if let (true, Some(id)) =
                    (is_target, subscribe.properties.subscription_identifier())
                {
                    message.properties.add_subscription_identifier(id);
                }
                let codes = ReasonCodes::from_iter_nonempty([ReasonCode::GrantedQos2]);
                answers.push(Packet::SubAck(SubAck {
                    packet_id: subscribe.packet_id,
                    properties: SubAckProperties::default(),
                    codes: codes.expect("one"),
                }));
            }
            _ => {}
        }
    }
    bytes(&answers)
}

pub(crate) fn bytes(packets: &[Packet]) -> Bytes {
    let mut out = EncodeBuf::new();
    for packet in packets {
        packet.encode(&mut out).expect("small packets");
    }
    out.into_bytes()
}

/// A client of bare packets that subscribes, and publishes to itself.
pub(crate) fn broker<const N: usize>() -> Run {
    let runtime = runtime();
    let (broker, mut stream) = runtime.block_on(subscribed(N)).expect("a broker");
    // It comes back as it went: QoS 0, no retain, no properties.
    let message = bytes(&[Packet::Publish(Publish::new(topic(), "21.5"))]);
    let mut back = vec![0; message.len()];
    Box::new(move |n| {
        assert!(!broker.url().is_empty());
        runtime.block_on(async {
            for count in batches(n) {
                let all = message.repeat(count.try_into().expect("a few"));
                stream.write_all(&all).await.expect("a broker that reads");
                for _ in 0..count {
                    stream.read_exact(&mut back).await.expect("a message");
                    assert_eq!(back, message);
                }
            }
        });
    })
}

async fn subscribed(count: usize) -> Result<(Broker, TcpStream)> {
    let mut limits = BrokerLimits::default();
    limits.subscriptions = count;
    limits.subscription_bytes = usize::MAX;
    let broker = Broker::builder().limits(limits);
    let broker = broker.listen("mqtt://127.0.0.1:0").start().await?;
    let address = broker.url().trim_start_matches("mqtt://").to_owned();
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut read = BytesMut::new();
    let connect = ohmqtt_codec::Connect {
        client_id: MqttString::try_from("bench")?,
        clean_start: true,
        keep_alive: 0,
        properties: ConnectProperties::default(),
        will: None,
        user_name: None,
        password: None,
    };
    ask(&mut stream, &mut read, Packet::Connect(Box::new(connect))).await?;
    for start in (0..count).step_by(100) {
        let texts = (start..count.min(start + 100)).map(filter);
        let all: Vec<_> = texts
            .map(TopicFilter::new)
            .collect::<std::result::Result<_, _>>()?;
        let options = SubscriptionOptions::default();
        let mut filters = Filters::new(&all[0], options)?;
        for filter in &all[1..] {
            filters.push(filter, options)?;
        }
        let subscribe = Packet::Subscribe(ohmqtt_codec::Subscribe {
            packet_id: PacketId::new(1).ok_or("not 0")?,
            properties: SubscribeProperties::default(),
            filters,
        });
        let Packet::SubAck(suback) = ask(&mut stream, &mut read, subscribe).await? else {
            return Err("no SUBACK".into());
        };
        if suback.codes.iter().any(ReasonCode::is_error) {
            return Err("a subscription was refused".into());
        }
    }
    Ok((broker, stream))
}

/// Sends a packet and waits for the answer.
pub(crate) async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    read: &mut BytesMut,
    packet: Packet,
) -> Result<Packet> {
    stream.write_all(&bytes(&[packet])).await?;
    loop {
        if let Some(answer) = decode(read, &Limits::default())? {
            return Ok(answer);
        }
        if stream.read_buf(read).await? == 0 {
            return Err("the broker hung up".into());
        }
    }
}

/// How long it takes to declare so many subscriptions before there is a connection.
pub fn declaring(count: usize) -> Result<Duration> {
    let runtime = runtime();
    let _inside = runtime.enter();
    let builder = Client::builder("mqtt://in.memory").client_id("bench");
    let nobody = Server {
        identifiers: true,
        wants: Mutex::new(None),
    };
    let client = builder.connector(nobody).start()?;
    let start = Instant::now();
    let mut all = Vec::with_capacity(count);
    for n in 0..count {
        all.push(client.subscribe(filter(n)).send()?);
    }
    Ok(start.elapsed())
}

impl std::fmt::Debug for Fed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fed").finish_non_exhaustive()
    }
}

impl Drop for Fed {
    /// A hundred thousand UNSUBSCRIBEs are no part of what is measured.
    fn drop(&mut self) {
        let _inside = self.runtime.enter();
        self.runtime.block_on(self.client.close(Duration::ZERO));
    }
}
