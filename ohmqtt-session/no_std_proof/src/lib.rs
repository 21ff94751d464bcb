//! Builds only where ohmqtt-session and all under it need no std.
//!
//! With std in the graph there were two panic handlers and the build failed with E0152, so the host's own target will
//! do. It is built, never run: the allocator has nothing to give.

#![no_std]

extern crate alloc;

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;

use bytes::BytesMut;
use ohmqtt_codec::{EncodeBuf, Limits, MqttString, TopicName, decode};
use ohmqtt_session::{
    Accept, ClientConfig, ClientSession, Instant, Message, PublishOptions, ServerConfig,
    ServerSession, Session,
};

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

/// Gives a session of each role the bytes and polls all there is to poll, which takes in all of the session; gives how much was sent.
///
/// # Safety
/// `bytes` points at `len` bytes that can be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ohmqtt_session_proof(bytes: *const u8, len: usize) -> usize {
    // SAFETY: the caller's promise.
    let bytes = unsafe { core::slice::from_raw_parts(bytes, len) };
    let now = Instant::from_unix_micros(0);
    let Ok(id) = MqttString::try_from("proof") else {
        return 0;
    };
    let mut client = ClientSession::new(ClientConfig::new(id));
    let mut server = ServerSession::new(now, ServerConfig::default());
    if let Ok(topic) = TopicName::new("proof") {
        let message = Message::new(topic, bytes::Bytes::copy_from_slice(bytes));
        let _ = client.publish(now, message, PublishOptions::default());
    }
    let sent = drive(now, &mut client, bytes) + drive(now, &mut server, bytes);
    server.accept(now, Accept::default());
    sent + drive(now, &mut server, bytes)
}

fn drive(now: Instant, session: &mut impl Session, bytes: &[u8]) -> usize {
    let mut out = EncodeBuf::new();
    let mut read = BytesMut::from(bytes);
    session.handle_connected(now);
    loop {
        match decode(&mut read, &Limits::default()) {
            Ok(Some(packet)) => session.handle_packet(now, packet),
            Ok(None) => break,
            Err(error) => {
                session.handle_malformed(now, error);
                break;
            }
        }
    }
    session.handle_timeout(now);
    while let Some((lsn, _)) = session.poll_store() {
        session.handle_stored(lsn);
    }
    while let Some(packet) = session.poll_packet(now) {
        if packet.encode(&mut out).is_err() {
            break;
        }
    }
    while session.poll_event().is_some() {}
    session.handle_disconnected(now);
    out.len()
}
