"""Mosquitto's clients, to talk to a broker with something that is not ours."""

from __future__ import annotations

import subprocess
from urllib.parse import urlsplit

# Long enough that only what hangs is cut off.
PATIENCE = 60


def where(url: str) -> list[str]:
    """Return the arguments that say where the broker is."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return ["-V", "5", "-h", parts.hostname, "-p", str(parts.port)]


def publish(url: str, topic: str, payload: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Publish at QoS 1; the exit status is 0 when the broker has acknowledged it."""
    command = ["mosquitto_pub", *where(url), "-q", "1", "-t", topic, "-m", payload, *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def subscribe(url: str, topic: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Subscribe, and wait for the first message."""
    command = ["mosquitto_sub", *where(url), "-q", "1", "-t", topic, "-C", "1", "-W", "30", *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
