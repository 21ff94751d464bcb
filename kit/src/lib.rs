//! A scripted MQTT 5.0 server that misbehaves on purpose, and what clients make of it.
//!
//! What the server does is a [`Scenario`], a file each in the folder `scenarios`. A client is a process behind a small
//! [adapter](Client), so it may be anybody's: [`play`] plays one with the other. The server's packets are written and read here,
//! without our codec. README.md tells the lines of a scenario and of an adapter.

mod adapter;
mod play;
mod read;
mod scenario;
mod score;
mod table;
mod vocabulary;
mod wire;
mod words;
mod written;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub use adapter::Client;
pub use play::{Outcome, play};
pub use scenario::{Line, Scenario, Step};
pub use score::scorecard;
pub use words::{Names, Words};

/// The folder with the scenarios of this checkout.
pub fn scenarios() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Plays each scenario with each client, so many at once, and gives how they went: client by client, in the scenarios' order.
pub async fn play_all(scenarios: &[Scenario], clients: &[Client], at_once: usize) -> Vec<Outcome> {
    let turns = Arc::new(Semaphore::new(at_once));
    let mut plays = JoinSet::new();
    let pairs = clients
        .iter()
        .flat_map(|client| scenarios.iter().map(move |scenario| (client, scenario)));
    for (number, (client, scenario)) in pairs.enumerate() {
        let (client, scenario) = (client.clone(), scenario.clone());
        let turns = Arc::clone(&turns);
        plays.spawn(async move {
            // The semaphore is never closed.
            let _turn = turns.acquire_owned().await;
            (number, play(&scenario, &client).await)
        });
    }
    let mut outcomes = plays.join_all().await;
    outcomes.sort_by_key(|(number, _)| *number);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}
