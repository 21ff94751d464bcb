//! Topic names and filters, for `ohmqtt.topic_filter`; reason codes, for `ohmqtt.mqtt_spec`.

use ohmqtt_codec::{ReasonCode, TopicFilter, TopicName};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::names::packet_type;

fn invalid(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// Refuses what is no topic name.
#[pyfunction]
pub(crate) fn toolkit_check_topic(topic: &str) -> PyResult<()> {
    TopicName::new(topic).map(drop).map_err(invalid)
}

/// Refuses what is no topic filter, shared or not.
#[pyfunction]
pub(crate) fn toolkit_check_filter(topic_filter: &str) -> PyResult<()> {
    TopicFilter::new(topic_filter).map(drop).map_err(invalid)
}

/// Is a message on this topic for this filter? Either is checked first.
#[pyfunction]
pub(crate) fn toolkit_match(topic_filter: &str, topic: &str) -> PyResult<bool> {
    let filter = TopicFilter::new(topic_filter).map_err(invalid)?;
    Ok(filter.matches(&TopicName::new(topic).map_err(invalid)?))
}

/// The filter without its share name, and the share name, None where there is none.
#[pyfunction]
pub(crate) fn toolkit_split_share(topic_filter: &str) -> PyResult<(String, Option<String>)> {
    let filter = TopicFilter::new(topic_filter).map_err(invalid)?;
    let matched = String::from_utf8_lossy(filter.filter_bytes()).into_owned();
    Ok((matched, filter.share_name().map(str::to_owned)))
}

/// The reason codes that may stand in a packet of this type, as numbers.
#[pyfunction]
pub(crate) fn toolkit_reason_codes(packet: u8) -> Vec<u16> {
    let allowed =
        |reason: &&ReasonCode| packet_type(packet).is_some_and(|packet| reason.allowed_in(packet));
    let codes = ReasonCode::ALL.iter().filter(allowed);
    codes.map(|&code| u16::from(u8::from(code))).collect()
}
