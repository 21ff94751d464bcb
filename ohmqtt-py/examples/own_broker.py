"""A broker of one's own: it prints where it listens, and runs until Ctrl-C or until it is asked to terminate.

    python -m examples.own_broker --address mqtt://127.0.0.1:1883 -a ws://127.0.0.1:8083 --store broker.redb

Without `--address` it takes a free port of this machine. With `--store` it goes on where it ended; with `--passwords`,
a file that `mosquitto_passwd` writes, it lets in those users, from other machines too.
"""

from __future__ import annotations

import argparse
import signal
import threading

from ohmqtt.broker import Broker


def main() -> None:
    """Listen until a signal."""
    parser = argparse.ArgumentParser(description="An MQTT 5.0 broker.")
    parser.add_argument(
        "-a", "--address", action="append", default=[], help="where to listen, as a URL; more than once"
    )
    parser.add_argument("--store", help="a file for what must survive: *.redb or *.sqlite")
    parser.add_argument(
        "--identity", nargs=2, metavar=("CHAIN", "KEY"), help="two files of PEM, for mqtts, wss and quic"
    )
    parser.add_argument("--passwords", help="a file of users and hashed passwords")
    parser.add_argument("--acl", help="a file of who may read and write which topics")
    args = parser.parse_args()

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())

    broker = Broker(
        *args.address,
        store=args.store,
        identity=tuple(args.identity) if args.identity else None,
        passwords=args.passwords,
        acl=args.acl,
    )
    with broker:
        for url in broker.urls:
            print(url, flush=True)
        stopped.wait()


if __name__ == "__main__":
    main()
