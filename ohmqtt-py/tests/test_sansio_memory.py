"""Memory stays flat. In a process of its own: what it used most is what is measured, and other tests use more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

PROGRAM = """
import resource, sys
from ohmqtt.codec import TopicFilter
from ohmqtt.sansio import Message, Subscription
from sansio_pair import Pair

def exchange(pair, count):
    for n in range(count // 100):
        for k in range(50):
            pair.client.publish(Message("up", bytes(100), qos=k % 3))
            pair.server.deliver(Message("down", bytes(100), qos=k % 3), ALL, track=True)
        pair.run()
        assert len(pair.came_to_client()) == len(pair.came_to_server()) == 50
        pair.told_client.clear()
        pair.told_server.clear()

ALL = [Subscription(TopicFilter("#"))]
pair = Pair()
pair.connect()
exchange(pair, 10_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
exchange(pair, 100_000)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(grown * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell what a process used most in this way")
def test_a_hundred_thousand_messages_leave_nothing_behind() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=HERE, capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr
    # A hundred bytes kept of each message would be ten million.
    assert int(run.stdout) < 5_000_000
