//! Builds only where ohmqtt-session and all under it need no std.
//!
//! With std in the graph there were two panic handlers and the build failed with E0152, so the host's own target will
//! do. It is built, never run: the allocator has nothing to give.

#![no_std]

extern crate alloc;

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;

use ohmqtt_codec::{MqttString, Packet};
use ohmqtt_session::{
    ClientConfig, ClientSession, Instant, Lsn, ServerConfig, ServerSession, Session,
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

/// Drives both sessions through everything the loop calls, which takes in all of them; gives the packets that came.
#[unsafe(no_mangle)]
pub extern "C" fn ohmqtt_session_proof(micros: u64) -> usize {
    let now = Instant::from_unix_micros(micros);
    let mut client = ClientSession::new(ClientConfig::new(MqttString::default()));
    let mut server = ServerSession::new(now, ServerConfig::default());
    drive(&mut client, now) + drive(&mut server, now)
}

fn drive(session: &mut impl Session, now: Instant) -> usize {
    session.handle_connected(now);
    session.handle_timeout(now);
    session.handle_packet(now, Packet::PingReq);
    session.handle_stored(Lsn::NONE);
    session.handle_store_failed(Lsn::NONE);
    while session.poll_store().is_some() || session.poll_event().is_some() {}
    let packets = core::iter::from_fn(|| session.poll_packet(now)).count();
    session.handle_disconnected(now);
    packets
}
