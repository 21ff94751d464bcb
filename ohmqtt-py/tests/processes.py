"""Programs run as processes, the way a user runs them: from the package's folder, with their output as it comes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = Path(__file__).parent.parent

# Long enough that only what hangs is cut off.
PATIENCE = 60

ENVIRONMENT = {
    **os.environ,
    "PYTHONWARNINGS": "error",
    "PYTHONUNBUFFERED": "1",
    "PYTHONUTF8": "1",
    # Nobody's own.
    "OHMQTT_CONFIG": os.devnull,
}


def run(*args: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m` with `args` to its end."""
    return subprocess.run(
        [sys.executable, "-m", *args],
        cwd=PACKAGE,
        env=ENVIRONMENT,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )


def succeed(*args: str) -> list[str]:
    """Run `python -m` with `args`, which has to succeed, and return the lines it printed."""
    done = run(*args)
    assert done.returncode == 0, done
    return done.stdout.splitlines()


@contextmanager
def running(*args: str) -> Iterator[subprocess.Popen[str]]:
    """Run `python -m` with `args` while the block runs; its output can be read line by line."""
    process = subprocess.Popen(
        [sys.executable, "-m", *args],
        cwd=PACKAGE,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    """Return the next line that `process` prints; what it complained of, if it ended instead."""
    assert process.stdout is not None
    text = process.stdout.readline()
    if not text:
        assert process.stderr is not None
        raise AssertionError(f"it ended: {process.stderr.read()}")
    return text.rstrip("\n")
