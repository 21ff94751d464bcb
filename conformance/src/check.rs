//! A check: which statements it stands for, the fact that it finds true, and how it finds out.

use std::cell::RefCell;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;

use crate::bytes::{Connect, DISCONNECT, SUBACK, UNSUBACK};
use crate::fault::{Fault, Outcome, holds, same};
use crate::packet::Packet;
use crate::wire::{Script, Wire};

/// One check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check {
    /// A fact, which names it.
    pub(crate) name: &'static str,
    /// Statements, without `MQTT-`.
    pub(crate) statements: &'static [&'static str],
    pub(crate) run: Run,
}

/// How it finds out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Run {
    /// A scene of its own.
    Scene(fn(&mut Bench) -> Outcome),
    /// Each of these makes the server close a connection, of which it is the first packet.
    First(fn() -> Vec<Case>),
    /// Each of these makes the server close a connection with a client of Session Expiry Interval 0.
    Refused(fn() -> Vec<Case>),
    /// Each of these, a SUBSCRIBE or UNSUBSCRIBE of one filter, does the same, or is answered by an error.
    Denied(fn() -> Vec<Case>),
}

/// What it is, and its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) what: String,
    pub(crate) bytes: Vec<u8>,
}

/// A case.
pub(crate) fn case(what: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Case {
    Case {
        what: what.into(),
        bytes: bytes.into(),
    }
}

/// A check with a scene.
pub(crate) const fn scene(
    name: &'static str,
    statements: &'static [&'static str],
    run: fn(&mut Bench) -> Outcome,
) -> Check {
    Check {
        name,
        statements,
        run: Run::Scene(run),
    }
}

/// Where a server listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) tcp: SocketAddr,
    pub(crate) ws: SocketAddr,
    /// Another server of the same kind, told to take no QoS 2 and to retain nothing.
    pub(crate) limited: SocketAddr,
    /// One that has the method [`WATCHWORD`](crate::broker::WATCHWORD), where its kind can have any.
    pub(crate) asking: SocketAddr,
}

/// What a check has: a server, names that no other check has, and what was said so far.
#[derive(Debug)]
pub(crate) struct Bench {
    addresses: Addresses,
    number: usize,
    script: Script,
}

impl Bench {
    /// Runs a check; a fault comes with what was said.
    pub(crate) fn run(
        check: &Check,
        number: usize,
        addresses: Addresses,
    ) -> Result<(), (Fault, Vec<String>)> {
        let mut bench = Self {
            addresses,
            number,
            script: Rc::new(RefCell::new(Vec::new())),
        };
        let outcome = match check.run {
            Run::Scene(run) => run(&mut bench),
            Run::First(cases) => bench.each(cases, |bench| bench.open("c"), Wire::turned_away),
            Run::Refused(cases) => bench.each(cases, Self::guest, Wire::refused),
            Run::Denied(cases) => bench.each(cases, Self::guest, denied),
        };
        outcome.map_err(|fault| (fault, bench.script.take()))
    }

    /// From here on the check is about the server with limits.
    pub(crate) fn go_to_limited(&mut self) {
        self.addresses.tcp = self.addresses.limited;
    }

    /// From here on it is about the one with a method of enhanced authentication.
    pub(crate) fn go_to_asking(&mut self) {
        self.addresses.tcp = self.addresses.asking;
    }

    fn guest(&mut self) -> Outcome<Wire> {
        self.connect("c")
    }

    fn each(
        &mut self,
        cases: fn() -> Vec<Case>,
        begin: impl Fn(&mut Self) -> Outcome<Wire>,
        end: impl Fn(&mut Wire) -> Outcome<Option<u8>>,
    ) -> Outcome {
        for Case { what, bytes } in cases() {
            self.script.borrow_mut().clear();
            let mut wire = begin(self)?;
            wire.send(bytes);
            if let Err(fault) = end(&mut wire) {
                let wanted = format!("{} on {what}", fault.wanted);
                return Err(Fault { wanted, ..fault });
            }
        }
        Ok(())
    }

    /// A Client Identifier that only this check has.
    pub(crate) fn client(&self, name: &str) -> String {
        format!("c{}{name}", self.number)
    }

    /// A topic or a filter under a level that only this check has.
    pub(crate) fn topic(&self, rest: &str) -> String {
        format!("t{}/{rest}", self.number)
    }

    /// A CONNECT of a client that only this check has: it starts anew.
    pub(crate) fn who(&self, name: &str) -> Connect {
        Connect::new(self.client(name))
    }

    /// A connection without CONNECT.
    pub(crate) fn open(&self, name: &str) -> Outcome<Wire> {
        let stream = TcpStream::connect(self.addresses.tcp)?;
        stream.set_nodelay(true)?;
        Ok(Wire::new(name, stream, Rc::clone(&self.script)))
    }

    /// A connection to where WebSocket is spoken.
    pub(crate) fn open_ws(&self) -> Outcome<TcpStream> {
        Ok(TcpStream::connect(self.addresses.ws)?)
    }

    pub(crate) fn web_address(&self) -> SocketAddr {
        self.addresses.ws
    }

    /// A client that starts anew and whose session ends with its connection.
    pub(crate) fn connect(&self, name: &str) -> Outcome<Wire> {
        Ok(self.connect_as(name, &self.who(name))?.0)
    }

    /// A client that is accepted, and how.
    pub(crate) fn connect_as(&self, name: &str, connect: &Connect) -> Outcome<(Wire, Packet)> {
        let mut wire = self.open(name)?;
        let connack = wire.connect(connect)?;
        same("the reason of CONNACK", &connack.reason, &0)?;
        Ok((wire, connack))
    }

    /// A client with a session that is kept for so many seconds, which is there already or not.
    pub(crate) fn resume(&self, name: &str, seconds: u32, is_there: bool) -> Outcome<Wire> {
        let (wire, connack) = self.connect_as(name, &self.who(name).resume(seconds))?;
        same("Session Present", &connack.session_present, &is_there)?;
        Ok(wire)
    }
}

/// The answer is an error of its one filter, or the end.
fn denied(wire: &mut Wire) -> Outcome<Option<u8>> {
    let Some(answer) = wire.answer()? else {
        return Ok(None);
    };
    let wanted = "a code of at least 0x80";
    if [SUBACK, UNSUBACK].contains(&answer.kind) {
        let is_denied = answer.rest.iter().all(|code| *code >= 0x80);
        holds(is_denied, wanted, &answer.rest)?;
        return Ok(None);
    }
    same("a DISCONNECT", &answer.kind, &DISCONNECT)?;
    holds(answer.reason >= 0x80, wanted, answer.reason)?;
    wire.closed()?;
    Ok(Some(answer.reason))
}
