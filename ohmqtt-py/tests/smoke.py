"""The installed package in a few lines, for interpreters that do not run all the tests."""

from __future__ import annotations

import sys

from ohmqtt.broker import Broker
from ohmqtt.codec import PublishPacket, QoS, read


def main() -> None:
    sent = PublishPacket("a/b", b"hello", qos=QoS.AT_LEAST_ONCE, packet_id=1)
    got, nbytes = read(sent.write())
    assert got == sent
    assert nbytes == len(sent.write())
    with Broker() as broker:
        assert broker.url.startswith("mqtt://127.0.0.1:")
    print(f"py: CPython {sys.version.split()[0]}: ok")


if __name__ == "__main__":
    main()
