//! CONNECT.

use ohmqtt_codec::{Connect, ConnectProperties, MqttString, PacketRef};
use pyo3::Py;
use pyo3::pybacked::PyBackedStr;

use super::{PyWill, packet, set, set_authentication};
use crate::convert::{self, Blob, Int, Pairs, int, tuple_of_pairs};

packet! {
    /// CONNECT: a client asks for a session.
    ///
    /// keep_alive and session_expiry_interval are in seconds. An empty client_id asks the server to choose one.
    ConnectPacket(Connect) = "ConnectPacket" match ["client_id"];
    write |this| PacketRef::Connect(this);
    (
        client_id: PyBackedStr => |this, _py| this.client_id.as_str();
    )
    {
        username: Option<PyBackedStr> = None => |this, _py| this.user_name.as_ref().map(MqttString::as_str);
        password: Option<Blob> = None
            => |this, _py| this.password.as_ref().map(ohmqtt_codec::Binary::as_bytes);
        clean_start: bool = false => |this, _py| this.clean_start;
        will: Option<Py<PyWill>> = None => |this, _py| this.will.clone().map(PyWill);
        keep_alive: i64 [int] = 0 => |this, _py| this.keep_alive;
        session_expiry_interval: i64 [int] = 0
            => |this, _py| this.properties.session_expiry_interval().unwrap_or_default();
        authentication_method: Option<PyBackedStr> = None => |this, _py| this.properties.authentication_method();
        authentication_data: Option<Blob> = None => |this, _py| this.properties.authentication_data();
        request_problem_info: bool = true
            => |this, _py| this.properties.request_problem_information() != Some(false);
        request_response_info: bool = false
            => |this, _py| this.properties.request_response_information() == Some(true);
        receive_max: i64 [int] = 65535
            => |this, _py| this.properties.receive_maximum().map_or(u16::MAX, u16::from);
        topic_alias_max: i64 [int] = 0 => |this, _py| this.properties.topic_alias_maximum().unwrap_or_default();
        max_packet_size: Option<Int> = None => |this, _py| this.properties.maximum_packet_size().map(u32::from);
        user_properties: Pairs = None => |this, py| tuple_of_pairs(py, this.properties.user_properties())?;
    }
    new {
        let mut properties = ConnectProperties::default();
        let session_expiry_interval = Some(session_expiry_interval).filter(|&seconds| seconds != 0);
        set!(properties.set_session_expiry_interval(whole32(session_expiry_interval)));
        set_authentication!(properties, authentication_method, authentication_data);
        if !request_problem_info {
            properties.set_request_problem_information(false);
        }
        if request_response_info {
            properties.set_request_response_information(true);
        }
        let receive_max = Some(receive_max).filter(|&max| max != 65535);
        set!(properties.set_receive_maximum(positive16(receive_max)));
        let topic_alias_max = Some(topic_alias_max).filter(|&max| max != 0);
        set!(properties.set_topic_alias_maximum(whole16(topic_alias_max)));
        set!(properties.set_maximum_packet_size(positive32(max_packet_size)));
        set!(properties.add_user_property(user_properties));
        Ok(Connect {
            client_id: convert::text("client_id", client_id)?,
            clean_start,
            keep_alive: convert::whole16("keep_alive", keep_alive)?,
            properties,
            will: will.map(|will| will.get().0.clone()),
            user_name: username.map(|name| convert::text("username", name)).transpose()?,
            password: password.map(|password| convert::binary("password", password)).transpose()?,
        })
    }
}
