"""The programs in pages of Markdown: each is to run by itself, as it stands."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest


def programs(*pages: Path) -> list[object]:
    """Return the Python programs, each named after the page and the line it begins in."""
    found: list[object] = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            line = text[: match.start(1)].count("\n") + 1
            found.append(pytest.param(match[1], id=f"{page.stem} line {line}"))
    return found


def kinds(page: Path) -> list[str]:
    """Return what each block of the page says that it is, and the empty word of each end."""
    return re.findall(r"^```(\w*)$", page.read_text(encoding="utf-8"), re.MULTILINE)


def run(program: str, name: str) -> None:
    """Run a program as it stands."""
    try:
        exec(compile(program, name, "exec"), {"__name__": "__main__"})
    finally:
        logging.getLogger("ohmqtt").setLevel(logging.NOTSET)
