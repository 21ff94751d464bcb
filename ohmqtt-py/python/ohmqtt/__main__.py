"""Run the command: `python -m ohmqtt`."""

from __future__ import annotations

import sys

from ohmqtt.cli import main

if __name__ == "__main__":
    sys.exit(main())
