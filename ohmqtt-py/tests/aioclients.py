"""What the tests of `ohmqtt.aio` have in common. They run on asyncio and on Trio, by AnyIO."""

from __future__ import annotations

import socket
import subprocess
import time
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


class Mosquitto:
    """A broker that is not ours, on a port of its own."""

    def __init__(self, folder: Path, *config: str) -> None:
        """Keep what it needs in this folder."""
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            self.port: int = reserved.getsockname()[1]
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._config = folder / "mosquitto.conf"
        # As root it would become a user that may not read what is in the folder.
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", "user root", *config]
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        command = ["mosquitto", "-c", str(self._config)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                assert self._process.poll() is None
                time.sleep(0.01)
            else:
                return

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None
