"""What publishing and receiving costs each client, with a broker on the loopback: `exchange.py PORT [--peers PYTHON]`.

Prints `publish0=...`: microseconds of CPU time per message of the client's process, the median of the rounds; with
peers also `publish0_NAME` for each of them, and `publish0_ratio`: the median over the rounds of ours to the best of
theirs in the same round. PYTHON is that of the pure-Python package of our name.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median

ROUNDS = 5
WORKS = {
    "publish0": "publish 0",
    "publish1": "publish 1",
    "publish2": "publish 2",
    "receive0": "receive 0",
    "receive1": "receive 1",
}
OURS, THEIRS = 40_000, 4_000
"""So many messages of each: as many as take a while."""

PEERS = {"paho": "paho", "gmqtt": "gmqtt_", "aiomqtt": "aio"}
"""Those in our virtual environment, by the names of their modules here."""


def once(python: str, client: str, work: str, count: int, port: str) -> float:
    """Run it, for the microseconds it took."""
    one = str(Path(__file__).with_name("one.py"))
    words = [python, one, client, *work.split(), str(count), port]
    told = subprocess.run(words, check=True, capture_output=True, text=True, timeout=120)
    return float(told.stdout)


def main() -> None:
    """Measure each kind of work, the clients by turns."""
    port, *rest = sys.argv[1:]
    runs = {"ohmqtt": (sys.executable, "drop_in", OURS)}
    if rest[:1] == ["--peers"]:
        runs |= {name: (sys.executable, client, THEIRS) for name, client in PEERS.items()}
        runs["before"] = (rest[1], "drop_in", THEIRS)
    lines = []
    for name, work in WORKS.items():
        rounds = []
        for _ in range(ROUNDS):
            rounds.append(
                {run: once(python, client, work, count, port) for run, (python, client, count) in runs.items()}
            )
        lines.append(f"{name}={median(each['ohmqtt'] for each in rounds):.3f}")
        if len(runs) > 1:
            ratios = []
            for each in rounds:
                ours = each.pop("ohmqtt")
                ratios.append(ours / min(each.values()))
            lines += [f"{name}_{run}={median(each[run] for each in rounds):.3f}" for run in rounds[0]]
            lines.append(f"{name}_ratio={median(ratios):.4f}")
    print(*lines)


main()
