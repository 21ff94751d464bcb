"""Publish eight messages at QoS 2, each after the one before has arrived exactly once; the log tells what happens."""

from __future__ import annotations

import logging

from examples import args
from ohmqtt import Client, set_log_level


def main() -> None:
    """Connect, publish one by one, disconnect."""
    address = args.address(__doc__)
    logging.basicConfig(format="%(relativeCreated)6d ms %(name)s: %(message)s")
    set_log_level(logging.DEBUG)
    with Client() as client:
        client.connect(address)
        client.wait_for_connect(timeout=10.0)

        for number in range(1, 9):
            handle = client.publish("ohmqtt/examples/publish_wait_for_ack", f"message {number}", qos=2)
            ack = handle.wait_for_ack(timeout=10.0)
            print(f"message {number}: {ack}")


if __name__ == "__main__":
    main()
