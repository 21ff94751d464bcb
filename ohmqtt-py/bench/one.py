"""Measures one client at one kind of work, in a process of its own: `one.py CLIENT publish|receive QOS COUNT PORT`.

Prints the microseconds of CPU time per message.
"""

from __future__ import annotations

import importlib
import sys

from clients.work import Work


def main() -> None:
    """Do the work, and print what it took."""
    client, verb, qos, count, port = sys.argv[1:]
    work = Work(int(port), int(qos), int(count))
    getattr(importlib.import_module(f"clients.{client}"), verb)(work)
    print(work.micros())


main()
