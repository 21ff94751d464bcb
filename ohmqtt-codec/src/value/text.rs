//! Is this text? The checks of UTF-8 strings (section 1.5.4) and topic names (section 4.7), eight bytes at a time.
//!
//! Nearly all text in MQTT is ASCII, so one pass over words answers first: all bytes in 1..=127, and for a topic none a
//! wildcard. Only what fails there is looked at by `core`, which also tells where the fault is.

/// Why bytes are not the text they should be. Positions are in bytes from the start of the string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextFault {
    Utf8 { at: usize },
    Nul { at: usize },
    Wildcard(char),
}

/// Refuses what is not an MQTT UTF-8 string. The length is not looked at.
#[inline]
pub(crate) fn check_text(bytes: &[u8]) -> Result<(), TextFault> {
    if is_plain::<false>(bytes) {
        Ok(())
    } else {
        check_slowly(bytes)
    }
}

/// Refuses what is not text, and text with a wildcard. An empty topic passes: who may have one is the caller's to say.
#[inline]
pub(crate) fn check_topic(bytes: &[u8]) -> Result<(), TextFault> {
    if is_plain::<true>(bytes) {
        return Ok(());
    }
    check_slowly(bytes)?;
    match bytes.iter().find(|byte| matches!(byte, b'+' | b'#')) {
        // [MQTT-3.3.2-2], [MQTT-4.7.0-1] A topic name has no wildcards.
        Some(&byte) => Err(TextFault::Wildcard(char::from(byte))),
        None => Ok(()),
    }
}

fn check_slowly(bytes: &[u8]) -> Result<(), TextFault> {
    // [MQTT-1.5.4-1] Well-formed UTF-8 only, which leaves out the surrogates. [MQTT-1.5.4-3] A byte order mark is data.
    if let Err(error) = core::str::from_utf8(bytes) {
        return Err(TextFault::Utf8 {
            at: error.valid_up_to(),
        });
    }
    // [MQTT-1.5.4-2], [MQTT-4.7.3-2] No U+0000.
    match bytes.iter().position(|&byte| byte == 0) {
        Some(at) => Err(TextFault::Nul { at }),
        None => Ok(()),
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES << 7;

/// Each byte that is a wildcard made 0, and no other: `+` and `#` differ in one bit.
#[inline]
fn wildcards_as_zeros(word: u64) -> u64 {
    (word & !(ONES * u64::from(b'+' ^ b'#'))) ^ (ONES * u64::from(b'+' & b'#'))
}

/// A high bit of the result is set if, and only if, the word holds a byte that is 0 or above 127, or a wildcard.
#[inline]
fn suspects<const TOPIC: bool>(word: u64) -> u64 {
    // Without a byte above 127, taking one from each byte sets a high bit exactly when some byte is 0.
    let found = word | word.wrapping_sub(ONES);
    if TOPIC {
        found | wildcards_as_zeros(word).wrapping_sub(ONES)
    } else {
        found
    }
}

#[inline]
fn is_plain<const TOPIC: bool>(bytes: &[u8]) -> bool {
    if let Some(last) = bytes.last_chunk::<8>() {
        // The last word overlaps the one before it, which costs less than the bytes one by one.
        let mut found = suspects::<TOPIC>(u64::from_le_bytes(*last));
        let (words, _) = bytes[..bytes.len() - 1].as_chunks::<8>();
        for word in words {
            found |= suspects::<TOPIC>(u64::from_le_bytes(*word));
        }
        return found & HIGHS == 0;
    }
    suspects::<TOPIC>(short_word(bytes)) & HIGHS == 0
}

/// Fewer than eight bytes as a word, some of them twice, filled with a letter.
#[inline]
fn short_word(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
    }
    u64::from_le_bytes(match *bytes {
        [] => [b'a'; 8],
        [a] => [a; 8],
        [a, b] => [a, a, a, a, a, a, a, b],
        [a, b, c, ..] => [a, a, a, a, a, a, b, c],
    })
}

/// Calls `visit` with the place of each wildcard, in order until it refuses; with some of the last places twice. Tells
/// whether all is plain text besides, as [`check_text`] finds nearly all to be; what is not needs a look from that.
#[inline]
pub(super) fn visit_wildcards<E>(
    bytes: &[u8],
    mut visit: impl FnMut(usize) -> Result<(), E>,
) -> Result<bool, E> {
    let mut suspicious = 0;
    let mut visit_word = |start: usize, word: [u8; 8]| {
        let word = u64::from_le_bytes(word);
        suspicious |= suspects::<false>(word);
        let zeros = wildcards_as_zeros(word);
        // Exact for each byte: adding 127 to its low seven bits carries unless they are 0.
        let mut found = !((zeros & !HIGHS).wrapping_add(!HIGHS) | zeros) & HIGHS;
        while found != 0 {
            visit(start + found.trailing_zeros() as usize / 8)?;
            found &= found - 1;
        }
        Ok(())
    };
    if let Some(last) = bytes.last_chunk::<8>() {
        let (words, _) = bytes[..bytes.len() - 1].as_chunks::<8>();
        for (at, word) in words.iter().enumerate() {
            visit_word(at * 8, *word)?;
        }
        visit_word(bytes.len() - 8, *last)?;
        return Ok(suspicious & HIGHS == 0);
    }
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(byte, b'+' | b'#') {
            visit(at)?;
        }
    }
    Ok(is_plain::<false>(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::vec;

    /// [MQTT-1.5.4-1], [MQTT-1.5.4-2], [MQTT-4.7.0-1]
    #[test]
    fn a_bad_byte_is_found_at_every_place_of_every_length() {
        for len in 1..40 {
            assert_eq!(check_topic(&vec![b'a'; len]), Ok(()));
            for at in 0..len {
                for byte in 0..=255u8 {
                    let mut bytes = vec![b'a'; len];
                    bytes[at] = byte;
                    let text = match byte {
                        0 => Err(TextFault::Nul { at }),
                        1..128 => Ok(()),
                        _ => Err(TextFault::Utf8 { at }),
                    };
                    assert_eq!(check_text(&bytes), text);
                    let wildcard = matches!(byte, b'+' | b'#');
                    let topic = if wildcard {
                        Err(TextFault::Wildcard(char::from(byte)))
                    } else {
                        text
                    };
                    assert_eq!(check_topic(&bytes), topic);
                }
            }
        }
    }

    #[test]
    fn wildcards_are_found_at_every_place_among_any_bytes() {
        for len in 0..30usize {
            for (at, byte) in (0..len).zip([b'+', b'#'].into_iter().cycle()) {
                for filler in [0, 1, b'*', b',', b'"', b'$', 0x7F, 0x80, 0xAB, 0xA3, 0xFF] {
                    let mut bytes = vec![filler; len];
                    bytes[at] = byte;
                    bytes[len / 2] = b'+';
                    let mut found = BTreeSet::new();
                    let end = visit_wildcards(&bytes, |at| {
                        found.insert(at);
                        Ok::<(), ()>(())
                    });
                    assert_eq!(
                        (end, found),
                        (Ok(is_plain::<false>(&bytes)), BTreeSet::from([at, len / 2]))
                    );
                    assert_eq!(visit_wildcards(&bytes, Err), Err(at.min(len / 2)));
                }
            }
        }
    }
}
