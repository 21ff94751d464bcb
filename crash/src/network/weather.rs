//! What befalls the way between two hosts.

use std::time::Duration;

use super::hosts::{At, BOTH};
use super::site::{Clients, Site, Stage};
use super::sum::Sum;
use super::traffic::Traffic;
use crate::Result;

/// How often the clients' address changes.
const ADDRESSES: u64 = 3;

/// A packet of a hundred is dropped, or more.
pub(super) async fn loss(stage: &mut Stage<'_>, percent: u8, messages: u64) -> Result<Sum> {
    let site = Site::start(stage, |_| {}).await?;
    let mut traffic = stage.traffic(&site, messages);
    // Some of them in several packets.
    traffic.largest = 4000;
    let mut clients = Clients::start(stage, &traffic)?;
    clients.until("both clients", |heard| heard.ready).await?;
    let which = format!("numgen random mod 100 < {percent}");
    stage.hosts()?.drop_packets(&BOTH, &which).await?;
    clients.until("all messages", |heard| heard.drained).await?;
    let dropped = stage.hosts()?.pass_packets(&BOTH).await?;
    finish(site, clients, dropped).await
}

/// Nothing passes any more, to `at` or to both: neither side is told, and both find out by their Keep Alive.
pub(super) async fn hole(stage: &mut Stage<'_>, at: &[At]) -> Result<Sum> {
    let site = Site::start(stage, |_| {}).await?;
    let traffic = stage.traffic(&site, 500);
    let mut clients = Clients::start(stage, &traffic)?;
    clients
        .until("some messages", |heard| heard.published >= 200)
        .await?;
    stage.hosts()?.drop_packets(at, "").await?;
    let noticed = "the clients to notice the silence";
    clients.until(noticed, |heard| heard.silent >= 2).await?;
    let tried = "another attempt of each client";
    clients.until(tried, |heard| heard.failed >= 2).await?;
    // Of what it has sent to them nothing was acknowledged, and nothing came.
    site.until_connected(0).await?;
    let dropped = stage.hosts()?.pass_packets(at).await?;
    finish(site, clients, dropped).await
}

/// The clients die while nothing passes, so nobody tells the broker: their slots are free again by Keep Alive.
pub(super) async fn half_open(stage: &mut Stage<'_>) -> Result<Sum> {
    let site = Site::start(stage, |limits| limits.connections = 2).await?;
    let mut traffic = stage.traffic(&site, 200);
    traffic.keep_alive = Duration::from_secs(4);
    traffic.stays = true;
    let mut clients = Clients::start(stage, &traffic)?;
    clients.until("all messages", |heard| heard.drained).await?;
    stage.hosts()?.drop_packets(&BOTH, "").await?;
    clients.kill().await?;
    if site.connected() != 2 {
        return Err("somebody has told the broker that its clients are gone".into());
    }
    let leaks = site.leaked().await?;
    let dropped = stage.hosts()?.pass_packets(&BOTH).await?;

    // Others with their names go on with their sessions.
    traffic.from += traffic.messages + 1;
    traffic.stays = false;
    let clients = Clients::start(stage, &traffic)?;
    let mut sum = finish(site, clients, dropped).await?;
    // The first have compared nothing, but what comes of theirs to the second is found.
    sum.leaks += leaks;
    Ok(sum)
}

/// The clients' host gets another address: what they have sent from the one before is never answered.
pub(super) async fn address(stage: &mut Stage<'_>) -> Result<Sum> {
    let site = Site::start(stage, |_| {}).await?;
    let mut traffic = stage.traffic(&site, 700);
    // It takes longer than all the changes do.
    traffic.pace = Duration::from_millis(50);
    let mut clients = Clients::start(stage, &traffic)?;
    for change in 1..=ADDRESSES {
        clients
            .until("some messages", |heard| heard.published >= 20 * change)
            .await?;
        stage.hosts()?.change_address().await?;
        let noticed = "the clients to notice that their address is gone";
        clients
            .until(noticed, |heard| heard.silent + heard.ended >= 2 * change)
            .await?;
        clients
            .until("both clients", |heard| heard.connected >= 2 * (change + 1))
            .await?;
    }
    let heard = clients.heard();
    if heard.drained {
        return Err("all messages had passed before the last change".into());
    }
    finish(site, clients, 0).await
}

/// Waits for what the clients have to say in the end, and for what the broker lets go of.
async fn finish(site: Site, clients: Clients, dropped: u64) -> Result<Sum> {
    let mut sum = clients.sum().await?;
    sum.dropped = dropped;
    site.end(&mut sum).await?;
    Ok(sum)
}

impl Stage<'_> {
    pub(super) fn traffic(&self, site: &Site, messages: u64) -> Traffic {
        let mut traffic = Traffic::new(site.broker.url(), messages, self.seed);
        if self.planted {
            traffic.qos = ohmqtt_client::Qos::AtLeastOnce;
        }
        traffic
    }
}
