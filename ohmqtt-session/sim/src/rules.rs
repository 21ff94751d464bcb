//! What the wire observer demands of each packet, sent and received. Written from the specification; sections are named.

use std::num::{NonZeroU16, NonZeroU32};

use ohmqtt_codec::{
    Ack, ConnAck, Connect, Delivery, Disconnect, Packet, PacketId, Publish, PublishTopic, Qos,
    ReasonCode, TopicAlias,
};
use ohmqtt_session::{Instant, Record};

use crate::context::Context;
use crate::side::Side;
use crate::trace::{Failure, Result, number, rule};
use crate::watch::{Accepts, Flight, State, Wire};

/// Checks a packet that a side has written, as it was read back from its bytes.
pub(crate) fn sent(context: &mut Context, side: Side, wire: &mut Wire, packet: &Packet) -> Result {
    let name = packet.packet_type();
    // 3.14.4: nothing follows a DISCONNECT.
    rule!(
        !wire.over[side],
        "the {side} sends {name} after its last packet"
    );
    // 3.1.0, 3.2.0: CONNECT and CONNACK are the first packets.
    if side == Side::Client {
        let first = !wire.connect;
        rule!(
            first == matches!(packet, Packet::Connect(_)),
            "the client sends {name}, first packet: {first}"
        );
    } else {
        let first = !wire.accepted;
        rule!(
            first == matches!(packet, Packet::ConnAck(_)),
            "the server sends {name}, first packet: {first}"
        );
    }
    let (length, limit) = (packet.encoded_len(), wire.accepts[side.other()].packet_size);
    rule!(
        u32::try_from(length).is_ok_and(|length| length <= limit),
        "{name} has {length} bytes and the other side accepts {limit}"
    );
    match packet {
        Packet::Connect(connect) => sent_connect(context, wire, connect),
        Packet::ConnAck(connack) => sent_connack(wire, connack),
        Packet::Publish(publish) => sent_publish(context, side, wire, publish)?,
        Packet::PubAck(ack) => {
            let want = wire.to_ack[side].pop_front();
            // 4.6: PUBACKs in the order of the PUBLISHes.
            rule!(
                want == Some(ack.packet_id),
                "PUBACK id {} by the {side}, and id {want:?} comes next",
                ack.packet_id.get()
            );
            acknowledges(context, side, ack.packet_id)?;
        }
        Packet::PubRec(ack) => sent_pubrec(context, side, wire, ack)?,
        Packet::PubRel(ack) => sent_pubrel(context, side, wire, ack)?,
        Packet::PubComp(ack) => sent_pubcomp(context, side, wire, ack)?,
        Packet::Subscribe(_) | Packet::Unsubscribe(_) | Packet::PingReq if side == Side::Server => {
            rule!(false, "the server sends {name}");
        }
        Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp if side == Side::Client => {
            rule!(false, "the client sends {name}");
        }
        Packet::Subscribe(subscribe) => sent_request(context, wire, subscribe.packet_id)?,
        Packet::Unsubscribe(unsubscribe) => sent_request(context, wire, unsubscribe.packet_id)?,
        Packet::PingReq => sent_pingreq(wire, context.now)?,
        Packet::Disconnect(disconnect) => sent_disconnect(context, side, wire, disconnect)?,
        Packet::Auth(_) => rule!(false, "AUTH, and CONNECT named no method"),
        Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {}
    }
    if side == Side::Client {
        wire.last_sent = context.now;
    }
    Ok(())
}

fn sent_connect(context: &Context, wire: &mut Wire, connect: &Connect) {
    wire.connect = true;
    (wire.begun, wire.last_sent) = (context.now, context.now);
    wire.keep_alive = connect.keep_alive;
    let said = &connect.properties;
    wire.accepts[Side::Client] = Accepts {
        receive_maximum: context.setup.exceeds(said.receive_maximum()).get(),
        packet_size: said.maximum_packet_size().map_or(u32::MAX, NonZeroU32::get),
        alias_maximum: said.topic_alias_maximum().unwrap_or(0),
    };
}

fn sent_connack(wire: &mut Wire, connack: &ConnAck) {
    wire.accepted = true;
    wire.over[Side::Server] = connack.reason.is_error();
    let said = &connack.properties;
    wire.accepts[Side::Server] = Accepts {
        receive_maximum: said.receive_maximum().map_or(u16::MAX, NonZeroU16::get),
        packet_size: said.maximum_packet_size().map_or(u32::MAX, NonZeroU32::get),
        alias_maximum: said.topic_alias_maximum().unwrap_or(0),
    };
}

