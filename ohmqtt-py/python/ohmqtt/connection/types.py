"""How a client connects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ohmqtt.connection.address import Address
from ohmqtt.property import MQTTConnectProps, MQTTWillProps

if TYPE_CHECKING:
    import ssl


class InvalidStateError(Exception):
    """The connection is not in a state for that: connect first, or disconnect, or wait."""


@dataclass(slots=True, match_args=True, frozen=True)
class ConnectParams:
    """How a client connects. Times are in seconds; `keepalive_interval` 0 is none, `reconnect_delay` 0 never."""

    address: Address = field(default_factory=Address)
    client_id: str = ""
    connect_timeout: float | None = None
    reconnect_delay: int = 0
    keepalive_interval: int = 0
    tcp_nodelay: bool = True
    tls_context: ssl.SSLContext | None = None
    tls_hostname: str = ""
    protocol_version: int = 5
    clean_start: bool = False
    username: str | None = None
    password: bytes | None = field(default=None, repr=False)
    will_topic: str = ""
    will_payload: bytes = b""
    will_qos: int = 0
    will_retain: bool = False
    will_properties: MQTTWillProps = field(default_factory=MQTTWillProps)
    connect_properties: MQTTConnectProps = field(default_factory=MQTTConnectProps)
