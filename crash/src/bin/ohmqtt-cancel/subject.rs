//! What is looked at: a client with what it has given out, and the methods whose futures are dropped.

use std::future::Future;
use std::pin::Pin;

use ohmqtt_client::{
    Client, ClientBuilder, Events, Inbox, Publication, Qos, StateWatch, Subscription, Unclaimed,
};

use tokio::task::JoinHandle;

use crate::Check;
use crate::world::World;

/// The topic and the payload of what exhausts a quota, or fills an outbox.
pub(crate) const FILLER: &str = "t/filler";

pub(crate) type Fut<'a, T = Check> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A client, and what it has given out.
#[derive(Default)]
pub(crate) struct Subject {
    pub(crate) client: Option<Client>,
    pub(crate) builder: Option<ClientBuilder>,
    pub(crate) filler: Option<Publication>,
    pub(crate) inbox: Option<Subscription>,
    /// What several subscriptions share.
    pub(crate) shared: Option<Inbox>,
    pub(crate) unclaimed: Option<Unclaimed>,
    pub(crate) events: Option<Events>,
    pub(crate) watch: Option<StateWatch>,
    /// The messages published by the method; each has to end.
    pub(crate) publications: Vec<(Publication, Qos)>,
    /// Another who publishes.
    pub(crate) other: Option<JoinHandle<Check>>,
    /// What came out of the method so far.
    pub(crate) got: Vec<String>,
}

impl Subject {
    pub(crate) fn client(&self) -> Check<&Client> {
        self.client.as_ref().ok_or("there is no client".to_owned())
    }
}

/// A method whose future is dropped.
pub(crate) struct Method {
    pub(crate) name: &'static str,
    /// What it stands for in the client's source, as `source` names it.
    pub(crate) covers: &'static [&'static str],
    /// The QoS of each message that the future publishes. The first of them is "m0", the next "m1".
    pub(crate) publishes: &'static [Qos],
    /// Whether there is a connected client beforehand.
    pub(crate) connects: bool,
    /// Whether it may fail when the connection ends.
    pub(crate) may_fail: bool,
    /// Whether its provocation is the end of the connection.
    pub(crate) ends_connections: bool,
    /// What is there before the circumstance.
    pub(crate) prepare: for<'a> fn(&'a World, &'a mut Subject) -> Fut<'a>,
    /// What is done under the circumstance before the future is made.
    pub(crate) arrange: for<'a> fn(&'a mut Subject) -> Fut<'a>,
    /// The future.
    pub(crate) run: for<'a> fn(&'a mut Subject) -> Fut<'a>,
    /// What brings it to its end when no circumstance hinders it.
    pub(crate) provoke: for<'a> fn(&'a World) -> Fut<'a>,
    /// What has to be true then, whether it was dropped or not.
    pub(crate) after: for<'a> fn(&'a World, &'a mut Subject) -> Fut<'a>,
}

/// What most methods have in common.
pub(crate) const METHOD: Method = Method {
    name: "",
    covers: &[],
    publishes: &[],
    connects: true,
    may_fail: false,
    ends_connections: false,
    prepare: |_, _| Box::pin(async { Ok(()) }),
    arrange: |_| Box::pin(async { Ok(()) }),
    run: |_| Box::pin(async { Ok(()) }),
    provoke: |_| Box::pin(async { Ok(()) }),
    after: |_, _| Box::pin(async { Ok(()) }),
};