fn sent_publish(context: &mut Context, side: Side, wire: &mut Wire, publish: &Publish) -> Result {
    sent_topic(side, wire, publish)?;
    let Some(n) = number(&publish.payload) else {
        return Err(Failure("PUBLISH of a payload that nobody published".into()));
    };
    let qos = publish.delivery.qos();
    let new = publish
        .delivery
        .packet_id()
        .is_none_or(|id| !context.flights[side].by_id.contains_key(&id));
    let how = (new, publish.delivery.dup());
    context.ledgers[side].leaves(n, qos, how, context.now)?;
    // 4.6: in order, what goes again among it.
    let last = &mut wire.last[side][usize::from(qos != Qos::AtMostOnce)];
    rule!(
        last.is_none_or(|last| last < n),
        "the {side} sends #{n} after #{}",
        last.unwrap_or_default()
    );
    *last = Some(n);
    let (Delivery::AtLeastOnce { packet_id: id, dup }
    | Delivery::ExactlyOnce { packet_id: id, dup }) = publish.delivery
    else {
        return Ok(());
    };
    let flights = &mut context.flights[side].by_id;
    match flights.get_mut(&id) {
        None => {
            rule!(
                !flights.values().any(|flight| flight.n == n),
                "#{n} goes under a second identifier"
            );
            let flight = Flight {
                n,
                qos,
                state: State::Published,
                connection: wire.id,
            };
            flights.insert(id, flight);
        }
        Some(flight) => {
            // 2.2.1: no identifier stands for two things.
            rule!(
                flight.n == n,
                "#{n} takes id {}, which is in use for #{}",
                id.get(),
                flight.n
            );
            // 4.3.3: not again once PUBREL was due.
            rule!(
                flight.state == State::Published,
                "#{n} goes again after its PUBREC"
            );
            // 4.4: again on a new connection only.
            rule!(
                flight.connection != wire.id,
                "#{n} goes twice on one connection"
            );
            rule!(dup, "#{n} goes again with DUP 0");
            flight.connection = wire.id;
        }
    }
    // 2.2.1: SUBSCRIBE and PUBLISH share the identifiers.
    rule!(
        side == Side::Server || !wire.requests.contains(&id),
        "#{n} takes id {}, which a request uses",
        id.get()
    );
    // 4.9: never more than the Receive Maximum.
    wire.unacknowledged[side].insert(id);
    let (under_way, maximum) = (
        wire.unacknowledged[side].len(),
        wire.accepts[side.other()].receive_maximum,
    );
    rule!(
        under_way <= usize::from(maximum),
        "{under_way} unacknowledged messages of the {side}, and the Receive Maximum is {maximum}"
    );
    let stored = context.disks[side].records().any(|record| {
        matches!(record, Record::Message { packet_id, message, .. }
            if *packet_id == Some(id) && number(&message.payload) == Some(n))
    });
    rule!(
        stored || !context.setup.durable[side],
        "#{n} goes before its record is stored with id {}",
        id.get()
    );
    Ok(())
}

/// 3.3.2.3.4: an alias is within the maximum, and stands for something on this connection.
fn sent_topic(side: Side, wire: &mut Wire, publish: &Publish) -> Result {
    let Some(alias) = publish.properties.topic_alias().map(TopicAlias::get) else {
        return Ok(());
    };
    let maximum = wire.accepts[side.other()].alias_maximum;
    rule!(
        alias <= maximum,
        "topic alias {alias}, and the other side accepts {maximum}"
    );
    match &publish.topic {
        PublishTopic::Name(topic) => {
            wire.aliases[side].insert(alias, topic.as_str().to_owned());
        }
        PublishTopic::Alias(_) => rule!(
            wire.aliases[side].contains_key(&alias),
            "topic alias {alias} stands for nothing on this connection"
        ),
    }
    Ok(())
}

/// An application has given its word on each message that is acknowledged.
fn acknowledges(context: &mut Context, side: Side, id: PacketId) -> Result {
    let flight = context.flights[side.other()].by_id.get(&id);
    match flight.map(|flight| flight.n) {
        Some(n) => context.ledgers[side.other()].acknowledges(n),
        None => Ok(()),
    }
}

fn sent_pubrec(context: &mut Context, side: Side, wire: &mut Wire, ack: &Ack) -> Result {
    let (id, want) = (ack.packet_id, wire.to_rec[side].pop_front());
    // 4.6: PUBRECs in the order of the PUBLISHes.
    rule!(
        want == Some(id),
        "PUBREC id {} by the {side}, and id {want:?} comes next",
        id.get()
    );
    rule!(
        ack.reason.is_error()
            || !context.setup.durable[side]
            || context.disks[side].has_received(id),
        "PUBREC id {} by the {side} before that is stored",
        id.get()
    );
    acknowledges(context, side, id)
}

