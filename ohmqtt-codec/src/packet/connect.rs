//! CONNECT (section 3.1): a client asks for a session.

use bytes::Bytes;

use crate::encode_buf::{EncodeBuf, TooLarge};
use crate::error::{DecodeError, Fault};
use crate::property::{ConnectProperties, WillProperties};
use crate::reader::{Reader, share};
use crate::value::{Binary, MqttString, Qos, TopicName};
use crate::wire::{put, put_prefixed, put_u8, put_u16};

/// A client asks for a session. `Debug` shows no password and no authentication data.
///
/// [Section 3.1](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901033)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// Who the client is; empty asks the server to choose.
    pub client_id: MqttString,
    /// Begin a new session, whatever the server has.
    pub clean_start: bool,
    /// The longest silence of the client, in seconds; 0 for no limit.
    pub keep_alive: u16,
    /// Its properties.
    pub properties: ConnectProperties,
    /// What the server publishes when the connection ends without a DISCONNECT.
    pub will: Option<Will>,
    /// The user's name.
    pub user_name: Option<MqttString>,
    /// The password; it may stand without a user name.
    pub password: Option<Binary>,
}

/// A message to publish when its client is gone.
///
/// [Section 3.1.2.5](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901040)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    /// Where it goes.
    pub topic: TopicName,
    /// The application's bytes.
    pub payload: Binary,
    /// Its quality of service.
    pub qos: Qos,
    /// Is it to be retained?
    pub retain: bool,
    /// Its properties.
    pub properties: WillProperties,
}

/// The protocol's name with its length, and its version.
const PROTOCOL: [u8; 7] = [0, 4, b'M', b'Q', b'T', b'T', 5];

const USER_NAME: u8 = 0x80;
const PASSWORD: u8 = 0x40;
const WILL_RETAIN: u8 = 0x20;
const WILL_QOS: u8 = 0x18;
const WILL: u8 = 0x04;
const CLEAN_START: u8 = 0x02;
const RESERVED: u8 = 0x01;

impl Connect {
    fn flags(&self) -> u8 {
        let flag = |bit: u8, set: bool| if set { bit } else { 0 };
        // [MQTT-3.1.2-11], [MQTT-3.1.2-13] Without a will its QoS and retain flag are 0.
        let will = self.will.as_ref().map_or(0, |will| {
            WILL | u8::from(will.qos) << 3 | flag(WILL_RETAIN, will.retain)
        });
        // [MQTT-3.1.2-16] to [MQTT-3.1.2-19] The flags say what the payload holds.
        will | flag(USER_NAME, self.user_name.is_some())
            | flag(PASSWORD, self.password.is_some())
            | flag(CLEAN_START, self.clean_start)
    }

    pub(super) fn body_len(&self) -> usize {
        let will = self.will.as_ref().map_or(0, |will| {
            will.properties.wire_len() + 4 + will.topic.len() + will.payload.len()
        });
        let user_name = self.user_name.as_ref().map_or(0, |name| 2 + name.len());
        let password = self
            .password
            .as_ref()
            .map_or(0, |password| 2 + password.len());
        let header = PROTOCOL.len() + 3 + self.properties.wire_len();
        header + 2 + self.client_id.len() + will + user_name + password
    }

    pub(super) fn encode(&self, first: u8, out: &mut EncodeBuf) -> Result<(), TooLarge> {
        let len = self.body_len();
        let tail = out.begin(first, len, len)?;
        put(tail, &PROTOCOL);
        put_u8(tail, self.flags());
        put_u16(tail, self.keep_alive);
        self.properties.block().put(tail);
        // [MQTT-3.1.3-1] The order of the payload: [MQTT-3.1.3-3] client identifier, then what there is of will,
        // user name and password.
        put_prefixed(tail, self.client_id.as_bytes());
        if let Some(will) = &self.will {
            will.properties.block().put(tail);
            put_prefixed(tail, will.topic.as_bytes());
            put_prefixed(tail, will.payload.as_bytes());
        }
        if let Some(name) = &self.user_name {
            put_prefixed(tail, name.as_bytes());
        }
        if let Some(password) = &self.password {
            put_prefixed(tail, password.as_bytes());
        }
        Ok(())
    }
}

pub(super) fn decode(reader: &mut Reader<'_>, frame: &Bytes) -> Result<Connect, DecodeError> {
    if reader.prefixed("protocol name")? != b"MQTT" {
        return Err(reader.fail("protocol name", Fault::UnknownProtocol));
    }
    match reader.u8("protocol version")? {
        5 => {}
        version => return Err(reader.fail("protocol version", Fault::UnsupportedVersion(version))),
    }
    let flags = reader.u8("connect flags")?;
    // [MQTT-3.1.2-3] The reserved flag is 0.
    if flags & RESERVED != 0 {
        return Err(reader.fail("connect flags", Fault::Bits(flags)));
    }
    let keep_alive = reader.u16("keep alive")?;
    let properties =
        ConnectProperties::trusted(share(frame, reader.properties(ConnectProperties::PLACE)?));
    // [MQTT-3.1.3-1] The order of the payload. [MQTT-3.1.3-3] The client identifier is there and [MQTT-3.1.3-4] text.
    let client_id = MqttString::trusted(share(frame, reader.text("client identifier")?));
    let will = decode_will(reader, frame, flags)?;
    // [MQTT-3.1.2-16], [MQTT-3.1.2-17] The user name is there as the flag says, and [MQTT-3.1.3-12] text.
    let user_name = match flags & USER_NAME {
        0 => None,
        _ => Some(MqttString::trusted(share(frame, reader.text("user name")?))),
    };
    // [MQTT-3.1.2-18], [MQTT-3.1.2-19] The password is there as the flag says; what follows is refused as trailing.
    let password = match flags & PASSWORD {
        0 => None,
        _ => Some(Binary::trusted(share(frame, reader.prefixed("password")?))),
    };
    Ok(Connect {
        client_id,
        clean_start: flags & CLEAN_START != 0,
        keep_alive,
        properties,
        will,
        user_name,
        password,
    })
}

fn decode_will(
    reader: &mut Reader<'_>,
    frame: &Bytes,
    flags: u8,
) -> Result<Option<Will>, DecodeError> {
    if flags & WILL == 0 {
        // [MQTT-3.1.2-11], [MQTT-3.1.2-13] Without a will its QoS and retain flag are 0.
        return match flags & (WILL_QOS | WILL_RETAIN) {
            0 => Ok(None),
            _ => Err(reader.fail("connect flags", Fault::Bits(flags))),
        };
    }
    // [MQTT-3.1.2-12] The will's QoS is 0, 1 or 2.
    let qos =
        Qos::try_from((flags & WILL_QOS) >> 3).map_err(|_| reader.fail("will QoS", Fault::Qos3))?;
    // [MQTT-3.1.2-9] Will properties, topic and payload are there. [MQTT-3.1.3-11] The topic is text.
    let properties =
        WillProperties::trusted(share(frame, reader.properties(WillProperties::PLACE)?));
    let topic = reader.topic_name("will topic")?;
    // [MQTT-4.7.3-1] At least one character.
    if topic.is_empty() {
        return Err(reader.fail("will topic", Fault::EmptyTopic));
    }
    let topic = TopicName::trusted(share(frame, topic));
    let payload = Binary::trusted(share(frame, reader.prefixed("will payload")?));

    Ok(Some(Will {
        topic,
        payload,
        qos,
        retain: flags & WILL_RETAIN != 0,
        properties,
    }))
}
