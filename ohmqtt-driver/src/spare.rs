//! One buffer to read into for each thread, in the place of one for each connection: of a thousand connections few have something to read.

use std::cell::Cell;

use bytes::BytesMut;

/// A larger one is not kept, in bytes: what one connection reads at most at once, and half a packet before that.
const LARGEST: usize = 128 * 1024;

thread_local! {
    static SPARE: Cell<BytesMut> = Cell::new(BytesMut::new());
}

/// The spare buffer of this thread, empty; one without memory where there is none.
pub(crate) fn take() -> BytesMut {
    // A thread that ends has none any more.
    SPARE.try_with(Cell::take).unwrap_or_default()
}

/// Keeps an empty buffer for who reads next on this thread.
pub(crate) fn put(buffer: BytesMut) {
    if (1..=LARGEST).contains(&buffer.capacity()) {
        // Where there is none any more, it is dropped.
        let _ = SPARE.try_with(|spare| spare.set(buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_next_on_a_thread_has_the_buffer_of_who_read_last() {
        put(BytesMut::with_capacity(5000));
        put(BytesMut::new());
        std::thread::spawn(|| assert_eq!(take().capacity(), 0))
            .join()
            .unwrap();
        assert!(take().capacity() >= 5000);
        assert_eq!(take().capacity(), 0);
        put(BytesMut::with_capacity(LARGEST + 1));
        assert_eq!(take().capacity(), 0);
    }
}
