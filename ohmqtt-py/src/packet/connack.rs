//! CONNACK.

use ohmqtt_codec::{ConnAck, ConnAckProperties, PacketRef, PacketType, Qos, ReasonCode};
use pyo3::exceptions::PyValueError;
use pyo3::pybacked::PyBackedStr;

use super::{packet, set, set_authentication};
use crate::codes::Code;
use crate::convert::{self, Blob, Int, Pairs, int, tuple_of_pairs};

packet! {
    /// CONNACK: the server's answer to a CONNECT.
    ///
    /// session_expiry_interval and server_keep_alive are in seconds.
    ConnAckPacket(ConnAck) = "ConnAckPacket" match ["reason_code"];
    write |this| PacketRef::ConnAck(this);
    ()
    {
        session_present: bool = false => |this, _py| this.session_present;
        reason_code: i64 [int] = 0 => |this, py| Code::ConnAck.member(py, this.reason)?;
        session_expiry_interval: Option<Int> = None => |this, _py| this.properties.session_expiry_interval();
        assigned_client_id: Option<PyBackedStr> = None => |this, _py| this.properties.assigned_client_identifier();
        server_keep_alive: Option<Int> = None => |this, _py| this.properties.server_keep_alive();
        authentication_method: Option<PyBackedStr> = None => |this, _py| this.properties.authentication_method();
        authentication_data: Option<Blob> = None => |this, _py| this.properties.authentication_data();
        response_info: Option<PyBackedStr> = None => |this, _py| this.properties.response_information();
        server_reference: Option<PyBackedStr> = None => |this, _py| this.properties.server_reference();
        reason_str: Option<PyBackedStr> = None => |this, _py| this.properties.reason_string();
        receive_max: i64 [int] = 65535
            => |this, _py| this.properties.receive_maximum().map_or(u16::MAX, u16::from);
        topic_alias_max: i64 [int] = 0 => |this, _py| this.properties.topic_alias_maximum().unwrap_or_default();
        max_qos: i64 [int] = 2
            => |this, py| Code::Qos.member(py, this.properties.maximum_qos().unwrap_or(Qos::ExactlyOnce))?;
        retain_available: bool = true => |this, _py| this.properties.retain_available() != Some(false);
        max_packet_size: Option<Int> = None => |this, _py| this.properties.maximum_packet_size().map(u32::from);
        wildcard_subscription_available: bool = true
            => |this, _py| this.properties.wildcard_subscription_available() != Some(false);
        subscription_id_available: bool = true
            => |this, _py| this.properties.subscription_identifier_available() != Some(false);
        shared_subscription_available: bool = true
            => |this, _py| this.properties.shared_subscription_available() != Some(false);
        user_properties: Pairs = None => |this, py| tuple_of_pairs(py, this.properties.user_properties())?;
    }
    new {
        let mut properties = ConnAckProperties::default();
        set!(properties.set_session_expiry_interval(whole32(session_expiry_interval)));
        set!(properties.set_assigned_client_identifier(&text(assigned_client_id)));
        set!(properties.set_server_keep_alive(whole16(server_keep_alive)));
        set_authentication!(properties, authentication_method, authentication_data);
        set!(properties.set_response_information(&text(response_info)));
        set!(properties.set_server_reference(&text(server_reference)));
        set!(properties.set_reason_string(&text(reason_str)));
        let receive_max = Some(receive_max).filter(|&max| max != 65535);
        set!(properties.set_receive_maximum(positive16(receive_max)));
        let topic_alias_max = Some(topic_alias_max).filter(|&max| max != 0);
        set!(properties.set_topic_alias_maximum(whole16(topic_alias_max)));
        properties.set_maximum_qos(convert::qos("max_qos", max_qos)?);
        if !retain_available {
            properties.set_retain_available(false);
        }
        set!(properties.set_maximum_packet_size(positive32(max_packet_size)));
        if !wildcard_subscription_available {
            properties.set_wildcard_subscription_available(false);
        }
        if !subscription_id_available {
            properties.set_subscription_identifier_available(false);
        }
        if !shared_subscription_available {
            properties.set_shared_subscription_available(false);
        }
        set!(properties.add_user_property(user_properties));
        let reason = convert::reason(PacketType::ConnAck, reason_code)?;
        // The codec would leave the flag out.
        if session_present && reason != ReasonCode::Success {
            return Err(PyValueError::new_err("session_present: is for reason_code SUCCESS only"));
        }
        Ok(ConnAck { session_present, reason, properties })
    }
}
