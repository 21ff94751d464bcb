"""The error of a call in the wrong state. The states themselves are the engine's."""

from __future__ import annotations

from ohmqtt.connection.types import InvalidStateError

__all__ = ["InvalidStateError"]
