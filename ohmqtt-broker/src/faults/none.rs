//! What stands in the place of the faults where their feature is off: nothing.
#![allow(
    clippy::unused_self,
    clippy::trivially_copy_pass_by_ref,
    reason = "it has the shape of what it stands for"
)]

use std::sync::Arc;

use ohmqtt_store::Store;
use ohmqtt_transport::Listen;

use crate::core::Core;

#[derive(Debug)]
pub(crate) struct Seam;

impl Seam {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn store(&self, store: Box<dyn Store>) -> Box<dyn Store> {
        store
    }

    pub(crate) fn listeners(
        &self,
        _: &Arc<Core>,
        listeners: Vec<Box<dyn Listen>>,
    ) -> Vec<Box<dyn Listen>> {
        listeners
    }
}
