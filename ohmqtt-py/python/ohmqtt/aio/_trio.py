"""The port of a Trio run. Imported when one is used."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from ohmqtt.aio._port import TURNS, Port

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ohmqtt._native import AioOperation


class TrioPort(Port):
    """The port of a run of Trio's."""

    def __init__(self, token: trio.lowlevel.TrioToken) -> None:
        """For the run of this token."""
        super().__init__(token)
        self._token = token
        self._waiting: dict[int, trio.lowlevel.Task] = {}

    @staticmethod
    def current(ports: Mapping[int, Port]) -> Port:
        """Give the port of the run that this is."""
        token = trio.lowlevel.current_trio_token()
        return ports.get(id(token)) or TrioPort(token)

    def poke(self) -> None:
        """Have the run look what is over."""
        # One that is over has nobody left who waits.
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._look)

    def _look(self) -> None:
        for number in self.native.take():
            task = self._waiting.pop(number, None)
            if task is not None:
                trio.lowlevel.reschedule(task)

    async def sleep(self, number: int) -> None:
        """Wait until the native port says this number."""

        def abort(_: object) -> trio.lowlevel.Abort:
            del self._waiting[number]
            return trio.lowlevel.Abort.SUCCEEDED

        self._waiting[number] = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)

    async def finish(self, operation: AioOperation) -> None:
        """Wait for the end of an operation, also when the task is cancelled: the next checkpoint tells it."""
        with trio.CancelScope(shield=True):
            await self.sleep(operation.number)

    async def turn(self) -> None:
        """Hear of a cancellation, and now and then let others have their turn."""
        self._turns += 1
        if self._turns % TURNS == 0:
            await trio.lowlevel.checkpoint()
        else:
            await trio.lowlevel.checkpoint_if_cancelled()
