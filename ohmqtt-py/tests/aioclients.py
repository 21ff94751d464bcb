"""What the tests of `ohmqtt.aio` have in common. They run on asyncio and on Trio, by AnyIO."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import anyio

P = ParamSpec("P")
T = TypeVar("T")

CERTIFICATE = Path(__file__).parent / "tls/localhost.pem"
IDENTITY = (CERTIFICATE, CERTIFICATE.with_suffix(".key"))

PATIENCE = 120
"""Seconds. Long enough that only what hangs is cut off."""


def bounded(test: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Let a test fail that hangs."""

    @wraps(test)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with anyio.fail_after(PATIENCE):
            return await test(*args, **kwargs)

    return run


async def eventually(is_so: Callable[[], bool]) -> None:
    """Wait until it is so."""
    while not is_so():
        await anyio.sleep(0.01)
