//! Which server is tried next: those the user named, in turn; those they refer to; and not those where waiting mends nothing. Knows
//! no network, no clock and no packet.

use std::collections::VecDeque;
use std::sync::Arc;

use ohmqtt_session::Redirect;
use ohmqtt_transport::{Endpoint, Scheme};

use crate::error::{ConnectError, ConnectErrorKind};

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Connect to this one.
    Try(Arc<Endpoint>),
    /// All were tried: wait, then ask again.
    Wait,
    /// Nothing is left that is worth trying.
    Stop,
}

/// How a connection, or an attempt at one, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stood {
    /// The server never accepted it.
    Never,
    /// It was accepted, and ended soon.
    Briefly,
    /// It was accepted, and stood for a while.
    Long,
}

/// The servers of a client.
#[derive(Debug)]
pub(crate) struct Servers {
    /// As the user named them, or where they have moved to since.
    known: Vec<Arc<Endpoint>>,
    /// Still to be tried before the next wait.
    round: VecDeque<Arc<Endpoint>>,
    /// The one that accepted last. It holds the session, so it is tried first.
    home: Option<Arc<Endpoint>>,
    /// Where waiting mends nothing: not tried again until some server accepts.
    hopeless: Vec<Arc<Endpoint>>,
    /// Redirects that were followed since the last wait, or since a connection that stood.
    followed: u32,
    redirects: u32,
    retry_everything: bool,
    stopped: bool,
}

impl Servers {
    /// All of `known` are to be tried; `redirects` is how many in a row are followed.
    pub(crate) fn new(known: Vec<Endpoint>, redirects: u32, retry_everything: bool) -> Self {
        // Not collected in place: the list would keep the memory of all that it lists.
        let mut shared = Vec::with_capacity(known.len());
        shared.extend(known.into_iter().map(Arc::new));
        let known = shared;
        Self {
            round: known.iter().cloned().collect(),
            known,
            home: None,
            hopeless: Vec::new(),
            followed: 0,
            redirects,
            retry_everything,
            stopped: false,
        }
    }

    /// What to do now. To be asked after each end and after each wait.
    pub(crate) fn next(&mut self) -> Step {
        if self.stopped {
            return Step::Stop;
        }
        if let Some(server) = self.round.pop_front() {
            return Step::Try(server);
        }
        self.followed = 0;
        let all = self.home.iter().chain(&self.known);
        let worth_it = all.filter(|server| !self.hopeless.contains(server));
        let mut round = VecDeque::new();
        for server in worth_it {
            if !round.contains(server) {
                round.push_back(server.clone());
            }
        }
        self.round = round;
        if self.round.is_empty() {
            Step::Stop
        } else {
            Step::Wait
        }
    }

    /// A connection to `server`, or an attempt at one, has ended; `mends` is whether another may go better. Gives another error in the place of `error` where that says more.
    pub(crate) fn ended(
        &mut self,
        server: &Arc<Endpoint>,
        error: &ConnectError,
        stood: Stood,
        mends: bool,
    ) -> Option<ConnectErrorKind> {
        if stood != Stood::Never {
            self.hopeless.clear();
            self.round.clear();
            self.home = Some(Arc::clone(server));
        }
        if stood == Stood::Long {
            self.followed = 0;
        }
        let redirect = error.redirect();
        if let Some(redirect) = redirect {
            self.home = self.home.take().filter(|home| home != server);
            let others = self.others(server, redirect);
            if !others.is_empty() && self.redirects > 0 {
                return self.follow(server, redirect, others);
            }
        }
        if !self.retry_everything && !mends {
            if stood == Stood::Never || redirect.is_some() {
                self.hopeless.push(Arc::clone(server));
            } else {
                // Not this server is the trouble, but this client: elsewhere it would be the same.
                self.stopped = true;
            }
        }
        None
    }

    fn follow(
        &mut self,
        from: &Arc<Endpoint>,
        redirect: Redirect<'_>,
        to: Vec<Arc<Endpoint>>,
    ) -> Option<ConnectErrorKind> {
        if self.followed == self.redirects {
            let times = self.followed;
            return Some(ConnectErrorKind::TooManyRedirects { times });
        }
        self.followed += 1;
        if redirect.permanent
            && let Some(place) = self.known.iter().position(|known| known == from)
        {
            self.known.splice(place..=place, to.iter().cloned());
        }
        for server in to.into_iter().rev() {
            self.round.push_front(server);
        }
        None
    }

