"""What comes by and by: messages and events, as async iterators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Self

    from ohmqtt.aio._port import Port

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Source(Protocol[T_co]):
    """What the native streams have in common."""

    def take(self) -> T_co | None:
        """Give the next item, or None if there is none now. StopAsyncIteration if there will be none."""

    def listen(self) -> int | None:
        """Give the number that the port says when there may be an item, or None: look again at once."""

    def leave(self, number: int) -> None:
        """Say that whoever got this number does not wait any more."""


class Stream(Generic[T]):
    """Items in the order they came. An item is taken out when it is returned, so that a cancelled wait loses none."""

    def __init__(self, port: Port, source: Source[T]) -> None:
        """Of this source, in this loop."""
        self._port = port
        self._source = source

    def __aiter__(self) -> Self:
        """Iterate over what comes."""
        return self

    async def __anext__(self) -> T:
        """Wait for the next item."""
        await self._port.turn()
        source = self._source
        while (item := source.take()) is None:
            number = source.listen()
            if number is not None:
                try:
                    await self._port.sleep(number)
                finally:
                    source.leave(number)
        return item
