//! The codec: bytes in pieces, and packets there and back.

use bytes::BytesMut;
use ohmqtt_codec::{DecodeError, EncodeBuf, Limits, Packet};

/// The first byte says how large the pieces are, the second how large a packet may be, and the rest comes in.
///
/// However the bytes are cut, the packets and the error are the same; and a packet whose bytes are all there is a packet or an error,
/// and does not wait for more.
pub(crate) fn decode(data: &[u8]) {
    let [piece, limit, data @ ..] = data else {
        return;
    };
    let limits = match limit {
        255 => Limits::default(),
        limit => Limits::new(u32::from(*limit) + 2),
    };
    let whole = in_pieces(data, data.len().max(1), limits);
    let cut = in_pieces(data, usize::from(*piece) + 1, limits);
    assert_eq!(whole, cut);
}

fn in_pieces(data: &[u8], piece: usize, limits: Limits) -> (Vec<Packet>, Option<DecodeError>) {
    let (mut buf, mut packets) = (BytesMut::new(), Vec::new());
    for piece in data.chunks(piece) {
        buf.extend_from_slice(piece);
        loop {
            let before = buf.clone();
            match ohmqtt_codec::decode(&mut buf, &limits) {
                Ok(Some(packet)) => {
                    let taken = before.len() - buf.len();
                    assert_eq!(Some(taken), length(&before), "one packet is taken");
                    assert!(taken <= limits.max_packet_size as usize);
                    packets.push(packet);
                }
                Ok(None) => {
                    assert_eq!(before, buf, "nothing is taken of a part");
                    let is_part = length(&buf).is_none_or(|len| buf.len() < len);
                    assert!(is_part, "a whole packet waits for more");
                    break;
                }
                Err(error) => {
                    assert!(error.reason().is_error());
                    assert!(!error.to_string().is_empty());
                    return (packets, Some(error));
                }
            }
        }
    }
    (packets, None)
}

/// How long the packet at the front is, by its fixed header (section 2.1); `None`: not told yet.
fn length(bytes: &[u8]) -> Option<usize> {
    let mut remaining = 0_usize;
    for (n, byte) in bytes.iter().skip(1).take(4).enumerate() {
        remaining |= usize::from(byte & 0x7F) << (7 * n);
        if byte & 0x80 == 0 {
            return Some(2 + n + remaining);
        }
    }
    None
}

/// What was decoded is encoded to what decodes to it again, in as many bytes as it says, and in no more than came.
pub(crate) fn round_trip(data: &[u8]) {
    let mut buf = BytesMut::from(data);
    loop {
        let before = buf.len();
        let Ok(Some(packet)) = ohmqtt_codec::decode(&mut buf, &Limits::default()) else {
            return;
        };
        let encoded = encode(&packet);
        assert_eq!(packet.encoded_len(), encoded.len());
        assert!(encoded.len() <= before - buf.len(), "the shortest form");
        assert!(!format!("{packet:?}").is_empty());
        assert_eq!(over_the_wire(&packet), packet);
    }
}

pub(crate) fn encode(packet: &Packet) -> Vec<u8> {
    let mut out = EncodeBuf::new();
    packet.encode(&mut out).expect("small enough");
    out.into_bytes().to_vec()
}

/// What becomes of a packet on its way through bytes.
pub(crate) fn over_the_wire(packet: &Packet) -> Packet {
    let mut bytes = BytesMut::from(&encode(packet)[..]);
    let decoded = ohmqtt_codec::decode(&mut bytes, &Limits::default());
    assert!(bytes.is_empty(), "one packet");
    decoded.expect("lawful").expect("whole")
}
