"""Use a client without a thread: all of it happens in the loop that the main thread runs."""

from __future__ import annotations

from examples import args
from ohmqtt import Client, MQTTPublishPacket

TOPIC = "ohmqtt/examples/threadless"


def count_down(client: Client, packet: MQTTPublishPacket) -> None:
    """Publish one less than what came, and end with 0."""
    number = int(packet.payload)
    print(number)
    if number > 0:
        client.publish(TOPIC, str(number - 1), qos=1)
    else:
        client.shutdown()


def main() -> None:
    """Connect, send the first message, and run the loop until a callback ends it."""
    client = Client()
    client.connect(args.address(__doc__))
    if not client.loop_until_connected(timeout=10.0):
        raise SystemExit("not connected within 10 s")
    client.subscribe(TOPIC, count_down)
    client.publish(TOPIC, "5", qos=1)
    client.loop_forever()
    print("done")


if __name__ == "__main__":
    main()
