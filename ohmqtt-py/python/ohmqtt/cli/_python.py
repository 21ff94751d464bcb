"""The commands that are written in Python: `publish` and `subscribe`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from ohmqtt import __version__, set_log_level
from ohmqtt.cli import publish, subscribe
from ohmqtt.cli.common import BrokerConnectionError, CommandError

__all__ = ["run"]


def run(args: Sequence[str]) -> int:
    """Run the command that `args` say, and return the exit status."""
    options = _parser().parse_args(args)
    if options.verbose:
        logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        set_log_level(logging.DEBUG)
    try:
        options.execute(options)
    except (BrokerConnectionError, CommandError) as error:
        print(f"ohmqtt: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ohmqtt", description="Publish and subscribe over MQTT 5.0.")
    parser.add_argument("-v", "--verbose", action="store_true", help="log what happens to standard error")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    publish.register(commands)
    subscribe.register(commands)
    return parser
