"""Which function is called with which packets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ohmqtt.packet import MQTTPacket

if TYPE_CHECKING:
    from typing_extensions import Self

PacketT = TypeVar("PacketT", bound=MQTTPacket)


class MessageHandlers:
    """Functions for the packets that come, by class. They are registered within one `with`, and called after it."""

    def __init__(self) -> None:
        """Begin with none."""
        self._handlers: dict[type[MQTTPacket], list[Callable[[Any], None]]] = {}
        self._registering = False
        self._registered = False

    def __enter__(self) -> Self:
        """Begin to register; a RuntimeError the second time."""
        if self._registering or self._registered:
            raise RuntimeError("handlers are registered once: make another MessageHandlers")
        self._registering = True
        return self

    def __exit__(self, *args: object) -> None:
        """End the registering."""
        self._registering, self._registered = False, True

    def register(self, packet_type: type[PacketT], handler: Callable[[PacketT], None]) -> None:
        """Call `handler` with each packet of this class; a RuntimeError outside `with`."""
        if not self._registering:
            raise RuntimeError("register handlers within 'with' of their MessageHandlers")
        self._handlers.setdefault(packet_type, []).append(handler)

    def get_handlers(self, packet_type: type[PacketT]) -> list[Callable[[PacketT], None]]:
        """Give the functions for packets of this class, in the order they were registered in."""
        if not self._registered:
            raise RuntimeError("handlers are not registered yet: leave 'with' of their MessageHandlers first")
        return list(self._handlers.get(packet_type, ()))

    def handle(self, packet: MQTTPacket) -> list[Exception]:
        """Call all functions for a packet in their order, whatever they raise; give what they raised."""
        raised: list[Exception] = []
        for handler in self.get_handlers(type(packet)):
            try:
                handler(packet)
            except Exception as error:
                raised.append(error)
        return raised
