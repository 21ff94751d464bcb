//! The native half of the Python package `ohmqtt`: `ohmqtt.aio`, `ohmqtt.codec`, `ohmqtt.sansio`, `ohmqtt.broker`
//! and the toolkit.
//!
//! A thin face on the crates below. No rule of the protocol is decided here; the enums and exceptions are Python's own,
//! defined in `ohmqtt.codec` and looked up once.

mod aio;
mod broker;
mod codes;
mod command;
mod convert;
mod engine;
mod errors;
mod logs;
mod message;
mod options;
mod packet;
mod runtime;
mod sansio;
mod toolkit;
mod wire;

/// The native half of `ohmqtt`. Its names are public in the modules that show them.
#[pyo3::pymodule]
mod _native {
    use pyo3::prelude::*;

    use crate::sansio::{PyMessage, PySubscription};

    #[pymodule_export]
    use crate::aio::{
        Acknowledgement, AioClient, AioEvents, AioOperation, AioOptions, AioPort, AioPublication,
        AioSubscription, AioUnclaimed, aio_reply,
    };
    #[pymodule_export]
    use crate::broker::{Ask, Asks, Faults, RunningBroker, Switches};
    #[pymodule_export]
    use crate::command::run_command;
    #[pymodule_export]
    use crate::engine::{Engine, Received, Subscribed, Ticket};
    #[pymodule_export]
    use crate::errors::PyStoreError;
    #[pymodule_export]
    use crate::logs::look;
    #[pymodule_export]
    use crate::message::Message;
    #[pymodule_export]
    use crate::packet::{
        AuthPacket, ConnAckPacket, ConnectPacket, DisconnectPacket, PingReqPacket, PingRespPacket,
        PubAckPacket, PubCompPacket, PubRecPacket, PubRelPacket, PublishPacket, PyTopicFilter,
        PyWill, SubAckPacket, SubscribePacket, UnsubAckPacket, UnsubscribePacket,
    };
    #[pymodule_export]
    use crate::runtime::{end_visits, interpreter_ends};
    #[pymodule_export]
    use crate::sansio::{PyClientSession, PyFlows, PyReceipt, PyServerSession};
    #[pymodule_export]
    use crate::toolkit::address::toolkit_parse_address;
    #[pymodule_export]
    use crate::toolkit::blocks::{toolkit_decode_properties, toolkit_encode_properties};
    #[pymodule_export]
    use crate::toolkit::packets::{toolkit_decode, toolkit_decode_parts, toolkit_encode};
    #[pymodule_export]
    use crate::toolkit::topics::{
        toolkit_check_filter, toolkit_check_topic, toolkit_match, toolkit_reason_codes,
        toolkit_split_share,
    };
    #[pymodule_export]
    use crate::wire::{read, read_many};

    /// Classes whose names are not theirs alone.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        module.add("SansioMessage", py.get_type::<PyMessage>())?;
        module.add("SansioSubscription", py.get_type::<PySubscription>())
    }
}
