"""The error of a WebSocket. Its frames are the engine's."""

from __future__ import annotations


class WebsocketError(Exception):
    """The server does not speak WebSocket as it should, or not with MQTT."""
