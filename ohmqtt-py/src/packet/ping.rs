//! PINGREQ and PINGRESP, which have no fields.

use ohmqtt_codec::PacketRef;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

macro_rules! ping {
    ($(#[doc = $doc:literal])* $class:ident = $name:literal $packet:expr) => {
        $(#[doc = $doc])*
        #[pyclass(frozen, subclass, name = $name, module = "ohmqtt.codec")]
        pub(crate) struct $class(pub(crate) ());

        #[pymethods]
        impl $class {
            #[new]
            fn new() -> Self {
                Self(())
            }

            /// The packet as bytes.
            fn write<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
                crate::wire::write(py, $packet)
            }

            #[classattr]
            fn __match_args__(py: Python<'_>) -> Bound<'_, PyTuple> {
                PyTuple::empty(py)
            }

            fn __eq__(&self, other: PyRef<'_, Self>) -> bool {
                self.0 == other.0
            }

            fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
                crate::packet::hash(py, $name, &[])
            }

            fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
                crate::packet::repr(&slf.get_type().name()?.to_string(), &[])
            }

            fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> (Bound<'py, PyTuple>, Bound<'py, PyDict>) {
                (PyTuple::empty(py), PyDict::new(py))
            }
        }
    };
}

ping! {
    /// PINGREQ: are you there?
    PingReqPacket = "PingReqPacket" PacketRef::PingReq
}

ping! {
    /// PINGRESP: I am.
    PingRespPacket = "PingRespPacket" PacketRef::PingResp
}
