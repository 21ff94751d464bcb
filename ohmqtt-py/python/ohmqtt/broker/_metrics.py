"""What a broker has counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """What a broker holds, and what it has done since it was started.

    - `uptime`: how long it runs, in seconds.
    - `connected`: clients connected now.
    - `most_connected`: the most there were at once.
    - `sessions`: sessions, of connected clients and of absent ones.
    - `subscriptions`: subscriptions of all sessions.
    - `published`: messages that clients published.
    - `delivered`: messages delivered: acknowledged by the client, or sent at QoS 0. One that goes to three clients
      counts three times.
    - `dropped`: messages dropped for a session because its queue was full, or those of all together.
    - `expired`: messages that expired before they could be sent.
    - `bytes_received`: bytes read from clients, below MQTT and above TLS and WebSocket.
    - `bytes_sent`: bytes written to them.
    - `packets_received`: packets of all types read from clients.
    - `packets_sent`: packets of all types written for them.
    - `queued`: messages queued for all sessions, in flight or waiting.
    - `queued_bytes`: the same in bytes; a payload counts in each queue.
    - `retained`: retained messages.
    - `retained_bytes`: what they take, in bytes.
    """

    uptime: float
    connected: int
    most_connected: int
    sessions: int
    subscriptions: int
    published: int
    delivered: int
    dropped: int
    expired: int
    bytes_received: int
    bytes_sent: int
    packets_received: int
    packets_sent: int
    queued: int
    queued_bytes: int
    retained: int
    retained_bytes: int
