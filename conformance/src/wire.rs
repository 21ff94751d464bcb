//! A connection: bytes out, packets in. It knows what was promised to the server's client and when to give up, and no other rule.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::bytes::{
    CONNACK, Connect, DISCONNECT, PING, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL,
};
use crate::bytes::{Publish, SUBACK, UNSUBACK, ack, disconnect, show, subscribe, unsubscribe};
use crate::fault::{Fault, Outcome, fault, holds, same};
use crate::packet::Packet;
use crate::table::NAMES;

/// How long anything that has to come may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(12);

/// After so long without a word a server that should close is asked whether it is there.
const DOUBT: Duration = Duration::from_millis(1_500);

/// What went over the connections of a check, a line for each write and packet.
pub(crate) type Script = Rc<RefCell<Vec<String>>>;

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    name: String,
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Messages that came while something else was waited for.
    aside: VecDeque<Packet>,
    aliases: HashMap<u16, Vec<u8>>,
    alias_maximum: u16,
    size: usize,
    last_id: u16,
    script: Script,
}

/// What a connection gives next.
#[derive(Debug)]
enum Next {
    Packet(Box<Packet>),
    End,
    Silence,
}

impl Wire {
    pub(crate) fn new(name: &str, stream: TcpStream, script: Script) -> Self {
        Self {
            name: name.to_owned(),
            stream,
            buffer: Vec::new(),
            aside: VecDeque::new(),
            aliases: HashMap::new(),
            alias_maximum: 0,
            size: usize::MAX,
            last_id: 0,
            script,
        }
    }

    fn note(&self, what: &str) {
        let line = format!("{} {what}", self.name);
        self.script.borrow_mut().push(line);
    }

