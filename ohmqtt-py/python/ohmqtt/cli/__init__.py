"""The command `ohmqtt` at a shell, also as `python -m ohmqtt`: `pub`, `sub`, `rr`, `broker`, `check`, `bench` and more.

They are those of the crate `ohmqtt-cli`, and `ohmqtt --help` tells them. Besides there are
`ohmqtt publish TOPIC [MESSAGE]` and `ohmqtt subscribe TOPIC`: their exit status is 0 when it was done, 1 when it was
not, 2 when the command line was wrong, and 130 after Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

__all__ = ["main"]

ALSO = """
In the Python package also:
  publish      Publish a message to a topic
  subscribe    Print the messages of a topic
"""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command that `args` say, by default those of the process, and return the exit status."""
    given = list(sys.argv[1:] if args is None else args)
    if _is_native(given):
        return _run_native(given)
    # The client is not loaded for the commands that have their own.
    from ohmqtt.cli._python import run

    return run(given)


def _is_native(given: Sequence[str]) -> bool:
    """Return whether the command is one of the native half's."""
    first = next((word for word in given if word not in {"-v", "--verbose"}), None)
    return first not in {None, "publish", "subscribe", "--version"}


def _run_native(given: Sequence[str]) -> int:
    from ohmqtt._native import run_command

    with _interrupts_left_alone():
        status = run_command(["ohmqtt", *given])
    if status == 0 and given[0] in {"-h", "--help"}:
        # To where the help went. Nobody need read it to the end.
        with suppress(OSError):
            os.write(1, ALSO.encode())
    return status


@contextmanager
def _interrupts_left_alone() -> Iterator[None]:
    """Leave Ctrl-C to the command during the block: it ends in order, or at once where it has begun nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        # None is a handler that is not Python's, which it cannot put back.
        if before is not None:
            signal.signal(signal.SIGINT, before)
