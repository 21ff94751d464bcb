//! Builds only where ohmqtt-codec and all under it need no std.
//!
//! With std in the graph there were two panic handlers and the build failed with E0152, so the host's own target will
//! do. It is built, never run: the allocator has nothing to give.

#![no_std]

extern crate alloc;

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;

use bytes::BytesMut;
use ohmqtt_codec::{EncodeBuf, Limits, decode};

struct Nothing;

// SAFETY: it never hands out memory, so there is none to misuse.
unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Nothing = Nothing;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// Decodes a packet and encodes it again, which takes in all of the codec; gives the encoded length.
///
/// # Safety
/// `bytes` points at `len` bytes that can be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ohmqtt_codec_proof(bytes: *const u8, len: usize) -> usize {
    // SAFETY: the caller's promise.
    let bytes = unsafe { core::slice::from_raw_parts(bytes, len) };
    let mut out = EncodeBuf::new();
    match decode(&mut BytesMut::from(bytes), &Limits::default()) {
        Ok(Some(packet)) if packet.encode(&mut out).is_ok() => out.len(),
        Ok(_) => 0,
        Err(error) => usize::from(u8::from(error.reason())),
    }
}
