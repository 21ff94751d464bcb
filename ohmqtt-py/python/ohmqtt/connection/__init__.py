"""Where a client connects to and how, and what can be wrong with that.

The connection itself is the engine's: of it there are here the values that go in and the errors that come out.
"""

from __future__ import annotations

from ohmqtt.connection.address import Address
from ohmqtt.connection.handlers import MessageHandlers
from ohmqtt.connection.types import ConnectParams, InvalidStateError

__all__ = ["Address", "ConnectParams", "InvalidStateError", "MessageHandlers"]
