"""The loggers of the package: `ohmqtt`, and below it one for each part of it."""

from __future__ import annotations

import logging
from typing import Final

from ohmqtt._native import look_at_log_levels

ohmqtt_logger: Final = logging.getLogger("ohmqtt")
"""The parent of all of them. It has no handler: what is shown, and where, is the program's to say."""


def get_logger(name: str) -> logging.Logger:
    """Give the logger of a part: `ohmqtt.<name>`."""
    return ohmqtt_logger.getChild(name)


def set_log_level(level: int) -> None:
    """Set the level of `ohmqtt` and so of all its parts, for instance to `logging.DEBUG`."""
    ohmqtt_logger.setLevel(level)
    look_at_log_levels()
