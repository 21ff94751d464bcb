//! UNSUBSCRIBE.

use ohmqtt_codec::{PacketRef, Unsubscribe, UnsubscribeFilters, UnsubscribeProperties};
use pyo3::exceptions::PyValueError;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyTuple;

use super::{packet, set};
use crate::convert::{self, Int, Pairs, tuple_of_pairs};

packet! {
    /// UNSUBSCRIBE: a client wants no more of these messages. It has at least one pattern.
    UnsubscribePacket(Unsubscribe) = "UnsubscribePacket" match ["packet_id" "patterns"];
    write |this| PacketRef::Unsubscribe(this);
    (
        packet_id: Int => |this, _py| this.packet_id.get();
        patterns: Vec<PyBackedStr> => |this, py| {
            let patterns = this.filters.iter().map(|filter| filter.as_str().to_owned());
            PyTuple::new(py, patterns.collect::<Vec<_>>())?
        };
    )
    {
        user_properties: Pairs = None => |this, py| tuple_of_pairs(py, this.properties.user_properties())?;
    }
    new {
        let mut properties = UnsubscribeProperties::default();
        set!(properties.add_user_property(user_properties));
        let mut filters: Option<UnsubscribeFilters> = None;
        for pattern in patterns {
            let filter = convert::filter("patterns", pattern)?;
            match &mut filters {
                Some(filters) => filters.push(&filter),
                None => filters = Some(UnsubscribeFilters::new(&filter)),
            }
        }
        Ok(Unsubscribe {
            packet_id: convert::packet_id(packet_id)?,
            properties,
            filters: filters.ok_or_else(|| PyValueError::new_err("patterns: give at least one"))?,
        })
    }
}
