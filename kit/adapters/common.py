"""What the adapters in Python share: commands in, reports out, a line of JSON each. See README.md of this crate."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

_lock = threading.Lock()


def report(kind: str, /, **fields: Any) -> None:
    """Tell the kit."""
    line = json.dumps({"is": kind, **fields})
    with _lock:
        print(line, flush=True)


def commands() -> Iterator[dict[str, Any]]:
    """Each command in turn, until the kit has no more."""
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "close":
            return
        yield command


def follow(client: Any, **acts: Callable[[Any, dict[str, Any]], None]) -> None:
    """Do what each command says."""
    for command in commands():
        acts[command["do"]](client, command)


def with_options(properties: Any, command: dict[str, Any]) -> Any:
    """The properties of CONNECT, by the names that both packages have for them, with what a `connect` asks for."""
    properties.SessionExpiryInterval = command.get("session_expiry", 300)
    for name, field in (
        ("receive_maximum", "ReceiveMaximum"),
        ("maximum_packet_size", "MaximumPacketSize"),
        ("topic_alias_maximum", "TopicAliasMaximum"),
    ):
        if name in command:
            setattr(properties, field, command[name])
    return properties


def payload(command: dict[str, Any]) -> bytes:
    """What is to be published: `*N` is N bytes of text."""
    text = str(command.get("payload", ""))
    return b"x" * int(text[1:]) if text.startswith("*") else text.encode()


def told(data: bytes | bytearray | memoryview) -> str:
    """A payload, as it is reported."""
    return bytes(data).decode(errors="replace")


def leave() -> None:
    """End the process without waiting for what would not end by itself."""
    sys.stdout.flush()
    os._exit(0)
