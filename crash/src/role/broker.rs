//! The broker of ours, with its sessions in a store. It listens at a free port and says where.

use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};
use ohmqtt_broker::Broker;
use ohmqtt_client::Durability;

use super::{open, say};
use crate::Result;
use crate::line::{Choice, StoreKind};

#[tokio::main(flavor = "current_thread")]
pub(super) async fn play(args: &mut Parser) -> Result {
    let (mut store, mut path) = (StoreKind::Memory, PathBuf::new());
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("store") => store = args.value()?.parse::<Choice<StoreKind>>()?.0,
            Arg::Long("path") => path = args.value()?.into(),
            other => return Err(other.unexpected().into()),
        }
    }
    let builder = Broker::builder().listen("mqtt://127.0.0.1:0");
    let broker = builder
        .store(open(store, &path)?, Durability::Safe)
        .start()
        .await?;
    say(&format!("{}\n", broker.url()));
    // It is killed.
    std::future::pending().await
}
