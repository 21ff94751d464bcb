"""What importing costs, each in fresh processes by turns: `imports.py [--peers PYTHON]`.

Prints `name_us` and `name_kib`: microseconds of CPU time and KiB of private memory that it took beyond an interpreter
that imports nothing, and `name_us_ratio` and `name_kib_ratio`: the medians over the rounds of each to mqtt5's. PYTHON
is that of the pure-Python package of our name.
"""

from __future__ import annotations

import subprocess
import sys
from statistics import median

ROUNDS = 15

SCRIPT = """
import os, time
def memory():
    with open("/proc/self/smaps_rollup") as text:
        sums = [line.split() for line in text]
    return sum(int(words[1]) for words in sums if words[0] in ("Private_Clean:", "Private_Dirty:"))
memory()
kib = memory()
began = time.process_time_ns()
{what}
spent = time.process_time_ns() - began
print(spent / 1000, memory() - kib)
"""

OURS = "import ohmqtt; ohmqtt.Client"

PEERS = {
    "mqtt5": "import mqtt5",
    "gmqtt": "import gmqtt",
    "paho": "import paho.mqtt.client",
    "aiomqtt": "import aiomqtt",
}


def once(python: str, what: str) -> tuple[float, float]:
    """Ask a fresh process for microseconds and KiB."""
    words = [python, "-I", "-c", SCRIPT.format(what=what)]
    told = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    return float(told[0]), float(told[1])


def main() -> None:
    """Measure each by turns."""
    peers = sys.argv[1:2] == ["--peers"]
    runs = {"ohmqtt": (sys.executable, OURS)}
    if peers:
        runs |= {name: (sys.executable, what) for name, what in PEERS.items()}
        runs["before"] = (sys.argv[2], OURS)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for run in runs.values():
        # What was never imported is compiled first.
        once(*run)
    for _ in range(ROUNDS):
        for name, run in runs.items():
            taken[name].append(once(*run))
    lines = []
    for name, rounds in taken.items():
        for place, unit in enumerate(("us", "kib")):
            lines.append(f"{name}_{unit}={median(each[place] for each in rounds):.1f}")
            if peers:
                pairs = zip(rounds, taken["mqtt5"], strict=True)
                lines.append(f"{name}_{unit}_ratio={median(each[place] / base[place] for each, base in pairs):.3f}")
    print(*lines)


main()
