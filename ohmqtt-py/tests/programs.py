"""Programs of their own for what concerns a whole process, and what this one occupies."""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
import textwrap
from collections.abc import Callable

from clients import SOON

# From 3.12 on Python warns of each fork beside threads; these are about what comes of it.
NO_WARNING = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"]


def run(program: str, *arguments: str, timeout: float = 2 * SOON) -> str:
    """Run a program that is to end well and without a word of complaint, for what it prints."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", *NO_WARNING, "-c", textwrap.dedent(program), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    complaints = (done.returncode, done.stderr)
    assert complaints == (0, ""), complaints
    return done.stdout


def resident() -> int:
    """Measure the memory of this process, in bytes."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def check_growth(use: Callable[[], object], growth: int) -> None:
    """Use something until using it twice more takes less than so many bytes.

    What is kept for later grows to the most that was ever needed at once, which is a matter of what else the machine
    is doing. What is lost grows each time.
    """
    use()
    grown: list[int] = []
    while not grown or grown[-1] >= growth:
        assert len(grown) < 5, grown
        gc.collect()
        before = resident()
        use()
        use()
        gc.collect()
        grown.append(resident() - before)


def held() -> tuple[int, int]:
    """Count the threads and the open files of this process."""
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))
