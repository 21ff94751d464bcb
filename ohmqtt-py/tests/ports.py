"""Ports of this machine that are the test's own, also while nobody listens there."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def reserved() -> Iterator[int]:
    """Keep a port in this block: who asks for any port is not given it, and who asks for this one may listen there."""
    with socket.socket() as keeper:
        if sys.platform == "linux":
            # A socket that is bound and does not listen stands in nobody's way who says the same.
            keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        port: int = keeper.getsockname()[1]
        if sys.platform != "linux":
            # Elsewhere it would: the port is only unlikely to be given to somebody else.
            keeper.close()
        yield port


@contextlib.contextmanager
def closed() -> Iterator[int]:
    """Keep a port in this block where nobody listens."""
    with socket.socket() as keeper:
        keeper.bind(("127.0.0.1", 0))
        yield keeper.getsockname()[1]
