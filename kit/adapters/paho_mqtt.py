"""paho-mqtt, with its network loop on a thread of its own and its callbacks of version 2."""

from __future__ import annotations

import queue
import threading
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt
from common import follow, payload, report, told, with_options
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY, MQTT_ERR_QUEUE_SIZE, CallbackAPIVersion, Client, MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

NAMES: dict[int, str] = {}
"""What was published or subscribed to under which packet identifier."""

LOCK = threading.Lock()
"""Held until an identifier has its name."""

ANSWERS: queue.SimpleQueue[tuple[str, int, int]] = queue.SimpleQueue()
"""Answers, with identifier and reason code. They are reported by a thread of their own, which may wait for a name."""


def answers() -> None:
    while True:
        what, mid, reason = ANSWERS.get()
        with LOCK:
            name = NAMES.get(mid)
        if name is not None:
            report(what, name=name, reason=reason)


def connected(_client: Client, _user: Any, flags: Any, reason: Any, _properties: Any) -> None:
    if reason.is_failure:
        report("failed", why=str(reason))
    else:
        report("connected", session=int(flags.session_present))


def acknowledged(_client: Client, _user: Any, mid: int, reason: Any, _properties: Any) -> None:
    ANSWERS.put(("acked", mid, reason.value))


def granted(_client: Client, _user: Any, mid: int, reasons: Any, _properties: Any) -> None:
    ANSWERS.put(("subscribed", mid, reasons[0].value if reasons else 0))


def came(_client: Client, _user: Any, message: Any) -> None:
    fields = {"topic": message.topic, "payload": told(message.payload)}
    report("message", **fields, qos=message.qos, retain=int(message.retain))


def connect(client: Client, command: dict[str, Any]) -> None:
    properties = with_options(Properties(PacketTypes.CONNECT), command)
    if "connect_timeout" in command:
        # It has one for the network's part alone.
        report("unable", what="connect_timeout")
    # The documented way to have the session resumed on later connections only.
    clean = MQTT_CLEAN_START_FIRST_ONLY if command.get("clean_start", 1) else False
    url = urlsplit(command["url"])
    client.connect_async(
        url.hostname or "", url.port or 1883, command.get("keep_alive", 60), clean_start=clean, properties=properties
    )
    client.loop_start()


def publish(client: Client, command: dict[str, Any]) -> None:
    name = command["name"]
    with LOCK:
        send(client, name, command)


def send(client: Client, name: str, command: dict[str, Any]) -> None:
    try:
        sent = client.publish(command["topic"], payload(command), command.get("qos", 0), bool(command.get("retain", 0)))
    except ValueError as error:
        report("refused", name=name, why=str(error))
        return
    NAMES[sent.mid] = name
    if sent.rc == MQTT_ERR_QUEUE_SIZE:
        report("refused", name=name, why="the queue is full")


def subscribe(client: Client, command: dict[str, Any]) -> None:
    with LOCK:
        _, mid = client.subscribe(command["filter"], command.get("qos", 0))
        if mid is not None:
            NAMES[mid] = command["name"]


def main() -> None:
    report("ready", name="paho-mqtt", version=paho.mqtt.__version__)
    client = Client(CallbackAPIVersion.VERSION2, client_id="kit", protocol=MQTTv5)
    client.reconnect_delay_set(min_delay=0.05, max_delay=0.1)
    client.on_connect = connected
    client.on_disconnect = lambda _c, _u, _flags, reason, _p: report("disconnected", why=str(reason))
    client.on_connect_fail = lambda _c, _u: report("failed", why="no connection")
    client.on_publish = acknowledged
    client.on_subscribe = granted
    client.on_message = came
    threading.Thread(target=answers, daemon=True).start()
    follow(client, connect=connect, publish=publish, subscribe=subscribe)
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main()
