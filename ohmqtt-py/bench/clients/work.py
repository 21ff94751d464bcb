"""What each client is to do, and what it took: the CPU time of the whole process, all its threads, per message."""

from __future__ import annotations

import resource
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

TOPIC = "bench/python/topic"
PAYLOAD = b"x" * 256
WINDOW = 500
"""So many messages of QoS 1 or 2 are on their way at once, and so many are asked of the feeder at a time."""


def cpu() -> float:
    """Tell the CPU time of this process so far, in seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@dataclass
class Work:
    """So many messages of this QoS, through the broker at this port of the loopback."""

    port: int
    qos: int
    count: int
    began: float = field(default=0.0)
    ended: float = field(default=0.0)

    def begin(self) -> None:
        """Measure from now on."""
        self.began = cpu()

    def end(self) -> None:
        """Measure no more."""
        self.ended = cpu()

    def micros(self) -> float:
        """Tell the microseconds of CPU time per message."""
        return (self.ended - self.began) / self.count * 1e6


class Feeder:
    """A process that publishes when it is told to, for a client that receives.

    The first batch is for warming up; two are on their way at any time.
    """

    def __init__(self, work: Work) -> None:
        """Start it. It publishes from `feed` on."""
        self._work = work
        self.batches = -(-work.count // WINDOW)
        work.count = self.batches * WINDOW
        self.total = work.count + WINDOW
        self._received = 0
        script = Path(__file__).with_name("feeder.py")
        words = [sys.executable, str(script), str(work.port), str(work.qos), TOPIC, str(WINDOW)]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, bufsize=0)
        self._asked = 0

    def feed(self) -> None:
        """Ask for the first batches; the client has subscribed."""
        self._ask()
        self._ask()

    def received(self) -> bool:
        """Count a message that was received. Whether it was the last."""
        self._received += 1
        return self._received % WINDOW == 0 and self._batch()

    def _batch(self) -> bool:
        if self._received == WINDOW:
            self._work.begin()
        if self._received == self.total:
            self._work.end()
            return True
        self._ask()
        return False

    def _ask(self) -> None:
        if self._asked <= self.batches:
            self._asked += 1
            assert self._process.stdin is not None
            self._process.stdin.write(b".")

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
