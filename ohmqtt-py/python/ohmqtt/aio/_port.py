"""Where what ends on the I/O thread comes into an event loop.

A loop has one port. Operations that are over are heard of in batches: one call of the loop's from another thread, after
which all that waited go on.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from ohmqtt._native import AioOperation, AioPort

if TYPE_CHECKING:
    from collections.abc import Iterable

TURNS = 64
"""So many things are done one after another without letting other tasks have their turn."""

_ports: WeakValueDictionary[int, Port] = WeakValueDictionary()


class Port(ABC):
    """The port of one event loop. All but `poke` is called on the loop's thread."""

    def __init__(self, loop: object) -> None:
        """For this loop, which has none yet."""
        self.native = AioPort(id(loop))
        self._turns = 0
        # The loop lives as long as its port does: no other gets its number.
        _ports[id(loop)] = self

    @abstractmethod
    def poke(self) -> None:
        """Have the loop look what is over. Called on any thread."""

    @abstractmethod
    async def sleep(self, number: int) -> None:
        """Wait until the native port says this number."""

    @abstractmethod
    async def finish(self, operation: AioOperation) -> None:
        """Wait for the end of an operation, also when the task is cancelled: it is then told afterwards."""

    @abstractmethod
    async def turn(self) -> None:
        """Hear of a cancellation, and now and then let others have their turn."""

    async def run(self, outcome: Any) -> Any:
        """Give what came of a native call: it, or what its operation gives. A cancelled wait gives the operation up."""
        if type(outcome) is not AioOperation:
            return outcome
        try:
            await self.sleep(outcome.number)
        finally:
            outcome.cancel()
        return outcome.result()


def current() -> Port:
    """Give the port of the event loop that runs. RuntimeError where none does."""
    library = _library()
    if library == "trio":
        from ohmqtt.aio._trio import TrioPort

        return TrioPort.current(_ports)
    if library == "asyncio":
        from ohmqtt.aio._asyncio import AsyncioPort

        return AsyncioPort.current(_ports)
    raise RuntimeError("no event loop runs here: ohmqtt.aio needs asyncio or Trio")


def _library() -> str | None:
    """Tell which library's task runs, without importing any."""
    # Trio says it to sniffio, and comes with it.
    sniffio: Any = sys.modules.get("sniffio")
    if sniffio is not None:
        try:
            return str(sniffio.current_async_library())
        except sniffio.AsyncLibraryNotFoundError:
            pass
    asyncio: Any = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        return "asyncio"
    return None


def wake(numbers: Iterable[int]) -> None:
    """Have the loops of these numbers look what is over. Called on a thread that does nothing else."""
    for number in numbers:
        port = _ports.get(number)
        if port is not None:
            port.poke()
