//! What a caller holds and gives back: the name of a message to acknowledge, and what outlives a client's connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use ohmqtt_session::{Flows, Receipt};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

/// One side's half of a Session State, from its beginning to its end: receipts are for it and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Owner(u64);

impl Owner {
    pub(super) fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }
}

/// Names one message that came and waits for the application's word on it. Opaque; it compares and hashes.
#[derive(PartialEq, Eq, Hash)]
#[pyclass(frozen, eq, hash, name = "Receipt", module = "ohmqtt.sansio")]
pub(crate) struct PyReceipt {
    receipt: Receipt,
    owner: Owner,
}

impl PyReceipt {
    pub(super) fn new(receipt: Receipt, owner: Owner) -> Self {
        Self { receipt, owner }
    }

    /// The receipt, for the session whose it is.
    pub(super) fn for_owner(&self, owner: Owner) -> PyResult<Receipt> {
        if self.owner != owner {
            return Err(PyValueError::new_err(
                "the receipt is of another session: use that, or the one that has its flows now",
            ));
        }
        Ok(self.receipt)
    }
}

/// What outlives a client's connection at its server: the messages that wait for it or are not acknowledged.
///
/// ServerSession.take_flows gives it, ServerSession.accept takes it, once.
#[pyclass(frozen, name = "Flows", module = "ohmqtt.sansio")]
pub(crate) struct PyFlows(Mutex<Option<(Flows, Owner)>>);

impl PyFlows {
    pub(super) fn new(flows: Flows, owner: Owner) -> Self {
        Self(Mutex::new(Some((flows, owner))))
    }

    pub(super) fn take(&self) -> PyResult<(Flows, Owner)> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.ok_or_else(gone)
    }
}

fn gone() -> PyErr {
    PyRuntimeError::new_err("these flows have gone to a session already: take them from that one")
}

#[pymethods]
impl PyFlows {
    /// Messages for the client that are not finished, and their size in bytes.
    #[getter]
    fn queued(&self) -> PyResult<(usize, usize)> {
        let flows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        flows
            .as_ref()
            .map(|(flows, _)| flows.queued())
            .ok_or_else(gone)
    }
}