    /// Writes these bytes. That the server has closed is found by who reads.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.note(&format!("sent {}", show(bytes.as_ref())));
        if let Err(error) = self.stream.write_all(bytes.as_ref()) {
            self.note(&format!("could not send: {error}"));
        }
    }

    fn poll(&mut self, patience: Duration) -> Outcome<Next> {
        let until = Instant::now() + patience;
        loop {
            match Packet::take(&mut self.buffer) {
                Ok(Some(packet)) => return self.judge(packet),
                Ok(None) => {}
                Err(why) => return fault("a packet that a server may send", why),
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Next::Silence);
            }
            let mut chunk = [0; 16 * 1024];
            let read = self.stream.set_read_timeout(Some(left));
            match read.and_then(|()| self.stream.read(&mut chunk)) {
                Ok(0) => {
                    self.note("was closed");
                    return Ok(Next::End);
                }
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                    // A server that closes before it has read everything resets the connection.
                    kind => {
                        self.note(&format!("was closed: {kind}"));
                        return Ok(Next::End);
                    }
                },
            }
        }
    }

    /// What only who has sent the CONNECT knows of a packet.
    fn judge(&mut self, mut packet: Packet) -> Outcome<Next> {
        self.note(&format!("got  {packet}"));
        if packet.bytes.len() > self.size {
            let wanted = format!("no packet above {} bytes", self.size);
            return fault(wanted, packet.to_string());
        }
        if let Some(alias) = packet.number(0x23).filter(|_| packet.kind == PUBLISH) {
            let alias = u16::try_from(alias).unwrap_or(u16::MAX);
            let wanted = format!("no topic alias above {}", self.alias_maximum);
            holds(alias <= self.alias_maximum, &wanted, alias)?;
            if packet.topic.is_empty() {
                match self.aliases.get(&alias) {
                    Some(topic) => packet.topic.clone_from(topic),
                    None => return fault("an alias that names a topic", packet.to_string()),
                }
            } else {
                self.aliases.insert(alias, packet.topic.clone());
            }
        }
        Ok(Next::Packet(packet.into()))
    }

    /// The next packet, whatever it is.
    pub(crate) fn next(&mut self) -> Outcome<Packet> {
        self.wait("a packet")
    }

    /// The next packet, or nothing at the end.
    pub(crate) fn answer(&mut self) -> Outcome<Option<Packet>> {
        match self.poll(PATIENCE)? {
            Next::Packet(packet) => Ok(Some(*packet)),
            Next::End => Ok(None),
            Next::Silence => fault("an answer", format!("nothing within {PATIENCE:?}")),
        }
    }

    fn wait(&mut self, wanted: &str) -> Outcome<Packet> {
        match self.poll(PATIENCE)? {
            Next::Packet(packet) => Ok(*packet),
            Next::End => fault(wanted, "the connection was closed"),
            Next::Silence => fault(wanted, format!("nothing within {PATIENCE:?}")),
        }
    }

    /// The next packet, which is of this kind. Messages that come before it are set aside for who asks for them.
    pub(crate) fn expect(&mut self, kind: u8) -> Outcome<Packet> {
        let name = NAMES[usize::from(kind)];
        if kind == PUBLISH
            && let Some(packet) = self.aside.pop_front()
        {
            return Ok(packet);
        }
        loop {
            match self.wait(name)? {
                packet if packet.kind == kind => return Ok(packet),
                packet if packet.kind == PUBLISH => self.aside.push_back(packet),
                other => return fault(name, other.to_string()),
            }
        }
    }

    /// The acknowledgement of this kind, with this identifier; its reason code.
    pub(crate) fn expect_ack(&mut self, kind: u8, id: u16) -> Outcome<u8> {
        let packet = self.expect(kind)?;
        same("its Packet Identifier", &packet.id, &id)?;
        Ok(packet.reason)
    }

    /// Nothing is on its way, which the answer to a PINGREQ proves: to the second one, as a server may answer before it sends a
    /// message that waits, and has sent it before it takes the next packet.
    pub(crate) fn nothing(&mut self) -> Outcome {
        let packets = self.everything()?;
        match packets.first() {
            None => Ok(()),
            Some(packet) => fault("nothing but PINGRESP", packet.to_string()),
        }
    }

    /// All that is on its way.
    pub(crate) fn everything(&mut self) -> Outcome<Vec<Packet>> {
        let mut packets: Vec<Packet> = self.aside.drain(..).collect();
        for _ in 0..2 {
            self.send(PING);
            loop {
                match self.wait("PINGRESP")? {
                    packet if packet.kind == PINGRESP => break,
                    packet => packets.push(packet),
                }
            }
        }
        Ok(packets)
    }

    /// The server closes the connection, and may say a DISCONNECT before; its reason.
    pub(crate) fn closed(&mut self) -> Outcome<Option<u8>> {
        let mut reason = None;
        let mut patience = DOUBT;
        loop {
            match self.poll(patience)? {
                Next::End => return Ok(reason),
                Next::Packet(packet) if packet.kind == DISCONNECT && reason.is_none() => {
                    reason = Some(packet.reason);
                }
                Next::Packet(packet) => {
                    return fault("the end of the connection", packet.to_string());
                }
                Next::Silence if patience == DOUBT => {
                    patience = PATIENCE;
                    self.send(PING);
                }
                Next::Silence => {
                    let came = format!("it is open after {PATIENCE:?}");
                    return fault("the end of the connection", came);
                }
            }
        }
    }

    /// The server refuses what was sent: it closes, and the DISCONNECT before that, if there is one, tells of an error.
    pub(crate) fn refused(&mut self) -> Outcome<Option<u8>> {
        let reason = self.closed()?;
        let is_error = reason.is_none_or(|reason| reason >= 0x80);
        holds(is_error, "a reason code of at least 0x80", reason)?;
        Ok(reason)
    }

    /// The server closes without having accepted a CONNECT; the reason of its CONNACK, if there was one.
    pub(crate) fn turned_away(&mut self) -> Outcome<Option<u8>> {
        let wanted = "the end of the connection, after a CONNACK at most";
        let mut reason = None;
        loop {
            // It is not asked whether it is there: a PINGREQ is no CONNECT, and would be a reason to close.
            match self.poll(PATIENCE)? {
                Next::End => return Ok(reason),
                Next::Packet(packet)
                    if packet.kind == CONNACK && packet.reason >= 0x80 && reason.is_none() =>
                {
                    same("Session Present", &packet.session_present, &false)?;
                    reason = Some(packet.reason);
                }
                Next::Packet(packet) => return fault(wanted, packet.to_string()),
                Next::Silence => return fault(wanted, format!("it is open after {PATIENCE:?}")),
            }
        }
    }

    /// Says CONNECT and returns the answer.
    pub(crate) fn connect(&mut self, connect: &Connect) -> Outcome<Packet> {
        (self.size, self.alias_maximum) = (connect.size, connect.aliases);
        self.send(connect.bytes());
        let connack = self.next()?;
        same("a CONNACK", &connack.kind, &CONNACK)?;
        Ok(connack)
    }

    /// A Packet Identifier that was not used on this wire.
    pub(crate) fn id(&mut self) -> u16 {
        self.last_id += 1;
        self.last_id
    }

    /// Publishes and does the flow of its QoS; the reason code of PUBACK or PUBREC.
    pub(crate) fn publish(&mut self, publish: &Publish) -> Outcome<u8> {
        let mut publish = publish.clone();
        if publish.qos > 0 && publish.id == 0 {
            publish.id = self.id();
        }
        self.send(publish.bytes());
        match publish.qos {
            0 => Ok(0),
            1 => self.expect_ack(PUBACK, publish.id),
            _ => {
                let reason = self.expect_ack(PUBREC, publish.id)?;
                if reason < 0x80 {
                    self.send(ack(PUBREL, publish.id, 0));
                    self.expect_ack(PUBCOMP, publish.id)?;
                }
                Ok(reason)
            }
        }
    }

    /// Publishes all of them, each of which the server is to take.
    pub(crate) fn publish_all(&mut self, messages: &[Publish]) -> Outcome {
        for message in messages {
            let reason = self.publish(message)?;
            holds(reason < 0x80, "a message that is taken", reason)?;
        }
        Ok(())
    }

    /// Subscribes to one filter, which is to be granted.
    pub(crate) fn subscribe(&mut self, filter: &str, options: u8) -> Outcome {
        let codes = self.subscribe_all(&[], &[(filter, options)])?;
        same("the codes of SUBACK", &codes, &vec![options & 3])
    }

    /// Subscribes to all of them; the codes of SUBACK.
    pub(crate) fn subscribe_all(
        &mut self,
        properties: &[u8],
        filters: &[(&str, u8)],
    ) -> Outcome<Vec<u8>> {
        let id = self.id();
        self.send(subscribe(id, properties, filters));
        let suback = self.expect(SUBACK)?;
        same("the Packet Identifier of SUBACK", &suback.id, &id)?;
        Ok(suback.rest)
    }

    /// Unsubscribes from all of them; the codes of UNSUBACK.
    pub(crate) fn unsubscribe(&mut self, filters: &[&str]) -> Outcome<Vec<u8>> {
        let id = self.id();
        self.send(unsubscribe(id, filters));
        let unsuback = self.expect(UNSUBACK)?;
        same("the Packet Identifier of UNSUBACK", &unsuback.id, &id)?;
        Ok(unsuback.rest)
    }

    /// The next message; its flow is done.
    pub(crate) fn message(&mut self) -> Outcome<Packet> {
        let message = self.expect(PUBLISH)?;
        match message.qos {
            0 => {}
            1 => self.send(ack(PUBACK, message.id, 0)),
            _ => {
                self.send(ack(PUBREC, message.id, 0));
                self.release(message.id)?;
            }
        }
        Ok(message)
    }

    /// PUBREL is to come for this identifier, and is answered.
    pub(crate) fn release(&mut self, id: u16) -> Outcome {
        let reason = self.expect_ack(PUBREL, id)?;
        same("the reason of PUBREL", &reason, &0)?;
        self.send(ack(PUBCOMP, id, 0));
        Ok(())
    }

    /// The next messages have these payloads, in this order, and there are no more.
    pub(crate) fn payloads(&mut self, wanted: &[&str]) -> Outcome {
        for payload in wanted {
            let message = self.message()?;
            let came = String::from_utf8_lossy(&message.rest).into_owned();
            same("the next payload", &came.as_str(), payload)?;
        }
        self.nothing()
    }

    /// Says DISCONNECT with this reason and waits for the end, at which the server has taken note of it.
    pub(crate) fn leave(self, reason: u8) -> Outcome {
        self.leave_with(reason, &[])
    }

    /// The same with properties.
    pub(crate) fn leave_with(mut self, reason: u8, properties: &[u8]) -> Outcome {
        self.send(disconnect(reason, properties));
        match self.poll(PATIENCE)? {
            Next::End => Ok(()),
            Next::Packet(packet) => fault("the end of the connection", packet.to_string()),
            Next::Silence => fault("the end of the connection", "it is open"),
        }
    }

    /// Ends the connection without a word.
    pub(crate) fn cut(self) {
        self.note("was cut");
        // One that has ended already is as good.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self {
            wanted: "a connection".to_owned(),
            came: error.to_string(),
        }
    }
}
