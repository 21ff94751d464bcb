"""What holds for all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

import ports

# A shell has what it starts in the background ignore Ctrl-C, and the programs that tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def closed_url() -> Iterator[str]:
    """Give the URL of a place where nobody listens, nor will."""
    with ports.closed() as port:
        yield f"mqtt://127.0.0.1:{port}"


@pytest.fixture
def own_url() -> Iterator[str]:
    """Give a URL for a broker that goes and comes again: meanwhile the port is nobody else's."""
    with ports.reserved() as port:
        yield f"mqtt://127.0.0.1:{port}"
