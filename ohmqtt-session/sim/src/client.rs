//! What the client and its application do in a run.

use std::time::Duration;

use ohmqtt_codec::{
    Disconnect, Filters, Qos, ReasonCode, SubscribeProperties, SubscriptionOptions, TopicFilter,
    TopicName, UnsubscribeFilters, UnsubscribeProperties,
};
use ohmqtt_session::{
    AliasPolicy, ClientSession, DisconnectCause, Message, ProtocolError, PublishError,
    PublishOptions, ServerSession, Session, SessionLoss, Ticket,
};

use crate::context::Context;
use crate::happening::Own;
use crate::link::Pipe;
use crate::room::Offer;
use crate::side::Side;
use crate::trace::{Failure, Result, rule};
use crate::watch::Wire;
use crate::world::{Connection, World};

const TOPICS: [&str; 4] = ["a", "b/c", "b/d", "a/rather/long/topic/name"];

impl World {
    /// The place of the connection at whose end the client is.
    pub(crate) fn client_at(&self) -> Option<usize> {
        let id = self.client_on?;
        self.connections
            .iter()
            .position(|connection| connection.wire.id == id)
    }

    /// A stream comes, when the client has none.
    pub(crate) fn connect(&mut self) -> Result {
        if self.client_on.is_some() {
            return Ok(());
        }
        self.last_connection += 1;
        let (id, now) = (self.last_connection, self.context.now);
        let config = self.context.server_config();
        let mut connection = Connection {
            wire: Wire {
                id,
                ..Wire::default()
            },
            up: Pipe::default(),
            down: Pipe::default(),
            server: ServerSession::new(now, config),
            is_served: true,
            asks: None,
            requests: Vec::new(),
        };
        connection.server.handle_connected(now);
        self.connections.push(connection);
        self.context
            .trace
            .line(|| format!("connection {id} begins"));
        self.context.plant.connected();
        self.context.abandoned = false;
        self.context.begun = self.context.now;
        self.context.activity += 1;
        self.client_on = Some(id);
        self.client.handle_connected(now);
        self.context.settle(Side::Client, &mut self.client)
    }

    pub(crate) fn write_client(&mut self) -> Result {
        let Some(at) = self.client_at() else {
            return Ok(());
        };
        let most = self.packets();
        let Connection { wire, up, .. } = &mut self.connections[at];
        self.context
            .write(Side::Client, &mut self.client, wire, up, most)?;
        self.hear_client()?;
        if self.client.poll_close() {
            self.leave_client()?;
        } else if most == usize::MAX {
            self.check_keep_alive()?;
        }
        Ok(())
    }

    /// How many packets are written at once.
    pub(crate) fn packets(&mut self) -> usize {
        if self.peace || self.context.rng.bool() {
            usize::MAX
        } else {
            self.context.rng.usize(1..4)
        }
    }

    pub(crate) fn read_client(&mut self, at: usize) -> Result {
        if self.client_at() != Some(at) {
            return Ok(());
        }
        let Connection { wire, down, .. } = &mut self.connections[at];
        while self
            .context
            .read(Side::Client, &mut self.client, wire, down)?
        {}
        self.hear_client()
    }

    /// The client lets go of its stream.
    pub(crate) fn leave_client(&mut self) -> Result {
        let Some(at) = self.client_at() else {
            return Ok(());
        };
        let Connection { wire, up, down, .. } = &mut self.connections[at];
        let id = wire.id;
        up.close(usize::MAX);
        down.forget();
        self.client_on = None;
        self.context.activity += 1;
        self.context
            .trace
            .line(|| format!("client leaves connection {id}"));
        self.client.handle_disconnected(self.context.now);
        self.context.settle(Side::Client, &mut self.client)?;
        self.hear_client()
    }

