//! Plays a scenario with a client: does what each line says, and tells where the client did something else.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use tokio::time::timeout;

use crate::adapter::{Adapter, Client};
use crate::scenario::{Scenario, Step};
use crate::table;
use crate::wire::{Came, Conn, Listener};
use crate::words::{Names, Words};
use crate::written;

/// What is waited for comes within this time, or never: nothing here is measured by it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The same for clients of others, for which waiting for what never comes is no rare thing.
const LITTLE_PATIENCE: Duration = Duration::from_secs(8);

/// What an adapter may take to start, interpreter and all, on a machine that is busy.
const START: Duration = Duration::from_secs(60);

/// A client that connects more often than this within a scenario does nothing else.
const CONNECTIONS: usize = 500;

/// How a scenario went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The scenario's name.
    pub scenario: String,
    /// The client's name.
    pub client: String,
    /// What the client says it is: a name and a version.
    pub version: String,
    /// Where the client left the script, and what it did instead.
    pub fault: Option<String>,
    /// What the scenario asks of the client and its interface has no way to ask for; nothing else is known then.
    pub unable: Option<String>,
    /// What the specification says should be otherwise, but need not.
    pub notes: Vec<String>,
    /// What went over the wire and to the application, a line for each.
    pub log: Vec<String>,
}

impl Outcome {
    /// Whether all was as it must be.
    pub fn has_passed(&self) -> bool {
        self.fault.is_none() && self.unable.is_none()
    }

    /// Whether nothing was otherwise than it must and should be.
    pub fn is_spotless(&self) -> bool {
        self.fault.is_none() && self.notes.is_empty()
    }
}

/// Plays `scenario` with `client`.
pub async fn play(scenario: &Scenario, client: &Client) -> Outcome {
    let mut outcome = Outcome {
        scenario: scenario.name.clone(),
        client: client.name.clone(),
        version: String::new(),
        fault: None,
        unable: None,
        notes: Vec::new(),
        log: Vec::new(),
    };
    let mut stage = match Stage::set(client).await {
        Ok(stage) => stage,
        Err(fault) => {
            outcome.fault = Some(fault);
            return outcome;
        }
    };
    let patience = if client.is_ours {
        PATIENCE
    } else {
        LITTLE_PATIENCE
    };
    let fault = stage.act(scenario, patience).await.err();
    outcome.unable = stage.unable;
    outcome.fault = fault.filter(|_| outcome.unable.is_none());
    outcome.version = stage.version;
    outcome.notes = stage.notes;
    outcome.log = stage.log;
    let complaints = stage.adapter.complaints().await;
    if outcome.fault.is_some() {
        let lines = complaints.lines().map(|line| format!("stderr   {line}"));
        outcome.log.extend(lines);
    }
    outcome
}

/// The server, the client's process, and what has happened between them.
struct Stage {
    adapter: Adapter,
    listener: Listener,
    conn: Option<Conn>,
    /// Nothing more comes of `conn`.
    has_ended: bool,
    /// What came of `conn` and was not looked at yet.
    pending: VecDeque<Came>,
    /// What was expected on `conn` and not answered yet.
    owed: Vec<Words>,
    /// What was reported and not asked for yet.
    reports: VecDeque<Words>,
    /// All reports and packets.
    all: Vec<Words>,
    names: Names,
    has_session: bool,
    /// The properties of the last CONNACK that the scenario sent: the server keeps to them when it is left to itself.
    offers: Vec<(String, String)>,
    is_mute: bool,
    is_closing: bool,
    unable: Option<String>,
    piece: usize,
    connections: usize,
    version: String,
    notes: Vec<String>,
    log: Vec<String>,
}

/// What happens next.
#[derive(Debug)]
enum Next {
    Came(Came),
    Opened,
    Reported,
    /// The client's process has closed its output.
    Over,
}

type Played<T = ()> = Result<T, String>;

impl Stage {
    async fn set(client: &Client) -> Played<Self> {
        let listener = Listener::start().await.map_err(|error| error.to_string())?;
        let adapter = Adapter::start(client)?;
        let names = Names::from([("address".to_owned(), listener.address.clone())]);
        Ok(Self {
            adapter,
            listener,
            conn: None,
            has_ended: false,
            pending: VecDeque::new(),
            owed: Vec::new(),
            reports: VecDeque::new(),
            all: Vec::new(),
            names,
            has_session: false,
            offers: Vec::new(),
            is_mute: false,
            is_closing: false,
            unable: None,
            piece: 0,
            connections: 0,
            version: String::new(),
            notes: Vec::new(),
            log: Vec::new(),
        })
    }

