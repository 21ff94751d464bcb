"""`ohmqtt.Client`: ours, and that of the pure-Python package, whose API it is."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from ohmqtt import Client

from .work import PAYLOAD, TOPIC, WINDOW, Feeder, Work


def publish(work: Work) -> None:
    """Publish, with a window of handles of which the oldest is waited for."""
    with Client() as client:
        client.connect(f"mqtt://127.0.0.1:{work.port}")
        client.wait_for_connect(timeout=10.0)
        _publish(client, work.qos, WINDOW)
        work.begin()
        _publish(client, work.qos, work.count)
        work.end()


def _publish(client: Client, qos: int, count: int) -> None:
    window: deque[Any] = deque()
    for _ in range(count):
        handle = client.publish(TOPIC, PAYLOAD, qos=qos)
        if qos:
            window.append(handle)
            if len(window) == WINDOW:
                window.popleft().wait_for_ack(timeout=10.0)
    for handle in window:
        handle.wait_for_ack(timeout=10.0)
    if not qos:
        client.publish(TOPIC, PAYLOAD, qos=1).wait_for_ack(timeout=30.0)


def receive(work: Work) -> None:
    """Receive into a callback."""
    feeder = Feeder(work)
    done = threading.Event()

    def callback(_client: Client, _packet: object) -> None:
        if feeder.received():
            done.set()

    with Client() as client:
        client.connect(f"mqtt://127.0.0.1:{work.port}")
        client.wait_for_connect(timeout=10.0)
        client.subscribe(TOPIC, callback, work.qos).wait_for_ack(timeout=10.0)
        feeder.feed()
        if not done.wait(60.0):
            raise SystemExit("messages are missing")
    feeder.close()
