//! What is written in one atomic step: puts and deletes, in order, in one buffer.

use std::fmt;

/// The buffers kept by [`Batch::clear`], in bytes and in operations: one large commit does not hold its memory for ever.
const KEPT_BYTES: usize = 1024 * 1024;
const KEPT_OPS: usize = 16 * 1024;

/// Puts and deletes that a store does together or not at all. Later ones win over earlier ones under the same key.
///
/// Keys and values are copied into one buffer, which [`clear`](Self::clear) keeps for the next batch.
#[derive(Clone, Default)]
pub struct Batch {
    /// Key and value of each operation, one after the other.
    bytes: Vec<u8>,
    ops: Vec<Slot>,
}

/// Where an operation ends in the buffer; it begins where the one before it ended.
#[derive(Clone, Copy)]
struct Slot {
    key_end: usize,
    end: usize,
    is_put: bool,
}

/// One operation of a [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// Keep `value` under `key`, in place of what stands there.
    Put {
        /// Where.
        key: &'a [u8],
        /// What.
        value: &'a [u8],
    },
    /// Remove what stands under `key`, if anything does.
    Delete {
        /// Where.
        key: &'a [u8],
    },
}

impl Batch {
    /// A batch without operations and without memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds: keep `value` under `key`, in place of what stands there.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.put_parts([key], [value]);
    }

    /// Adds: remove what stands under `key`, if anything does.
    pub fn delete(&mut self, key: &[u8]) {
        self.delete_parts([key]);
    }

    /// Adds an operation of another batch.
    pub fn push(&mut self, op: Op<'_>) {
        match op {
            Op::Put { key, value } => self.put(key, value),
            Op::Delete { key } => self.delete(key),
        }
    }

    /// The operations in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = Op<'_>> {
        let mut start = 0;
        self.ops.iter().map(move |slot| {
            let (key, value) = (
                &self.bytes[start..slot.key_end],
                &self.bytes[slot.key_end..slot.end],
            );
            start = slot.end;
            if slot.is_put {
                Op::Put { key, value }
            } else {
                Op::Delete { key }
            }
        })
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// The bytes of all keys and values together.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Takes out all operations and keeps the memory for the next ones, up to about a mebibyte.
    pub fn clear(&mut self) {
        self.truncate(0);
        self.bytes.shrink_to(KEPT_BYTES);
        self.ops.shrink_to(KEPT_OPS);
    }

    /// Takes out the operations from the `len`th on.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.ops.truncate(len);
        self.bytes
            .truncate(self.ops.last().map_or(0, |slot| slot.end));
    }

    /// [`put`](Self::put) of what is still in pieces.
    pub(crate) fn put_parts<'a>(
        &mut self,
        key: impl IntoIterator<Item = &'a [u8]>,
        value: impl IntoIterator<Item = &'a [u8]>,
    ) {
        let key_end = self.extend(key);
        let end = self.extend(value);
        self.ops.push(Slot {
            key_end,
            end,
            is_put: true,
        });
    }

    /// [`delete`](Self::delete) of a key that is still in pieces.
    pub(crate) fn delete_parts<'a>(&mut self, key: impl IntoIterator<Item = &'a [u8]>) {
        let end = self.extend(key);
        self.ops.push(Slot {
            key_end: end,
            end,
            is_put: false,
        });
    }

    fn extend<'a>(&mut self, parts: impl IntoIterator<Item = &'a [u8]>) -> usize {
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.bytes.len()
    }
}

/// Shows sizes: values are what users sent.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("len", &self.len())
            .field("bytes", &self.bytes())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_come_out_as_they_went_in() {
        let mut batch = Batch::new();
        batch.put(b"a", b"1");
        batch.delete(b"bb");
        batch.put_parts([&b"c"[..], b"c"], [&b""[..], b"22", b"2"]);
        batch.put(b"", b"");
        batch.delete_parts([&b"d"[..], b"", b"e"]);
        let ops: Vec<_> = batch.iter().collect();
        assert_eq!(
            ops,
            [
                Op::Put {
                    key: b"a",
                    value: b"1"
                },
                Op::Delete { key: b"bb" },
                Op::Put {
                    key: b"cc",
                    value: b"222"
                },
                Op::Put {
                    key: b"",
                    value: b""
                },
                Op::Delete { key: b"de" },
            ]
        );
        assert_eq!((batch.len(), batch.bytes()), (5, 11));
    }

    #[test]
    fn truncating_takes_out_the_last_operations_only() {
        let mut batch = Batch::new();
        batch.put(b"a", b"1");
        batch.put(b"b", b"2");
        batch.delete(b"c");
        batch.truncate(1);
        batch.delete(b"d");
        assert_eq!(
            batch.iter().collect::<Vec<_>>(),
            [
                Op::Put {
                    key: b"a",
                    value: b"1"
                },
                Op::Delete { key: b"d" }
            ]
        );
        assert_eq!(batch.bytes(), 3);
    }

    #[test]
    fn a_cleared_batch_keeps_its_memory_up_to_a_bound() {
        let mut batch = Batch::new();
        batch.put(b"key", &[7; 1000]);
        let capacity = batch.bytes.capacity();
        batch.clear();
        assert!(batch.is_empty());
        assert_eq!(batch.bytes(), 0);
        assert_eq!(batch.bytes.capacity(), capacity);

        batch.put(b"key", &vec![7; 4 * KEPT_BYTES]);
        batch.clear();
        assert!(batch.bytes.capacity() <= 2 * KEPT_BYTES);
    }
}
