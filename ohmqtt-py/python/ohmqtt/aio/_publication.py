"""A message that was taken into the outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ohmqtt._native import Acknowledgement, AioPublication, Message, aio_reply
from ohmqtt.aio._port import Port, current

if TYPE_CHECKING:
    from collections.abc import Generator

    from typing_extensions import Buffer, Unpack

    from ohmqtt.aio._options import PublishOptions


class Publication:
    """A message that was taken into the outbox: `await` it for what the server said of it.

    Any number of tasks may wait for it, at any time. Who does not care drops it, which never cancels the message.
    """

    __slots__ = ("_native", "_port")

    def __init__(self, port: Port, native: AioPublication) -> None:
        """Made by a client."""
        self._port = port
        self._native = native

    def __await__(self) -> Generator[Any, None, Acknowledgement]:
        """Wait until the server has acknowledged the message; at QoS 0, until it was sent.

        An error code of the server's is in the acknowledgement. LostMessageError when there will be none.
        """
        return self._acked().__await__()

    async def _acked(self) -> Acknowledgement:
        port = self._port
        await port.turn()
        acknowledgement: Acknowledgement = await port.run(self._native.acked(port.native))
        return acknowledgement

    async def accepted(self) -> None:
        """Wait until the message is in the store, if there is one: after `publish_nowait`.

        LostMessageError when the store could not keep it.
        """
        port = self._port
        await port.turn()
        await port.run(self._native.accepted(port.native))

    async def sent(self) -> None:
        """Wait until the message was given to a connection. LostMessageError when it will not be."""
        port = self._port
        await port.turn()
        await port.run(self._native.sent(port.native))

    @property
    def done(self) -> bool:
        """Whether `await` would not wait: it was acknowledged, or is lost."""
        return self._native.done

    def __repr__(self) -> str:
        """Whether it is done."""
        return f"<Publication, {'done' if self.done else 'under way'}>"


async def reply(message: Message, payload: str | Buffer, **options: Unpack[PublishOptions]) -> Publication:
    """Do what `Message.reply` says."""
    port = current()
    await port.turn()
    return Publication(port, await port.run(aio_reply(port.native, message, payload, dict(options))))
