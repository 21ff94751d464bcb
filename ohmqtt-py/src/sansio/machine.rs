//! A session of either role, joined to the codec: bytes in, bytes out, and the time that the caller tells.

use bytes::{Buf, Bytes, BytesMut};
use ohmqtt_codec::{EncodeBuf, Limits};
use ohmqtt_session::{AliasPolicy, Instant, PublishOptions, Session, Ticket};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::time::{Moment, seconds};
use super::token::Owner;
use crate::wire::{Found, gathered, read_front};

/// An empty buffer larger than this is not kept.
const KEPT: usize = 64 * 1024;

pub(super) struct Machine<S> {
    pub(super) session: S,
    pub(super) owner: Owner,
    /// What is read is at most as large as this.
    pub(super) limits: Limits,
    /// The latest that the caller told.
    now: Instant,
    /// A stream stands.
    has_stream: bool,
    /// Came and is not decoded: a part of a packet, or what the session is not ready for.
    buffer: BytesMut,
    last_ticket: u64,
}

impl<S: Session> Machine<S> {
    pub(super) fn new(session: S, limits: Limits) -> Self {
        Self {
            session,
            owner: Owner::new(),
            limits,
            now: Instant::default(),
            has_stream: false,
            buffer: BytesMut::new(),
            last_ticket: 0,
        }
    }

    /// Takes the time that a call told; one that did not means the latest.
    pub(super) fn at(&mut self, now: Option<Moment>) -> Instant {
        if let Some(Moment(now)) = now {
            self.now = self.now.max(now);
        }
        self.now
    }

    pub(super) fn new_ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }

    pub(super) fn connection_made(&mut self, now: Moment) {
        let now = self.at(Some(now));
        self.buffer = BytesMut::new();
        self.has_stream = true;
        self.session.handle_connected(now);
    }

    pub(super) fn connection_lost(&mut self, now: Option<Moment>) {
        let now = self.at(now);
        self.buffer = BytesMut::new();
        self.has_stream = false;
        self.session.handle_disconnected(now);
    }

    pub(super) fn receive(&mut self, data: &Bytes, now: Option<Moment>) -> PyResult<()> {
        if !self.has_stream {
            return Err(PyRuntimeError::new_err(
                "there is no connection to receive from: call connection_made first",
            ));
        }
        self.at(now);
        self.buffer.extend_from_slice(data);
        self.pump();
        Ok(())
    }

    /// Gives the session what came, as far as it takes it. To be called behind whatever may make it ready.
    pub(super) fn pump(&mut self) {
        while !self.buffer.is_empty() && !self.session.poll_close() && self.session.is_ready() {
            match read_front(&self.buffer, self.buffer.len(), self.limits) {
                Ok(Found::Packet(packet, size)) => {
                    self.buffer.advance(size);
                    self.session.handle_packet(self.now, packet);
                }
                Ok(Found::Part(_)) => return,
                Err(error) => {
                    self.session.handle_malformed(self.now, error);
                    self.buffer.clear();
                }
            }
        }
        if self.session.poll_close() {
            self.buffer.clear();
        }
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT {
            self.buffer = BytesMut::new();
        }
    }

    pub(super) fn wants_data(&mut self) -> bool {
        self.has_stream && self.session.is_ready() && !self.should_close()
    }

    pub(super) fn data_to_send<'py>(
        &mut self,
        py: Python<'py>,
        now: Option<Moment>,
        max_bytes: Option<usize>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        if max_bytes == Some(0) {
            return Err(PyValueError::new_err("max_bytes: give at least 1"));
        }
        let now = self.at(now);
        let mut out = EncodeBuf::new();
        while self.has_stream {
            // The last packets come out in any case: who closes has to have them.
            let is_ending = self.session.is_ending();
            while is_ending || max_bytes.is_none_or(|max| out.len() < max) {
                let Some(packet) = self.session.poll_packet(now) else {
                    break;
                };
                packet
                    .encode(&mut out)
                    .map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
            }
            // Answers that were owed may have held up what came, which may ask for more of them.
            let waiting = self.buffer.len();
            self.pump();
            if self.buffer.len() == waiting {
                break;
            }
        }
        gathered(py, &out)
    }

    /// Events, and those of what the session takes once they are gone.
    pub(super) fn take_events(&mut self) -> Vec<S::Event> {
        let mut events = Vec::new();
        loop {
            let known = events.len();
            while let Some(event) = self.session.poll_event() {
                events.push(event);
            }
            if events.len() == known {
                return events;
            }
            self.pump();
        }
    }

    pub(super) fn next_timeout(&self) -> Option<f64> {
        self.session.poll_timeout().map(seconds)
    }

    pub(super) fn handle_timeout(&mut self, now: Moment) {
        let now = self.at(Some(now));
        self.session.handle_timeout(now);
        self.pump();
    }

    pub(super) fn should_close(&mut self) -> bool {
        self.session.poll_close()
    }
}

/// How a message is to be handled on its way out.
pub(super) fn options(
    ticket: Ticket,
    deadline: Option<Moment>,
    alias: i64,
    keep_offline: bool,
) -> PyResult<PublishOptions> {
    let alias = match alias {
        0 => AliasPolicy::Never,
        1 => AliasPolicy::Try,
        2 => AliasPolicy::Always,
        _ => {
            return Err(PyValueError::new_err(format!(
                "alias: {alias} is no AliasPolicy"
            )));
        }
    };
    Ok(PublishOptions {
        ticket,
        deadline: deadline.map(|Moment(deadline)| deadline),
        alias,
        keep_offline,
        via: None,
    })
}
