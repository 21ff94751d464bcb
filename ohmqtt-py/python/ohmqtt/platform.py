"""What the platform has."""

from __future__ import annotations

import socket
from typing import Final

HAS_AF_UNIX: Final = hasattr(socket, "AF_UNIX")
"""Whether there are Unix sockets."""

AF_UNIX: Final[int] = getattr(socket, "AF_UNIX", -1)
"""The address family of Unix sockets; -1 where there are none."""


class PlatformError(Exception):
    """The platform lacks what was asked for."""
