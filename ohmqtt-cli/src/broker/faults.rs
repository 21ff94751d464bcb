//! `--fault`: what a broker breaks, for the tests of programs that use one.

use std::time::Duration;

use ohmqtt_broker::faults::{After, Direction, PacketType};
use ohmqtt_broker::{Broker, ReasonCode};

use crate::args::seconds;
use crate::failure::Failure;

/// Something that is broken for all clients.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// All that is sent arrives so much later, either way.
    Delay(Duration),
    /// The connection is cut behind so many packets from a client, once.
    CutAfter(usize),
    /// Packets of this type do not reach clients.
    Withhold(PacketType),
    /// Each CONNECT is refused.
    Refuse(ReasonCode),
    /// Each client is sent elsewhere.
    Redirect(String),
    /// Connections stand, and nothing passes.
    Silence,
}

/// Those a broker sends.
const PACKETS: &[(&str, PacketType)] = &[
    ("CONNACK", PacketType::ConnAck),
    ("PUBLISH", PacketType::Publish),
    ("PUBACK", PacketType::PubAck),
    ("PUBREC", PacketType::PubRec),
    ("PUBREL", PacketType::PubRel),
    ("PUBCOMP", PacketType::PubComp),
    ("SUBACK", PacketType::SubAck),
    ("UNSUBACK", PacketType::UnsubAck),
    ("PINGRESP", PacketType::PingResp),
];

impl Fault {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        match name {
            "delay" => seconds(value).map(Self::Delay),
            "cut-after" => value
                .parse()
                .map(Self::CutAfter)
                .map_err(|_| "not a number of packets".to_owned()),
            "withhold" => {
                let known = PACKETS
                    .iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case(value));
                let names: Vec<_> = PACKETS.iter().map(|(name, _)| *name).collect();
                known
                    .map(|(_, packet)| Self::Withhold(*packet))
                    .ok_or_else(|| format!("a broker sends {}", names.join(", ")))
            }
            "refuse" => reason(value).map(Self::Refuse),
            "redirect" if !value.is_empty() => Ok(Self::Redirect(value.to_owned())),
            "silence" if value.is_empty() => Ok(Self::Silence),
            _ => Err(
                "one of delay=SECONDS, cut-after=PACKETS, withhold=PACKET, refuse=CODE, redirect=SERVER, silence"
                    .to_owned(),
            ),
        }
    }
}

/// A code that a CONNACK may refuse with, as a number.
fn reason(text: &str) -> Result<ReasonCode, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u8::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let reason = number.and_then(|number| ReasonCode::try_from(number).ok());
    reason
        .filter(|reason| reason.is_error() && reason.allowed_in(PacketType::ConnAck))
        .ok_or_else(|| "a reason code of CONNACK, such as 0x89 (Server busy)".to_owned())
}

/// Turns them on.
pub(super) fn set(broker: &Broker, faults: &[Fault]) -> Result<(), Failure> {
    if faults.is_empty() {
        return Ok(());
    }
    let all = broker.faults().all();
    for fault in faults {
        match fault {
            Fault::Delay(time) => {
                all.delay(Direction::FromClient, *time);
                all.delay(Direction::ToClient, *time);
            }
            Fault::CutAfter(packets) => {
                all.cut_after(Direction::FromClient, After::Packets(*packets));
            }
            Fault::Withhold(packet) => all.withhold(*packet),
            Fault::Refuse(reason) => all.refuse(*reason),
            Fault::Redirect(server) => all
                .redirect(server)
                .map_err(|error| Failure::usage(format!("--fault redirect: {error}")))?,
            Fault::Silence => all.silence(),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_a_name_and_a_value() {
        assert_eq!(
            Fault::parse("delay=0.5"),
            Ok(Fault::Delay(Duration::from_millis(500)))
        );
        assert_eq!(
            Fault::parse("withhold=puback"),
            Ok(Fault::Withhold(PacketType::PubAck))
        );
        assert_eq!(
            Fault::parse("refuse=0x89"),
            Ok(Fault::Refuse(ReasonCode::ServerBusy))
        );
        assert_eq!(
            Fault::parse("refuse=137"),
            Ok(Fault::Refuse(ReasonCode::ServerBusy))
        );
        for wrong in [
            "",
            "delay",
            "withhold=CONNECT",
            "refuse=0",
            "refuse=141",
            "redirect=",
            "silence=1",
            "noise",
        ] {
            assert!(Fault::parse(wrong).is_err(), "{wrong}");
        }
    }
}
