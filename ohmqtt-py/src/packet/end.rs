//! DISCONNECT and AUTH.

use ohmqtt_codec::{
    Auth, AuthProperties, Disconnect, DisconnectProperties, PacketRef, PacketType, ReasonCode,
};
use pyo3::exceptions::PyValueError;
use pyo3::pybacked::PyBackedStr;

use super::{packet, set, set_authentication};
use crate::codes::Code;
use crate::convert::{self, Blob, Int, Pairs, int, tuple_of_pairs};

packet! {
    /// DISCONNECT: the connection's last packet.
    ///
    /// session_expiry_interval is in seconds.
    DisconnectPacket(Disconnect) = "DisconnectPacket" match ["reason_code"];
    write |this| PacketRef::Disconnect(this);
    ()
    {
        reason_code: i64 [int] = 0 => |this, py| Code::Disconnect.member(py, this.reason)?;
        session_expiry_interval: Option<Int> = None => |this, _py| this.properties.session_expiry_interval();
        server_reference: Option<PyBackedStr> = None => |this, _py| this.properties.server_reference();
        reason_str: Option<PyBackedStr> = None => |this, _py| this.properties.reason_string();
        user_properties: Pairs = None => |this, py| tuple_of_pairs(py, this.properties.user_properties())?;
    }
    new {
        let mut properties = DisconnectProperties::default();
        set!(properties.set_session_expiry_interval(whole32(session_expiry_interval)));
        set!(properties.set_server_reference(&text(server_reference)));
        set!(properties.set_reason_string(&text(reason_str)));
        set!(properties.add_user_property(user_properties));
        Ok(Disconnect { reason: convert::reason(PacketType::Disconnect, reason_code)?, properties })
    }
}

packet! {
    /// AUTH: a step of enhanced authentication.
    ///
    /// It has an authentication_method, unless it has no field at all.
    AuthPacket(Auth) = "AuthPacket" match ["reason_code"];
    write |this| PacketRef::Auth(this);
    ()
    {
        reason_code: i64 [int] = 0 => |this, py| Code::Auth.member(py, this.reason)?;
        authentication_method: Option<PyBackedStr> = None => |this, _py| this.properties.authentication_method();
        authentication_data: Option<Blob> = None => |this, _py| this.properties.authentication_data();
        reason_str: Option<PyBackedStr> = None => |this, _py| this.properties.reason_string();
        user_properties: Pairs = None => |this, py| tuple_of_pairs(py, this.properties.user_properties())?;
    }
    new {
        let mut properties = AuthProperties::default();
        set_authentication!(properties, authentication_method, authentication_data);
        set!(properties.set_reason_string(&text(reason_str)));
        set!(properties.add_user_property(user_properties));
        let reason = convert::reason(PacketType::Auth, reason_code)?;
        // The codec refuses to read it, and writes it nevertheless.
        let is_empty = reason == ReasonCode::Success && properties.is_empty();
        if !is_empty && properties.authentication_method().is_none() {
            return Err(PyValueError::new_err("authentication_method: an AUTH needs one"));
        }
        Ok(Auth { reason, properties })
    }
}
