"""`paho-mqtt`, with its loop in a thread of its own."""

from __future__ import annotations

import threading
from collections import deque

from paho.mqtt.client import Client, MQTTMessage, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from .work import PAYLOAD, TOPIC, WINDOW, Feeder, Work


def _client(work: Work) -> Client:
    connected = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.on_connect = lambda *_: connected.set()
    client.max_inflight_messages_set(WINDOW)
    client.connect("127.0.0.1", work.port)
    client.loop_start()
    if not connected.wait(10.0):
        raise SystemExit("not connected")
    return client


def publish(work: Work) -> None:
    """Publish, with a window of handles of which the oldest is waited for."""
    client = _client(work)
    _publish(client, work.qos, WINDOW)
    work.begin()
    _publish(client, work.qos, work.count)
    work.end()
    client.disconnect()
    client.loop_stop()


def _publish(client: Client, qos: int, count: int) -> None:
    window: deque[MQTTMessageInfo] = deque()
    for _ in range(count):
        info = client.publish(TOPIC, PAYLOAD, qos)
        if qos:
            window.append(info)
            if len(window) == WINDOW:
                window.popleft().wait_for_publish(10.0)
    for info in window:
        info.wait_for_publish(10.0)
    if not qos:
        client.publish(TOPIC, PAYLOAD, 1).wait_for_publish(30.0)


def receive(work: Work) -> None:
    """Receive into a callback."""
    feeder = Feeder(work)
    subscribed, done = threading.Event(), threading.Event()

    def callback(_client: Client, _data: object, _message: MQTTMessage) -> None:
        if feeder.received():
            done.set()

    client = _client(work)
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = callback
    client.subscribe(TOPIC, work.qos)
    if not subscribed.wait(10.0):
        raise SystemExit("not subscribed")
    feeder.feed()
    if not done.wait(60.0):
        raise SystemExit("messages are missing")
    client.disconnect()
    client.loop_stop()
    feeder.close()
