"""A broker in the process, for tests and small sites.

    >>> from ohmqtt.broker import Broker
    >>> with Broker() as broker:
    ...     print(broker.url)  # doctest: +ELLIPSIS
    mqtt://127.0.0.1:...

It is ready in milliseconds, speaks all of MQTT 5.0, and is gone at the end of the block. It runs on a thread of its
own, which needs no GIL to pass a message on.
"""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from typing import TYPE_CHECKING

from ohmqtt._native import RunningBroker

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["Broker"]


class Broker:
    """An MQTT 5.0 broker in this process.

    `with Broker() as broker:` starts it and stops it; `start()` and `stop()` do the same by hand. It listens at the
    URLs it is given, or at `mqtt://127.0.0.1:0`: port 0 takes a free one, which `url` and `urls` tell. One thread
    starts and stops it; all else may be called by any.

    A broker that is forgotten stops by itself, and all do when the interpreter exits.
    """

    def __init__(self, *urls: str) -> None:
        """Say how it is to be. Nothing listens yet."""
        self._wanted = list(urls or ("mqtt://127.0.0.1:0",))
        self._running: RunningBroker | None = None
        self._urls: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Where clients connect to: the first of `urls`."""
        return self.urls[0]

    @property
    def urls(self) -> tuple[str, ...]:
        """One URL for each place it listens at, in the order they were given, with the ports that were chosen.

        They stay when the broker has stopped. RuntimeError before it was started.
        """
        if not self._urls:
            raise RuntimeError("the broker has not been started: use `with Broker() as broker:`, or start()")
        return self._urls

    def start(self) -> Self:
        """Start it; when this returns, it takes connections.

        One that was stopped listens where it did before. OSError when it cannot listen there: its `errno` is EADDRINUSE
        when somebody else does. ValueError for a URL that is none. RuntimeError when it runs already.
        """
        if self._running is not None:
            raise RuntimeError("the broker runs already")
        self._running = RunningBroker(self._urls or self._wanted)
        self._urls = tuple(self._running.urls)
        _started.add(self)
        return self

    def stop(self, timeout: float = 5.0) -> None:
        """Stop it: clients are told, and those that are still there after `timeout` seconds are cut off.

        Returns when the broker is gone and what it had to store is stored. Again, or before a start, it does nothing.
        """
        running = self._running
        if running is not None:
            running.stop(timeout)
            self._running = None

    def __enter__(self) -> Self:
        """Start the broker, if it does not run yet."""
        return self if self._running is not None else self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the broker."""
        self.stop()

    def __repr__(self) -> str:
        """Where it listens, or that it does not."""
        return f"<Broker {', '.join(self._urls)}>" if self._running is not None else "<Broker, stopped>"


_started: weakref.WeakSet[Broker] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """Stop what still runs, so that what is stored is whole and no socket file stays."""
    for broker in list(_started):
        broker.stop(1.0)


if sys.platform != "win32":
    # A child has no part of its parent's brokers.
    os.register_at_fork(after_in_child=_started.clear)