    pub(crate) fn hear_client(&mut self) -> Result {
        for own in std::mem::take(&mut self.context.own) {
            match own {
                Own::Connected { session_present } if !session_present => {
                    self.told = true;
                    if self.context.setup.session_loss == SessionLoss::Resend {
                        self.context.ledgers[Side::Client].sent_anew();
                    }
                }
                Own::Answered(ticket) => rule!(
                    self.requests.remove(&ticket),
                    "an answer to {ticket:?}, which was not asked, or answered before"
                ),
                // Where the application has let go of messages, nothing can mend the excess of the server but a new connection; nor
                // is it borne for ever.
                Own::Disconnected(DisconnectCause::Protocol(
                    ProtocolError::ReceiveMaximumExceeded { .. },
                )) if self.context.is_excess_over() => {}
                Own::Disconnected(DisconnectCause::Protocol(error)) => {
                    rule!(false, "the client finds fault with the server: {error}");
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) fn store_client(&mut self, all: bool) -> Result {
        self.context.store(Side::Client, &mut self.client, all)?;
        self.hear_client()
    }

    pub(crate) fn acknowledge_client(&mut self) -> Result {
        if !self.peace && self.context.chance(self.context.setup.rates.abandon) {
            return self.abandon_client();
        }
        while let Some((receipt, answer)) = self.context.answer(Side::Client, self.peace)? {
            self.client.acknowledge(receipt, answer);
            self.context.settle(Side::Client, &mut self.client)?;
            if !self.peace && self.context.rng.bool() {
                break;
            }
        }
        self.hear_client()
    }

    fn abandon_client(&mut self) -> Result {
        if let Some(receipt) = self.context.abandon()? {
            self.context.plant.abandon(&mut self.client, receipt);
            self.context.settle(Side::Client, &mut self.client)?;
        }
        self.hear_client()
    }

    pub(crate) fn publish_client(&mut self, qos: Option<Qos>) -> Result {
        let (message, options) = self.message(Side::Client, qos)?;
        let (before, size) = (self.client.queued(), message.size());
        let options = self.context.plant.options(Side::Client, options);
        let taken = self
            .client
            .publish(self.context.now, message.clone(), options);
        let offer = Offer {
            before,
            after: self.client.queued(),
            size,
            taken: taken.is_ok(),
        };
        if let Err(rejected) = taken {
            rule!(
                rejected.message == message,
                "a rejected message is given back changed"
            );
            check_rejection(&rejected.error)?;
            self.context.ledgers[Side::Client].withdraw()?;
        }
        self.context.settle(Side::Client, &mut self.client)?;
        self.context.offered(Side::Client, offer)?;
        self.hear_client()
    }

    /// The next message of a side, entered in its ledger.
    pub(crate) fn message(
        &mut self,
        side: Side,
        qos: Option<Qos>,
    ) -> Result<(Message, PublishOptions)> {
        let Context {
            rng,
            ledgers,
            now,
            trace,
            setup,
            payloads,
            ..
        } = &mut self.context;
        let (peace, ledger) = (self.peace, &mut ledgers[side]);
        let n = ledger.next();
        let qos = qos.unwrap_or_else(|| match rng.u8(..5) {
            0 => Qos::AtMostOnce,
            1 | 2 => Qos::AtLeastOnce,
            _ => Qos::ExactlyOnce,
        });
        let topic = TOPICS[rng.usize(..TOPICS.len())];
        let mut payload = n.to_be_bytes().to_vec();
        let padding = match rng.u8(..20) {
            _ if peace => 0,
            0 => rng.usize(..6000),
            1..=3 => rng.usize(..200),
            _ => 0,
        };
        payload.resize(payload.len() + padding, b'.');
        let name = TopicName::new(topic).map_err(|error| Failure(error.to_string()))?;
        let mut message = Message::new(name, payload);
        message.qos = qos;
        payloads[side].count(&mut message);
        let mut over = None;
        if !peace && rng.u32(..1000) < setup.rates.deadline {
            let seconds = rng.u32(1..100);
            message.properties.set_message_expiry_interval(seconds);
            over = Some(*now + Duration::from_secs(seconds.into()));
        }
        // Without a store a loss without a ticket could not be told from any other.
        let ticketed = qos == Qos::AtMostOnce || !setup.durable[side] || rng.u8(..8) > 0;
        let options = PublishOptions {
            ticket: if ticketed {
                Ticket(u64::from(n) + 1)
            } else {
                Ticket::NONE
            },
            deadline: (!peace && rng.u32(..1000) < setup.rates.deadline)
                .then(|| *now + Duration::from_secs(rng.u64(1..100))),
            alias: if rng.bool() {
                AliasPolicy::Try
            } else {
                AliasPolicy::Never
            },
            keep_offline: rng.bool(),
            via: None,
        };
        trace.line(|| format!("{side} publishes #{n} {qos:?} '{topic}' {padding} {options:?}"));
        ledger.submit(qos, topic, ticketed);
        let deadline = options.deadline;
        ledger.limit(over.into_iter().chain(deadline).min(), deadline);
        Ok((message, options))
    }

    /// The client subscribes or unsubscribes.
    pub(crate) fn request(&mut self) -> Result {
        self.last_request += 1;
        let ticket = Ticket(self.last_request);
        let filter = TopicFilter::new("a/+").map_err(|error| Failure(error.to_string()))?;
        let id = if self.context.rng.bool() {
            let filters = Filters::new(&filter, SubscriptionOptions::default())
                .map_err(|error| Failure(error.to_string()))?;
            self.client
                .subscribe(filters, SubscribeProperties::default(), ticket)
        } else {
            let filters = UnsubscribeFilters::new(&filter);
            self.client
                .unsubscribe(filters, UnsubscribeProperties::default(), ticket)
        };
        self.context
            .trace
            .line(|| format!("client asks {ticket:?}: {id:?}"));
        if id.is_ok() {
            self.requests.insert(ticket);
        }
        self.context.settle(Side::Client, &mut self.client)
    }

    /// One side says DISCONNECT.
    pub(crate) fn disconnect(&mut self) -> Result {
        if self.context.rng.bool() {
            self.context
                .trace
                .line(|| "client is to disconnect".to_owned());
            self.client
                .disconnect(Disconnect::new(ReasonCode::NORMAL_DISCONNECTION));
            return self.context.settle(Side::Client, &mut self.client);
        }
        self.disconnect_server()
    }

    /// The client's process ends and another begins.
    pub(crate) fn crash_client(&mut self) -> Result {
        self.context.trace.line(|| "client crashes".to_owned());
        let durable = self.context.setup.durable[Side::Client];
        if let Some(at) = self.client_at() {
            let Connection { up, down, .. } = &mut self.connections[at];
            let keep = self.context.rng.usize(..=up.under_way());
            up.close(keep);
            down.forget();
            self.client_on = None;
        }
        let survivors = self.context.disks[Side::Client].crash(&mut self.context.rng);
        self.context.committed(Side::Client, &survivors)?;
        self.context.ledgers[Side::Client].sender_crashed(durable);
        self.context.ledgers[Side::Server].receiver_crashed()?;
        self.context.inbox[Side::Client].clear();
        let Context {
            flights,
            disks,
            numbers,
            ledgers,
            ..
        } = &mut self.context;
        flights[Side::Client].restore(
            &disks[Side::Client],
            &numbers[Side::Client],
            &mut ledgers[Side::Client],
        )?;
        self.told = false;
        self.requests.clear();
        let mut config = self.context.client_config();
        // Without a store nothing is left to resume.
        config.connect.clean_start = !durable;
        self.client = ClientSession::new(config);
        self.context.reads[Side::Client] = None;
        self.load_client()
    }

    /// The session is read back at once, or while it is already in use.
    pub(crate) fn load_client(&mut self) -> Result {
        let now = self.context.rng.bool();
        self.context
            .read_store(Side::Client, &mut self.client, now, true)
    }

    pub(crate) fn timeouts(&mut self) -> Result {
        let now = self.context.now;
        if self.client.poll_timeout().is_some_and(|next| next <= now) {
            self.context.activity += 1;
            self.client.handle_timeout(now);
            self.context.settle(Side::Client, &mut self.client)?;
            self.hear_client()?;
            self.client.handle_timeout(now);
            let next = self.client.poll_timeout();
            rule!(
                next.is_none_or(|next| next > now),
                "the client's deadline {next:?} does not move at {now:?}"
            );
        }
        self.check_deadlines(Side::Client)?;
        self.timeouts_server()
    }
}

/// What a session may say to a message of a well-meaning application.
pub(crate) fn check_rejection(error: &PublishError) -> Result {
    let is_fair = matches!(
        error,
        PublishError::Full { .. }
            | PublishError::TooLargeForOutbox { .. }
            | PublishError::TooLarge { .. }
            | PublishError::QosNotSupported { .. }
    );
    rule!(is_fair, "a message is rejected: {error}");
    Ok(())
}
