//! Bytes in pieces, some of them late.

use std::time::Duration;

use super::site::{Site, Stage};
use super::sum::Sum;
use crate::Result;
use crate::proxy::{Pieces, Proxy, Reach, Treatment};

/// All bytes pass, a few at a time: no packet comes as it was sent.
pub(super) async fn run(stage: &mut Stage<'_>) -> Result<Sum> {
    let site = Site::start(stage, |_| {}).await?;
    let pieces = Pieces {
        most: 7,
        one_in: 100,
        late: Duration::from_millis(10),
        seed: stage.seed,
    };
    let treatment = Treatment {
        pieces: Some(pieces),
        ..Treatment::from(Reach::AnyConnection)
    };
    let proxy = Proxy::start(treatment).await?;
    proxy.lead_to(Some(site.address()?));
    let mut traffic = stage.traffic(&site, 300);
    traffic.url = proxy.url();
    let mut sum = traffic.run(stage.say()).await?;
    drop(proxy);
    site.end(&mut sum).await?;
    Ok(sum)
}
