"""Publish a message for the broker to keep, then subscribe: it comes at once, though it was published before."""

from __future__ import annotations

from queue import Queue

from examples import args
from ohmqtt import Client, MQTTPublishPacket

TOPIC = "ohmqtt/examples/publish_retain"


def main() -> None:
    """Publish, subscribe, and remove what was kept."""
    address = args.address(__doc__)
    received: Queue[MQTTPublishPacket] = Queue()
    with Client() as client:
        client.connect(address)
        client.wait_for_connect(timeout=10.0)

        client.publish(TOPIC, b"on", qos=1, retain=True).wait_for_ack(timeout=10.0)
        print("published, to be kept")

        client.subscribe(TOPIC, lambda _, packet: received.put(packet))
        packet = received.get(timeout=10.0)
        print(f"received {packet.topic}: {packet.payload.decode()} (retain={packet.retain})")

        # A message without a payload takes the place of the one that is kept.
        client.unsubscribe(TOPIC)
        client.publish(TOPIC, b"", qos=1, retain=True).wait_for_ack(timeout=10.0)
        print("removed")


if __name__ == "__main__":
    main()