    /// Those a server refers to and that may be tried.
    fn others(&self, from: &Arc<Endpoint>, redirect: Redirect<'_>) -> Vec<Arc<Endpoint>> {
        let mut others = Vec::new();
        for reference in redirect.references().take(MOST_REFERENCES) {
            match referred(from, reference).map(Arc::new) {
                Some(to) if self.hopeless.contains(&to) || to == *from => {}
                Some(to) => others.push(to),
                None => {
                    // It may be a URL with credentials in it.
                    let reference = reference.rsplit('@').next();
                    tracing::warn!(%from, reference, "server reference not followed");
                }
            }
        }
        others
    }
}

/// More in one Server Reference are left alone.
const MOST_REFERENCES: usize = 16;

/// Where a reference leads. What it leaves open is as it was; it never leads from a connection that others cannot read to one that
/// they can, nor to a socket of this machine.
fn referred(from: &Endpoint, reference: &str) -> Option<Endpoint> {
    let url = if reference.contains("://") {
        reference.to_owned()
    } else if from.scheme() == Scheme::Unix {
        return None;
    } else {
        let path = from.path().unwrap_or_default();
        format!("{}://{reference}{path}", from.scheme())
    };
    let to: Endpoint = url.parse().ok()?;
    let allowed = match to.scheme() {
        Scheme::Mqtts | Scheme::Wss | Scheme::Quic => true,
        Scheme::Mqtt | Scheme::Ws => matches!(from.scheme(), Scheme::Mqtt | Scheme::Ws),
        _ => false,
    };
    allowed.then_some(to)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use ohmqtt_codec::{ConnAck, ConnAckProperties, ReasonCode};
    use ohmqtt_session::DisconnectCause;

    use super::*;

    fn at(url: &str) -> Arc<Endpoint> {
        Arc::new(url.parse().unwrap())
    }

    fn servers(known: &[&str]) -> Servers {
        let known = known.iter().map(|url| url.parse().unwrap());
        Servers::new(known.collect(), 3, false)
    }

    fn error(kind: ConnectErrorKind) -> ConnectError {
        let address = String::new();
        ConnectError { kind, address }
    }

    fn cut() -> ConnectError {
        let cut = io::Error::from(io::ErrorKind::ConnectionReset);
        error(ConnectErrorKind::Stream(Arc::new(cut)))
    }

    fn refused(reason: ReasonCode, references: &str) -> ConnectError {
        let mut properties = ConnAckProperties::default();
        if !references.is_empty() {
            properties.set_server_reference(&references.try_into().unwrap());
        }
        let connack = ConnAck {
            session_present: false,
            reason,
            properties,
        };
        let cause = DisconnectCause::Refused(Box::new(connack));
        error(ConnectErrorKind::Session(cause))
    }

    fn moved(references: &str) -> ConnectError {
        refused(ReasonCode::ServerMoved, references)
    }

    fn elsewhere(references: &str) -> ConnectError {
        refused(ReasonCode::UseAnotherServer, references)
    }

    /// The next server is this one, and it ends so.
    fn check(servers: &mut Servers, url: &str, error: &ConnectError, stood: Stood) {
        assert_eq!(servers.next(), Step::Try(at(url)));
        let mends = error.is_retryable();
        assert!(servers.ended(&at(url), error, stood, mends).is_none());
    }

    #[test]
    fn servers_are_tried_in_turn_and_waited_for_once_a_round() {
        let mut servers = servers(&["a", "b"]);
        for _ in 0..3 {
            check(&mut servers, "a", &cut(), Stood::Never);
            check(&mut servers, "b", &cut(), Stood::Never);
            assert_eq!(servers.next(), Step::Wait);
        }
    }

    #[test]
    fn the_server_that_accepted_is_tried_first() {
        let mut servers = servers(&["a", "b", "c"]);
        check(&mut servers, "a", &cut(), Stood::Never);
        check(&mut servers, "b", &cut(), Stood::Briefly);
        assert_eq!(servers.next(), Step::Wait);
        check(&mut servers, "b", &cut(), Stood::Never);
        check(&mut servers, "a", &cut(), Stood::Never);
        check(&mut servers, "c", &cut(), Stood::Never);
        assert_eq!(servers.next(), Step::Wait);
    }

    #[test]
    fn a_hopeless_server_is_left_alone_until_another_has_accepted() {
        let mut servers = servers(&["a", "b"]);
        let banned = refused(ReasonCode::Banned, "");
        check(&mut servers, "a", &banned, Stood::Never);
        check(&mut servers, "b", &cut(), Stood::Never);
        assert_eq!(servers.next(), Step::Wait);
        check(&mut servers, "b", &cut(), Stood::Long);
        assert_eq!(servers.next(), Step::Wait);
        check(&mut servers, "b", &banned, Stood::Never);
        check(&mut servers, "a", &banned, Stood::Never);
        assert_eq!(servers.next(), Step::Stop);
    }

    #[test]
    fn everything_is_tried_again_when_that_is_asked_for() {
        let mut servers = Servers::new(vec!["a".parse().unwrap()], 3, true);
        for stood in [Stood::Never, Stood::Briefly] {
            let banned = refused(ReasonCode::Banned, "");
            check(&mut servers, "a", &banned, stood);
            assert_eq!(servers.next(), Step::Wait);
        }
    }

    #[test]
    fn what_is_wrong_after_acceptance_is_wrong_everywhere() {
        let mut servers = servers(&["a", "b"]);
        let taken = refused(ReasonCode::SessionTakenOver, "");
        check(&mut servers, "a", &taken, Stood::Long);
        assert_eq!(servers.next(), Step::Stop);
    }

    #[test]
    fn references_come_before_the_rest_of_the_round() {
        let mut servers = servers(&["a", "b"]);
        check(&mut servers, "a", &elsewhere("c:7 [::1]"), Stood::Never);
        check(&mut servers, "c:7", &cut(), Stood::Never);
        check(&mut servers, "[::1]", &cut(), Stood::Never);
        check(&mut servers, "b", &cut(), Stood::Never);
        assert_eq!(servers.next(), Step::Wait);
        check(&mut servers, "a", &cut(), Stood::Never);
    }

    #[test]
    fn a_server_that_moved_is_not_asked_again() {
        let mut servers = servers(&["a", "b"]);
        check(&mut servers, "a", &moved("c d"), Stood::Never);
        check(&mut servers, "c", &cut(), Stood::Never);
        check(&mut servers, "d", &cut(), Stood::Never);
        check(&mut servers, "b", &cut(), Stood::Never);
        assert_eq!(servers.next(), Step::Wait);
        check(&mut servers, "c", &cut(), Stood::Never);
    }

    #[test]
    fn redirects_are_counted_until_a_wait_or_a_connection_that_stood() {
        for brief in [Stood::Never, Stood::Briefly] {
            let mut servers = servers(&["a"]);
            for url in ["a", "b", "a"] {
                let other = if url == "a" { "b" } else { "a" };
                check(&mut servers, url, &elsewhere(other), brief);
            }
            assert_eq!(servers.next(), Step::Try(at("b")));
            let error = servers.ended(&at("b"), &elsewhere("a"), brief, false);
            let times = 3;
            assert!(
                matches!(error, Some(ConnectErrorKind::TooManyRedirects { times: now }) if now == times)
            );
            assert_eq!(servers.next(), Step::Wait);
            check(&mut servers, "a", &elsewhere("b"), brief);
            check(&mut servers, "b", &elsewhere("a"), Stood::Long);
            check(&mut servers, "a", &elsewhere("b"), brief);
        }
    }

    #[test]
    fn a_redirect_to_nobody_new_leads_to_the_others_that_are_known() {
        for references in ["", "a", "unix:/run/x", "a@b@c"] {
            let mut servers = servers(&["a", "b"]);
            check(&mut servers, "a", &elsewhere(references), Stood::Briefly);
            assert_eq!(servers.next(), Step::Wait);
            check(&mut servers, "b", &elsewhere(references), Stood::Never);
            assert_eq!(servers.next(), Step::Stop);
        }
    }

    #[test]
    fn no_redirect_is_followed_when_none_is_to_be() {
        let mut servers = Servers::new(vec!["a".parse().unwrap()], 0, false);
        check(&mut servers, "a", &elsewhere("b"), Stood::Never);
        assert_eq!(servers.next(), Step::Stop);
    }

    fn check_reference(from: &str, reference: &str, want: Option<&str>) {
        let to = referred(&at(from), reference).map(|to| to.to_string());
        assert_eq!(to.as_deref(), want, "{from} to {reference}");
    }

    #[test]
    fn a_reference_leads_to_the_same_transport_and_never_to_one_that_others_can_read() {
        check_reference("mqtt://a:7", "b", Some("mqtt://b:1883"));
        check_reference("mqtts://a", "b:7", Some("mqtts://b:7"));
        check_reference("wss://a/x?key=1", "[::1]:7", Some("wss://[::1]:7/x"));
        check_reference("mqtts://a", "wss://b/y", Some("wss://b:443/y"));
        check_reference("mqtt://a", "mqtts://b", Some("mqtts://b:8883"));
        check_reference("mqtts://a", "mqtt://b", None);
        check_reference("quic://a", "ws://b", None);
        check_reference("unix:/run/a", "b", None);
        check_reference("unix:/run/a", "mqtt://b", None);
        check_reference("mqtt://a", "unix:/run/b", None);
        check_reference("mqtt://a", "unix:///run/b", None);
        check_reference("mqtt://a", "b:no", None);
        check_reference("mqtt://a", "http://b", None);
    }
}
