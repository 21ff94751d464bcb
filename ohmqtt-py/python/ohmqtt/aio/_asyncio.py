"""The port of an asyncio loop. Imported when one is used."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from ohmqtt.aio._port import TURNS, Port

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ohmqtt._native import AioOperation


class AsyncioPort(Port):
    """The port of an asyncio loop, whichever makes it: asyncio's own, or uvloop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """For this loop."""
        super().__init__(loop)
        self._loop = loop
        self._waiting: dict[int, asyncio.Future[None]] = {}

    @staticmethod
    def current(ports: Mapping[int, Port]) -> Port:
        """Give the port of the loop that runs."""
        loop = asyncio.get_running_loop()
        return ports.get(id(loop)) or AsyncioPort(loop)

    def poke(self) -> None:
        """Have the loop look what is over."""
        # One that is closed has nobody left who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        for number in self.native.take():
            future = self._waiting.get(number)
            if future is not None and not future.done():
                future.set_result(None)

    async def sleep(self, number: int) -> None:
        """Wait until the native port says this number."""
        future = self._loop.create_future()
        self._waiting[number] = future
        try:
            await future
        finally:
            del self._waiting[number]

    async def finish(self, operation: AioOperation) -> None:
        """Wait for the end of an operation, also when the task is cancelled."""
        cancelled = None
        while not operation.done:
            try:
                await self.sleep(operation.number)
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    async def turn(self) -> None:
        """Now and then let others have their turn."""
        self._turns += 1
        if self._turns % TURNS == 0:
            await asyncio.sleep(0)
