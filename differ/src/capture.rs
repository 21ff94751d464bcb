//! A capture file (pcap): each packet is the one segment of a TCP connection of its own to port 1883, over IPv4 without a link layer.

use crate::Result;

/// LINKTYPE_RAW: a packet begins with its IP header.
const RAW: u32 = 101;
const PORT: u16 = 1883;
/// The first and the number of those of an address from which connections come: none of another protocol.
const FIRST: usize = 49_152;
const PORTS: usize = 10_000;
/// What the headers of IP and TCP take.
const HEADERS: usize = 40;

/// The file with these packets, in their order. Fails for one that no segment holds.
pub(crate) fn file(frames: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut file = Vec::new();
    for word in [0xA1B2_C3D4, 2 | 4 << 16, 0, 0, 0x4_0000, RAW] {
        file.extend(u32::to_le_bytes(word));
    }
    for (n, frame) in frames.iter().enumerate() {
        let len = u16::try_from(HEADERS + frame.len())?;
        for word in [u32::try_from(n)?, 0, len.into(), len.into()] {
            file.extend(u32::to_le_bytes(word));
        }
        let host = u8::try_from(n / PORTS)?;
        let port = u16::try_from(FIRST + n % PORTS)?;
        // Version and length, total length, identification and flags, time to live and protocol; nobody looks at checksums.
        file.extend([0x45, 0]);
        file.extend(len.to_be_bytes());
        file.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        file.extend([10, 0, 0, host, 10, 0, 1, 0]);
        file.extend(port.to_be_bytes());
        file.extend(PORT.to_be_bytes());
        // Sequence and acknowledgement numbers, length and flags (PSH, ACK), window, checksum, urgent pointer.
        file.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0xFF, 0xFF, 0, 0, 0, 0]);
        file.extend(frame);
    }
    Ok(file)
}
