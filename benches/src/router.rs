//! What the broker's router costs as subscriptions grow to a million, topics deeper and matches more; and what a delivery costs each
//! subscriber as payloads grow.

use std::hint::black_box;

use bytes::BytesMut;
use ohmqtt_broker::Broker;
use ohmqtt_codec::{
    ConnectProperties, Filters, MqttString, Packet, PacketId, Publish, SubscribeProperties,
    SubscriptionOptions, TopicFilter, TopicName,
};
use ohmqtt_topics::{FilterTree, Ways};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::dispatch::{Result, ask, broker, bytes, runtime, tree};
use crate::{Case, Run};

/// How many clients a message of a fan-out goes to.
pub const SUBSCRIBERS: usize = 50;

/// All cases: by the number of subscriptions, of levels, of matches, and by the bytes of a payload.
pub const CASES: &[Case] = &[
    Case::new("tree/100", tree::<100>),
    Case::new("tree/10000", tree::<10_000>),
    Case::new("tree/1000000", tree::<1_000_000>),
    Case::new("broker/100", broker::<100>),
    Case::new("broker/10000", broker::<10_000>),
    Case::new("levels/4", levels::<4>),
    Case::new("levels/8", levels::<8>),
    Case::new("levels/16", levels::<16>),
    Case::new("matches/1", matches::<1>),
    Case::new("matches/10", matches::<10>),
    Case::new("matches/100", matches::<100>),
    Case::new("fanout/256", fan_out::<256>),
    Case::new("fanout/65536", fan_out::<65_536>),
];

/// Ten thousand subscriptions to topics of so many levels.
fn levels<const LEVELS: usize>() -> Run {
    let above = "level/".repeat(LEVELS - 1);
    found(10_000, 1, |n| format!("{above}{n}"))
}

/// Ten thousand subscriptions, so many of which have the filter that matches.
fn matches<const MATCHES: usize>() -> Run {
    found(10_000, MATCHES, |n| {
        format!("a/b/{}", n.saturating_sub(MATCHES - 1))
    })
}

/// Finds who a message on the first of these topics is for.
fn found(count: usize, want: usize, filter: impl Fn(usize) -> String) -> Run {
    let mut tree = FilterTree::<Vec<usize>>::new();
    for n in 0..count {
        let filter = TopicFilter::new(filter(n)).expect("a filter");
        tree.get_or_insert(&filter).expect("room").push(n);
    }
    let topic = TopicName::new(filter(0)).expect("a topic");
    let mut ways = Ways::default();
    let mut all = Vec::new();
    Box::new(move |n| {
        for _ in 0..n {
            all.clear();
            tree.visit_matches(black_box(&topic), &mut ways, |_, numbers| {
                all.extend(numbers.iter().copied());
            });
            assert_eq!(all.len(), want);
        }
    })
}

/// A publisher and its subscribers, all of them bare streams on one thread with the broker.
fn fan_out<const PAYLOAD: usize>() -> Run {
    let runtime = runtime();
    let message = Publish::new(TopicName::new("t").expect("a topic"), vec![b'x'; PAYLOAD]);
    let message = bytes(&[Packet::Publish(message)]);
    let (broker, mut publisher, mut subscribers) = runtime.block_on(clients()).expect("a broker");
    let mut back = vec![0; message.len()];
    Box::new(move |n| {
        assert!(!broker.url().is_empty());
        runtime.block_on(async {
            for _ in 0..n {
                publisher
                    .write_all(&message)
                    .await
                    .expect("a broker that reads");
                for subscriber in &mut subscribers {
                    subscriber.read_exact(&mut back).await.expect("a message");
                    assert_eq!(back, message);
                }
            }
        });
    })
}

async fn clients() -> Result<(Broker, TcpStream, Vec<TcpStream>)> {
    let broker = Broker::builder()
        .listen("mqtt://127.0.0.1:0")
        .start()
        .await?;
    let publisher = connected(&broker, "publisher").await?;
    let mut subscribers = Vec::new();
    for n in 0..SUBSCRIBERS {
        let mut stream = connected(&broker, &n.to_string()).await?;
        let subscribe = Packet::Subscribe(ohmqtt_codec::Subscribe {
            packet_id: PacketId::new(1).ok_or("not 0")?,
            properties: SubscribeProperties::default(),
            filters: Filters::new(&TopicFilter::new("t")?, SubscriptionOptions::default())?,
        });
        ask(&mut stream, &mut BytesMut::new(), subscribe).await?;
        subscribers.push(stream);
    }
    Ok((broker, publisher, subscribers))
}

async fn connected(broker: &Broker, id: &str) -> Result<TcpStream> {
    let address = broker.url().trim_start_matches("mqtt://").to_owned();
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let connect = Packet::Connect(Box::new(ohmqtt_codec::Connect {
        client_id: MqttString::try_from(id)?,
        clean_start: true,
        keep_alive: 0,
        properties: ConnectProperties::default(),
        will: None,
        user_name: None,
        password: None,
    }));
    ask(&mut stream, &mut BytesMut::new(), connect).await?;
    Ok(stream)
}
