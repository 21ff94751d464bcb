"""Publish eight messages at QoS 0: each is sent once, and nobody says whether it arrived."""

from __future__ import annotations

from examples import args
from ohmqtt import Client


def main() -> None:
    """Connect, publish, disconnect."""
    address = args.address(__doc__)
    with Client() as client:
        client.connect(address)
        client.wait_for_connect(timeout=10.0)

        for number in range(1, 9):
            client.publish("ohmqtt/examples/publish", f"message {number}")
            print(f"published message {number}")

        # What is queued is sent first.
        client.disconnect()
        client.wait_for_disconnect(timeout=10.0)
    print("disconnected")


if __name__ == "__main__":
    main()