fn sent_pubrel(context: &mut Context, side: Side, wire: &mut Wire, ack: &Ack) -> Result {
    let id = ack.packet_id;
    let flight = context.flights[side].by_id.get_mut(&id);
    if ack.reason == ReasonCode::PacketIdentifierNotFound {
        rule!(
            flight.is_none(),
            "PUBREL id {} says that the identifier is unknown",
            id.get()
        );
        return Ok(());
    }
    let Some(flight) = flight else {
        // A message that is given up after it was read back may have been sent, as far as its sender knows.
        if context.flights[side].perhaps.contains(&id) {
            return Ok(());
        }
        return Err(Failure(format!("PUBREL of the unknown id {}", id.get())));
    };
    match flight.state {
        // 4.6: PUBRELs in the order of the PUBRECs.
        State::Released(order) => {
            rule!(
                wire.last_release[side] < order,
                "PUBREL id {} by the {side} out of order, or twice on one connection",
                id.get()
            );
            wire.last_release[side] = order;
        }
        State::GivenUp => {}
        State::Published => rule!(false, "PUBREL id {} before its PUBREC", id.get()),
    }
    flight.connection = wire.id;
    let stored = context.disks[side]
        .records()
        .any(|record| matches!(record, Record::Released { packet_id, .. } if *packet_id == id));
    rule!(
        stored || !context.setup.durable[side],
        "PUBREL id {} by the {side} before that is stored",
        id.get()
    );
    Ok(())
}

fn sent_pubcomp(context: &Context, side: Side, wire: &mut Wire, ack: &Ack) -> Result {
    let id = ack.packet_id;
    let Some(at) = wire.to_comp[side].iter().position(|waiting| *waiting == id) else {
        return Err(Failure(format!("PUBCOMP id {} of no PUBREL", id.get())));
    };
    wire.to_comp[side].remove(at);
    // With PUBCOMP the other side may use the identifier anew.
    rule!(
        !context.disks[side].has_received(id),
        "PUBCOMP id {} by the {side} before its store has let it go",
        id.get()
    );
    Ok(())
}

fn sent_request(context: &Context, wire: &mut Wire, id: PacketId) -> Result {
    rule!(
        !context.flights[Side::Client].by_id.contains_key(&id) && wire.requests.insert(id),
        "a request takes id {}, which is in use",
        id.get()
    );
    Ok(())
}

fn sent_pingreq(wire: &mut Wire, now: Instant) -> Result {
    rule!(wire.keep_alive > 0, "PINGREQ without a Keep Alive");
    wire.pings += 1;
    let elapsed = now.since(wire.begun).as_secs();
    rule!(
        wire.pings * u64::from(wire.keep_alive) <= elapsed,
        "PINGREQ number {} after {elapsed} s, and the Keep Alive is {} s",
        wire.pings,
        wire.keep_alive
    );
    Ok(())
}

fn sent_disconnect(
    context: &Context,
    side: Side,
    wire: &mut Wire,
    disconnect: &Disconnect,
) -> Result {
    wire.over[side] = true;
    let reason = disconnect.reason;
    let is_fair = context.may_say.contains(&(side, reason));
    rule!(
        is_fair,
        "the {side} says DISCONNECT {reason}, for no reason"
    );
    Ok(())
}

/// Takes note of a packet that a side is about to read.
pub(crate) fn received(
    context: &mut Context,
    side: Side,
    wire: &mut Wire,
    packet: &Packet,
) -> Result {
    match packet {
        Packet::ConnAck(connack) => {
            if let Some(keep_alive) = connack.properties.server_keep_alive() {
                wire.keep_alive = keep_alive;
            }
            if !connack.session_present && !connack.reason.is_error() {
                context.flights[Side::Client].clear();
            }
        }
        Packet::Publish(publish) => match publish.delivery {
            Delivery::AtMostOnce => {}
            Delivery::AtLeastOnce { packet_id, .. } => wire.to_ack[side].push_back(packet_id),
            Delivery::ExactlyOnce { packet_id, .. } => wire.to_rec[side].push_back(packet_id),
        },
        Packet::PubAck(ack) | Packet::PubComp(ack) => ends(context, side, wire, ack.packet_id)?,
        Packet::PubRec(ack) if ack.reason.is_error() => ends(context, side, wire, ack.packet_id)?,
        Packet::PubRec(ack) => {
            let flights = &mut context.flights[side];
            let order = flights.release();
            if let Some(flight) = flights.by_id.get_mut(&ack.packet_id)
                && flight.state == State::Published
            {
                flight.state = State::Released(order);
            }
        }
        Packet::PubRel(ack) => wire.to_comp[side].push(ack.packet_id),
        Packet::SubAck(suback) | Packet::UnsubAck(suback) => {
            wire.requests.remove(&suback.packet_id);
        }
        _ => {}
    }
    Ok(())
}

fn ends(context: &mut Context, side: Side, wire: &mut Wire, id: PacketId) -> Result {
    wire.unacknowledged[side].remove(&id);
    context.flights[side].perhaps.remove(&id);
    if let Some(flight) = context.flights[side].by_id.remove(&id) {
        context.ledgers[side].ends(flight.n)?;
    }
    Ok(())
}
