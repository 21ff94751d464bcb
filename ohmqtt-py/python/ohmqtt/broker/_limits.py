"""How much a broker takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ohmqtt.codec import QoS


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much a broker holds and waits for. The defaults suit a small site; each may be changed.

    Most bounds are for one client, so that who exceeds one hurts itself. Times are in seconds. A value that is out of
    range is a ValueError when the broker starts.

    - `connections`: clients connected at once. One more is refused with Server busy (0x89).
    - `half_open`: connections that have not finished their CONNECT. One more ends the oldest of them.
    - `connect_timeout`: how long the handshakes below MQTT may take, and after them the CONNECT with what an
      authenticator is asked.
    - `connect_packet_size`: the largest CONNECT, in bytes, where that is less than `packet_size`. A larger one ends
      its connection.
    - `packet_size`: the largest packet a client may send, in bytes. Told in CONNACK; a larger one is refused with
      Packet too large (0x95).
    - `user_properties`: user properties of a message or a will. One with more is refused with Quota exceeded (0x97).
    - `property_bytes`: all properties of a message or a will, in bytes. One with more is refused with Quota exceeded
      (0x97).
    - `receive_max`: unacknowledged QoS 1 and 2 messages of a client. Told in CONNACK.
    - `topic_aliases`: topic aliases of a client. Told in CONNACK.
    - `topic_levels`: levels of a topic or a filter. A deeper one is refused.
    - `sessions`: sessions, of connected clients and kept for absent ones. One more client is refused with Quota
      exceeded (0x97).
    - `session_expiry`: how long a session is kept for an absent client at most. `None`: as long as it asked.
    - `subscriptions`: subscriptions of one session. One more is refused with Quota exceeded (0x97).
    - `subscription_bytes`: what they may take, in bytes: each counts its filter and 128 for every level.
    - `keep_alive`: the longest Keep Alive; clients are told in CONNACK and have to keep to it. `None`: each has what
      it asks for.
    - `session_queue`: messages queued for one session, in flight or waiting.
    - `session_queue_bytes`: the same in bytes.
    - `when_full`: what gives way when the queue of a session is full. The publisher is never told. `"disconnect"`:
      the connection, with Quota exceeded (0x97), for a message of QoS 1 or 2 that does not fit; the session stays.
    - `queued_bytes`: what the queues of all sessions may hold together, in bytes.
    - `retained`: retained messages. One more is refused with Quota exceeded (0x97).
    - `retained_bytes`: what they may take, in bytes: each counts its packet and 128 for every level of its topic.
    - `max_qos`: the highest QoS clients may publish with. Told in CONNACK.
    - `retain_available`: whether messages are retained. If not, CONNACK says so, and a retained message ends its
      connection.
    - `wildcard_subscription_available`: whether subscriptions may have wildcards. If not, CONNACK says so, and one
      ends its connection.
    - `shared_subscription_available`: the same of shared subscriptions.
    - `subscription_id_available`: the same of Subscription Identifiers.
    - `sys_interval`: how often the topics below `$SYS/broker` are published. `None`: never, and there are none.
    """

    connections: int = 10_000
    half_open: int = 1024
    connect_timeout: float = 10.0
    connect_packet_size: int = 64 << 10
    packet_size: int = 2 << 20
    user_properties: int = 1000
    property_bytes: int = 256 << 10
    receive_max: int = 1024
    topic_aliases: int = 16
    topic_levels: int = 128
    sessions: int = 20_000
    session_expiry: float | None = None
    subscriptions: int = 10_000
    subscription_bytes: int = 8 << 20
    keep_alive: int | None = None
    session_queue: int = 65_536
    session_queue_bytes: int = 64 << 20
    when_full: Literal["drop_newest", "drop_oldest", "disconnect"] = "drop_newest"
    queued_bytes: int = 1 << 30
    retained: int = 50_000
    retained_bytes: int = 32 << 20
    max_qos: QoS | Literal[0, 1, 2] = QoS.EXACTLY_ONCE
    retain_available: bool = True
    wildcard_subscription_available: bool = True
    shared_subscription_available: bool = True
    subscription_id_available: bool = True
    sys_interval: float | None = 10.0
