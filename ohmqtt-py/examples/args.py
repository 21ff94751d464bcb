"""The option that each example has: where the broker is."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with `--address`, for an example that `description` describes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "-a",
        "--address",
        default="localhost:1883",
        help="where the broker is: host:port, or a URL such as mqtts://example.org (default: %(default)s)",
    )
    return parser


def address(description: str | None, args: Sequence[str] | None = None) -> str:
    """Return the broker's address from the command line of an example that has no other option."""
    found: str = parser(description or "").parse_args(args).address
    return found


if __name__ == "__main__":
    print(address(__doc__))