    async fn act(&mut self, scenario: &Scenario, patience: Duration) -> Played {
        let ready = timeout(START, self.told(&Words::new("ready"))).await;
        let ready = ready.map_err(|_| "the adapter does not start".to_owned())??;
        self.version = [ready.text("name"), ready.text("version")]
            .map(Option::unwrap_or_default)
            .join(" ");
        for line in &scenario.steps {
            let place = |why: &str| format!("line {}: {}: {why}", line.number, line.text);
            match timeout(patience, self.step(&line.step)).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => return Err(place(&why)),
                Err(_) => return Err(place(&format!("nothing of it within {patience:?}"))),
            }
        }
        let closed = timeout(patience, self.close()).await;
        closed.map_err(|_| "the client does not close when it is told to".to_owned())??;
        for line in &scenario.steps {
            if let Step::Finally { times, of } = &line.step {
                self.count(*times, of)
                    .map_err(|why| format!("line {}: {}: {why}", line.number, line.text))?;
            }
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Played {
        match step {
            Step::Client(command) => {
                let mut command = command.filled(&self.names)?;
                if command.head == "connect" {
                    command = command.with("url", format!("mqtt://{}", self.listener.address));
                }
                self.note("asked", &command);
                self.adapter.tell(&command).await
            }
            Step::Expect(pattern) => self.expect(pattern).await,
            Step::Send(packet) => {
                if packet.head == "CONNACK" {
                    let is_property = |(name, _): &&(String, String)| table::named(name).is_some();
                    self.offers = packet.fields.iter().filter(is_property).cloned().collect();
                }
                self.send(packet).await
            }
            Step::Raw(line) => {
                let bytes = written::raw(line, &self.names)?;
                self.note("sent", &line);
                self.write(&bytes).await
            }
            Step::Chop(piece) => {
                self.piece = *piece;
                Ok(())
            }
            Step::Told(pattern) => self.told(pattern).await.map(drop),
            Step::Serve(until) => self.serve(until).await,
            Step::Refer {
                most,
                answer,
                until,
            } => self.refer(*most, answer, until).await,
            Step::Leaves { reasons, silently } => self.leaves(reasons, *silently).await,
            Step::Stays => self.stays().await,
            Step::Cut => self.cut().await,
            Step::Quiet(milliseconds) => {
                let time = Duration::from_millis(*milliseconds);
                match timeout(time, self.disturbed()).await {
                    Ok(disturbed) => disturbed,
                    Err(_) => Ok(()),
                }
            }
            Step::Mute => {
                self.is_mute = true;
                Ok(())
            }
            Step::Finally { .. } => Ok(()),
        }
    }

    fn note(&mut self, what: &str, of: &dyn fmt::Display) {
        self.log.push(format!("{what:8} {of}"));
    }

    /// What happens next that was not looked at.
    async fn next(&mut self) -> Played<Next> {
        loop {
            match self.pending.pop_front() {
                Some(Came::End) => {
                    self.conn = None;
                    self.has_ended = false;
                    self.owed.clear();
                    return Ok(Next::Came(Came::End));
                }
                Some(came) => return Ok(Next::Came(came)),
                None => match self.hear().await? {
                    Next::Came(came) => self.pending.push_back(came),
                    other => return Ok(other),
                },
            }
        }
    }

    /// What happens next at all.
    async fn hear(&mut self) -> Played<Next> {
        loop {
            let heard = match &mut self.conn {
                Some(conn) if !self.has_ended => tokio::select! {
                    came = conn.next() => Next::Came(came?),
                    report = self.adapter.report() => Self::reported(&mut self.reports, report)?,
                },
                Some(_) => Self::reported(&mut self.reports, self.adapter.report().await)?,
                None => tokio::select! {
                    conn = self.listener.accept() => {
                        self.conn = Some(conn.map_err(|error| error.to_string())?);
                        Next::Opened
                    }
                    report = self.adapter.report() => Self::reported(&mut self.reports, report)?,
                },
            };
            match &heard {
                Next::Came(Came::Packet(packet)) => {
                    let packet = packet.clone();
                    self.note("came", &packet);
                    self.all.push(packet.clone());
                    if packet.head == "PINGREQ" && !self.is_mute {
                        self.send(&Words::new("PINGRESP")).await?;
                        continue;
                    }
                }
                Next::Came(Came::End) => {
                    self.has_ended = true;
                    self.note("came", &"the end of the connection");
                }
                Next::Opened => {
                    self.note("came", &"a connection");
                    self.connections += 1;
                    if self.connections > CONNECTIONS {
                        return Err(format!("{CONNECTIONS} connections, and one more"));
                    }
                }
                Next::Reported => {
                    if let Some(report) = self.reports.back().cloned() {
                        self.note("told", &report);
                        if report.head == "unable" {
                            self.unable = Some(report.text("what").unwrap_or_default().to_owned());
                            return Err("it cannot be asked for this".to_owned());
                        }
                        self.all.push(report);
                    }
                }
                Next::Over if self.is_closing => {}
                Next::Over => return Err("the client's process has ended".to_owned()),
            }
            return Ok(heard);
        }
    }

    fn reported(reports: &mut VecDeque<Words>, report: Option<Played<Words>>) -> Played<Next> {
        match report {
            Some(report) => {
                reports.push_back(report?);
                Ok(Next::Reported)
            }
            None => Ok(Next::Over),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Played {
        let Some(conn) = &mut self.conn else {
            return Err("there is no connection".to_owned());
        };
        conn.send(bytes, self.piece).await;
        Ok(())
    }

    async fn send(&mut self, packet: &Words) -> Played {
        let packet = packet.filled(&self.names)?;
        let bytes = written::bytes(&packet)?;
        let answered = |owed: &Words| {
            answer_to(owed) == Some(&packet.head) && owed.number("id") == packet.number("id")
        };
        self.owed.retain(|owed| !answered(owed));
        self.note("sent", &packet);
        if packet.head == "CONNACK" && packet.number("reason").unwrap_or(0) == 0 {
            self.has_session = true;
        }
        self.write(&bytes).await
    }

    async fn expect(&mut self, pattern: &Words) -> Played {
        let is_wanted = |head: &str| pattern.head.split('|').any(|wanted| wanted == head);
        loop {
            match self.next().await? {
                Next::Came(Came::Packet(packet)) => {
                    if pattern.matches(&packet, &mut self.names) {
                        if answer_to(&packet).is_some() {
                            self.owed.push(packet);
                        }
                        return Ok(());
                    }
                    if packet.head == "SUBSCRIBE" && !is_wanted("SUBSCRIBE") {
                        // Clients subscribe anew when they see fit.
                        self.behave(&packet).await?;
                    } else if !(packet.head == "DISCONNECT" && is_wanted("CONNECT")) {
                        return Err(format!("came {packet}"));
                    }
                }
                Next::Came(Came::End) if !is_wanted("CONNECT") => {
                    return Err("came the end of the connection".to_owned());
                }
                _ => {}
            }
        }
    }

    async fn told(&mut self, pattern: &Words) -> Played<Words> {
        loop {
            if let Some(report) = self.reported_so_far(pattern) {
                return Ok(report);
            }
            if let Next::Came(came) = self.hear().await? {
                self.pending.push_back(came);
            }
        }
    }

    fn reported_so_far(&mut self, pattern: &Words) -> Option<Words> {
        let names = &mut self.names;
        let at = self
            .reports
            .iter()
            .position(|report| pattern.matches(report, names))?;
        self.reports.remove(at)
    }

    async fn serve(&mut self, until: &Words) -> Played {
        if self.conn.is_some() {
            for packet in std::mem::take(&mut self.owed) {
                self.behave(&packet).await?;
            }
        }
        while self.reported_so_far(until).is_none() {
            if let Next::Came(Came::Packet(packet)) = self.next().await? {
                self.behave(&packet).await?;
            }
        }
        Ok(())
    }

    /// Answers as a server should that has room for everything.
    async fn behave(&mut self, packet: &Words) -> Played {
        let answer = match (packet.head.as_str(), answer_to(packet)) {
            ("CONNECT", _) => {
                let resumes = packet.number("clean_start") == Some(0) && self.has_session;
                let mut connack = Words::new("CONNACK").with("session", u8::from(resumes));
                connack.fields.extend(self.offers.iter().cloned());
                connack
            }
            ("PUBREC", _) if packet.number("reason").unwrap_or(0) < 0x80 => Words::new("PUBREL"),
            ("SUBSCRIBE" | "UNSUBSCRIBE", Some(head)) => {
                let codes = packet.text("codes").unwrap_or_default();
                Words::new(head).with("codes", codes)
            }
            (_, Some(head)) => Words::new(head),
            (_, None) => return Ok(()),
        };
        let answer = match packet.text("id") {
            Some(id) => answer.with("id", id),
            None => answer,
        };
        self.send(&answer).await
    }

    async fn refer(&mut self, most: usize, answer: &Words, until: &Words) -> Played {
        let mut seen = 0;
        while self.reported_so_far(until).is_none() {
            if let Next::Came(Came::Packet(packet)) = self.next().await?
                && packet.head == "CONNECT"
            {
                seen += 1;
                if seen > most {
                    return Err(format!("more than {most} connections"));
                }
                self.send(answer).await?;
                self.cut().await?;
            }
        }
        Ok(())
    }

    async fn leaves(&mut self, reasons: &[u64], silently: bool) -> Played {
        if self.conn.is_none() {
            return Err("there is no connection".to_owned());
        }
        let mut said = None;
        loop {
            match self.next().await? {
                Next::Came(Came::Packet(packet)) if packet.head == "DISCONNECT" => {
                    said = packet.number("reason");
                }
                Next::Came(Came::End) => break,
                _ => {}
            }
        }
        match said {
            None if silently => {}
            None => self.notes.push("it left without DISCONNECT".to_owned()),
            Some(reason) => {
                let is_right = reasons.contains(&reason);
                if !(is_right || reasons.is_empty() && reason >= 0x80) {
                    let wanted: Vec<_> =
                        reasons.iter().map(|code| format!("{code:#04X}")).collect();
                    let wanted = if wanted.is_empty() {
                        "an error".to_owned()
                    } else {
                        wanted.join(" or ")
                    };
                    self.notes
                        .push(format!("it left with {reason:#04X}, not {wanted}"));
                }
            }
        }
        Ok(())
    }

    /// The client publishes on the connection that stands, and takes the acknowledgement.
    async fn stays(&mut self) -> Played {
        let publish = Words::new("publish").with("name", "stays").with("qos", 1);
        self.adapter
            .tell(&publish.with("topic", "kit/stays").with("payload", "0"))
            .await?;
        let wanted = Words::new("PUBLISH").with("topic", "kit/stays");
        let acked = Words::new("acked").with("name", "stays");
        let mut others = VecDeque::new();
        while self.reported_so_far(&acked).is_none() {
            match self.next().await? {
                Next::Came(Came::Packet(packet)) if wanted.matches(&packet, &mut self.names) => {
                    self.behave(&packet).await?;
                }
                Next::Came(Came::End) => return Err("came the end of the connection".to_owned()),
                Next::Came(came) => others.push_back(came),
                _ => {}
            }
        }
        others.append(&mut self.pending);
        self.pending = others;
        Ok(())
    }

    async fn cut(&mut self) -> Played {
        let conn = self.conn.take();
        self.pending.clear();
        self.owed.clear();
        self.has_ended = false;
        self.note("sent", &"the end of the connection");
        conn.ok_or("there is no connection")?.cut().await;
        Ok(())
    }

    /// Returns when the client sends something.
    async fn disturbed(&mut self) -> Played {
        loop {
            match self.next().await? {
                Next::Came(Came::Packet(packet)) if packet.head == "SUBSCRIBE" => {
                    self.behave(&packet).await?;
                }
                Next::Came(Came::Packet(packet)) => return Err(format!("came {packet}")),
                Next::Came(Came::End) => return Err("came the end of the connection".to_owned()),
                _ => {}
            }
        }
    }

    /// Tells the client to close, and behaves well until it has.
    async fn close(&mut self) -> Played {
        self.is_closing = true;
        self.adapter.tell(&Words::new("close")).await?;
        self.adapter.end();
        loop {
            match self.next().await? {
                Next::Came(Came::Packet(packet)) => self.behave(&packet).await?,
                Next::Over => break,
                _ => {}
            }
        }
        let status = self.adapter.exit().await?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the client's process ended with {status}"))
        }
    }

    fn count(&mut self, times: usize, of: &Words) -> Played {
        let names = &mut self.names;
        let found = self.all.iter().filter(|one| of.matches(one, names));
        match found.count() {
            count if count == times => Ok(()),
            count => Err(format!("it is so {count} times")),
        }
    }
}

/// What a server has to answer to a packet.
fn answer_to(packet: &Words) -> Option<&'static str> {
    match packet.head.as_str() {
        "PUBLISH" if packet.number("qos") == Some(1) => Some("PUBACK"),
        "PUBLISH" if packet.number("qos") == Some(2) => Some("PUBREC"),
        "PUBREL" => Some("PUBCOMP"),
        "SUBSCRIBE" => Some("SUBACK"),
        "UNSUBSCRIBE" => Some("UNSUBACK"),
        _ => None,
    }
}
