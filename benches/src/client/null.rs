//! The null broker: it acknowledges all it gets and sends what it is asked for, in bytes that are written down here, without a codec.
//!
//! It believes its one client: a faulty packet is no case of a bench.

/// The topic of every message, of 24 bytes.
pub const TOPIC: &str = "factory/line1/press/temp";
/// The bytes of a payload.
pub const PAYLOAD: usize = 256;
/// What stands between the first byte of a PUBLISH and its Packet Identifier.
const TOPIC_END: usize = 1 + 2 + 2 + TOPIC.len();

/// How many messages of QoS 1 it has under way at once.
const WINDOW: u64 = 1_000;
/// How many bytes may wait to be read before it sends no further message.
const ENOUGH: usize = 64 * 1024;

/// One connection of a broker that keeps nothing.
#[derive(Debug, Default)]
pub struct Null {
    /// The beginning of a packet whose end has not come.
    partial: Vec<u8>,
    /// What it has to say, and how much of that was read.
    answers: Vec<u8>,
    read: usize,
    /// Whoever subscribes gets messages without end.
    floods: Option<u8>,
    /// Messages that are still to be sent, and their QoS.
    wanted: u64,
    qos: u8,
    under_way: u64,
    next_id: u16,
    message: Vec<u8>,
}

impl Null {
    /// A broker that sends what it is [asked for](Self::send).
    pub fn new() -> Self {
        Self::default()
    }

    /// A broker that sends messages of this QoS without end to who subscribes.
    pub fn flooding(qos: u8) -> Self {
        Self {
            floods: Some(qos),
            ..Self::new()
        }
    }

    /// Sends so many more messages of this QoS.
    pub fn send(&mut self, count: u64, qos: u8) {
        if self.message.is_empty() || self.qos != qos {
            self.message = publish(qos);
            self.qos = qos;
        }
        self.wanted = self.wanted.saturating_add(count);
        self.fill();
    }

    /// The client's bytes.
    pub fn take(&mut self, bytes: &[u8]) {
        if self.partial.is_empty() {
            let used = self.packets(bytes);
            self.partial.extend_from_slice(&bytes[used..]);
        } else {
            let mut all = std::mem::take(&mut self.partial);
            all.extend_from_slice(bytes);
            let used = self.packets(&all);
            all.drain(..used);
            self.partial = all;
        }
        self.fill();
    }

    /// What it has to say.
    pub fn answers(&self) -> &[u8] {
        &self.answers[self.read..]
    }

    /// So much of that was read.
    pub fn advance(&mut self, bytes: usize) {
        self.read += bytes;
        if self.read == self.answers.len() {
            self.answers.clear();
            self.read = 0;
        }
        self.fill();
    }

    /// Answers every whole packet in there, and tells how many bytes these were.
    fn packets(&mut self, bytes: &[u8]) -> usize {
        let mut used = 0;
        while let Some((header, length)) = lengths(&bytes[used..])
            && bytes.len() - used >= header + length
        {
            let first = bytes[used];
            self.packet(first, &bytes[used + header..used + header + length]);
            used += header + length;
        }
        used
    }

    fn packet(&mut self, first: u8, body: &[u8]) {
        match first >> 4 {
            // CONNECT: CONNACK, no session, success, no properties.
            1 => self.answers.extend_from_slice(&[0x20, 3, 0, 0, 0]),
            3 => {
                let id = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                match first >> 1 & 3 {
                    1 => self.acknowledge(0x40, &body[id..]),
                    2 => self.acknowledge(0x50, &body[id..]),
                    _ => {}
                }
            }
            4 => self.under_way = self.under_way.saturating_sub(1),
            6 => self.acknowledge(0x70, body),
            // SUBSCRIBE of one filter: QoS 2 is granted.
            8 => {
                let suback = [0x90, 4, body[0], body[1], 0, 2];
                self.answers.extend_from_slice(&suback);
                if let Some(qos) = self.floods {
                    self.send(u64::MAX, qos);
                }
            }
            12 => self.answers.extend_from_slice(&[0xD0, 0]),
            _ => {}
        }
    }

    fn acknowledge(&mut self, first: u8, body: &[u8]) {
        self.answers
            .extend_from_slice(&[first, 2, body[0], body[1]]);
    }

    fn fill(&mut self) {
        while self.wanted > 0
            && self.answers.len() - self.read < ENOUGH
            && (self.qos == 0 || self.under_way < WINDOW)
        {
            self.wanted -= 1;
            if self.qos > 0 {
                self.under_way += 1;
                self.next_id = self.next_id.checked_add(1).unwrap_or(1);
                self.message[TOPIC_END..TOPIC_END + 2].copy_from_slice(&self.next_id.to_be_bytes());
            }
            self.answers.extend_from_slice(&self.message);
        }
    }
}

/// The bytes of the header of the packet that begins here, and of its body; `None` while they have not come.
fn lengths(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    for (at, byte) in bytes.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((at + 2, length));
        }
    }
    None
}

/// A message of this QoS; the Packet Identifier is 1.
pub(super) fn publish(qos: u8) -> Vec<u8> {
    let mut message = vec![0x30 | qos << 1];
    let id: &[u8] = if qos == 0 { &[] } else { &[0, 1] };
    let length = 2 + TOPIC.len() + id.len() + 1 + PAYLOAD;
    let [high, low] = u16::try_from(length).unwrap_or(0).to_be_bytes();
    message.extend([low | 0x80, high << 1 | low >> 7]);
    message.extend(u16::try_from(TOPIC.len()).unwrap_or(0).to_be_bytes());
    message.extend_from_slice(TOPIC.as_bytes());
    message.extend_from_slice(id);
    message.push(0);
    message.extend([b'x'; PAYLOAD]);
    message
}
