"""The Python package `ohmqtt`, in the form its users know: callbacks, and handles to wait on."""

from __future__ import annotations

import threading
from importlib.metadata import version
from typing import Any

from common import follow, payload, report, told, with_options
from ohmqtt import Client, MQTTPublishPacket
from ohmqtt.error import MQTTError
from ohmqtt.property import MQTTConnectProps

LATER: list[threading.Thread] = []


def in_background(work: Any, *args: Any) -> None:
    """Wait for something on a thread of its own."""
    thread = threading.Thread(target=work, args=args, daemon=True)
    thread.start()
    LATER.append(thread)


def connect(client: Client, command: dict[str, Any]) -> None:
    client.connect(
        command["url"],
        client_id=command.get("client_id", "kit"),
        clean_start=command.get("clean_start", 1) == 1,
        connect_timeout=command.get("connect_timeout"),
        reconnect_delay=0.01,
        keepalive_interval=command.get("keep_alive", 60),
        connect_properties=with_options(MQTTConnectProps(), command),
    )
    in_background(first_attempt, client)


def first_attempt(client: Client) -> None:
    """A connection that does not come about is told to who waits for it."""
    try:
        client.wait_for_connect()
    except Exception as error:
        report("failed", why=str(error))


def publish(client: Client, command: dict[str, Any]) -> None:
    name = command["name"]
    qos, retain = command.get("qos", 0), bool(command.get("retain", 0))
    try:
        handle = client.publish(command["topic"], payload(command), qos=qos, retain=retain)
    except Exception as error:
        report("refused", name=name, why=str(error))
        return
    if qos:
        in_background(acknowledged, name, handle)


def acknowledged(name: str, handle: Any) -> None:
    try:
        reason = int(handle.wait_for_ack().reason_code)
    except MQTTError as error:
        if handle.ack is None:
            report("lost", name=name, why=str(error))
            return
        reason = int(handle.ack.reason_code)
    except Exception as error:
        report("lost", name=name, why=str(error))
        return
    report("acked", name=name, reason=reason)


def subscribe(client: Client, command: dict[str, Any]) -> None:
    in_background(granted, command["name"], client.subscribe(command["filter"], message, command.get("qos", 0)))


def granted(name: str, handle: Any) -> None:
    try:
        report("subscribed", name=name, reason=int(handle.wait_for_ack().reason_codes[0]))
    except Exception as error:
        report("unsubscribed", name=name, why=str(error))


def message(_client: Client, packet: MQTTPublishPacket) -> None:
    report("message", topic=packet.topic, payload=told(packet.payload), qos=int(packet.qos), retain=int(packet.retain))


def main() -> None:
    report("ready", name="ohmqtt", version=version("ohmqtt"))
    with Client() as client:
        client.on_connect = lambda _client, packet: report("connected", session=int(packet.session_present))
        client.on_disconnect = lambda _client, error: report("disconnected", why=str(error))
        follow(client, connect=connect, publish=publish, subscribe=subscribe)
        client.disconnect()
        client.wait_for_disconnect(timeout=5)
    for thread in LATER:
        # Of what was not acknowledged nothing more is heard.
        thread.join(0.2)


if __name__ == "__main__":
    main()
